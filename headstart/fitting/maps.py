"""A linear layer for every cell of maps, trained on masks: softmax regression, a convex problem.

    min over W, b of  1/A sum over cells c and classes k of w_k a_ck (-log p_k(x_c))  +  lambda/2 ||W||^2

a_ck is the share of cell c that class k covers; ignored pixels belong to no class. So a cell on a border
is taught both sides of it. A is the sum of all w_k a_ck; without class weights, the area that is taught.

A picture may be several units, its tiles; everything here goes by units.

Shape letters: n pictures, m units of theirs, C channels, h w a map's sides, G the finest side, K classes,
S sides of samples.
"""

import itertools
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from headstart.contracts import Array, Augmentation, Column, Rows
from headstart.core.errors import UserError
from headstart.core.threads import one_blas_thread
from headstart.data import augmentation
from headstart.data.mask import IGNORED, Mask
from headstart.data.tiles import Tile
from headstart.maths import bilinear, class_weights, softmax
from headstart.model.maps import logits, unpacked

PER_CELL = 4
"""Samples of a mask along each side of a cell: 16 a cell tell its shares to a sixteenth."""
_PIECE_BYTES = 16 << 20
_SCALED_AT_ONCE = 16
_IN_MEMORY_BYTES = 384 << 20
_MAX_ITERATIONS = 150

Read = Callable[[Array], list[Array]]
"""Given places of units: their maps, each [m, C, h, w], one after another."""
Piece = tuple[list[Array], Array]


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One linear layer over several maps: weights [C, K] a map, and a bias [K]."""

    weights: tuple[Array, ...]
    bias_K: Array


class Samples:
    """Masks sampled on a grid, kept in a file without a name: memory stays flat as they grow."""

    def __init__(
        self, rows: Rows, indices_n: Array, classes: Sequence[str], side: int, per_cell: int = PER_CELL
    ) -> None:
        self.num_classes, self.side, self.per_cell = len(classes), side, per_cell
        places_m = rows.places(indices_n)
        self._number = {int(place): number for number, place in enumerate(places_m)}
        fine = side * per_cell
        with tempfile.TemporaryFile() as file:  # the mapping outlives it
            shape = (max(len(places_m), 1), fine, fine)
            self._samples = np.memmap(file, dtype=np.int16, mode="w+", shape=shape)
        number = itertools.count()
        for index in indices_n:
            places_HW = cast(Mask, rows.examples[int(index)].truth).places(classes)
            for unit in rows.units(np.array([index]))[0]:
                self._samples[next(number)] = _sampled(places_HW, cast(Tile | None, unit.part), fine)

    def shares(self, places_m: Array, augmentations: Sequence[Augmentation] | None = None) -> Array:
        """Return the share of each cell that each class covers, float32 [m, K, G, G], when augmented too."""
        num, side, classes, each = len(places_m), self.side, self.num_classes, self.per_cell
        samples = np.asarray(self._samples[[self._number[int(place)] for place in places_m]])
        if augmentations is not None:
            pairs = zip(samples, augmentations, strict=True)
            samples = np.stack([augmentation.of_grid(samples_FF, change) for samples_FF, change in pairs])
        cells = samples.reshape(num, side, each, side, each).transpose(0, 1, 3, 2, 4)
        flat = cells.reshape(num * side * side, each**2).astype(np.int64)
        numbers = np.arange(len(flat))[:, None] * classes + flat
        counts = np.bincount(numbers[flat != IGNORED], minlength=len(flat) * classes)
        shares = counts.reshape(num, side, side, classes).astype(np.float32) / each**2
        return np.ascontiguousarray(shares.transpose(0, 3, 1, 2))

    def areas(self, places_m: Array) -> tuple[Array, Array]:
        """Return how many samples each class has in some units [K], and which units have any at all [m]."""
        counts_mK = np.zeros((len(places_m), self.num_classes))
        for number, place in enumerate(places_m):
            samples = self._samples[self._number[int(place)]]
            counts_mK[number] = np.bincount(samples[samples != IGNORED], minlength=self.num_classes)
        return counts_mK.sum(axis=0), np.asarray(counts_mK.any(axis=1))


def _sampled(places_HW: Array, tile: Tile | None, fine: int) -> Array:
    """Return the middles of ``fine`` x ``fine`` cells of a mask, or of a tile of it."""
    left, top, right, bottom = (0, 0, *places_HW.shape[::-1]) if tile is None else tile.box
    rows, columns = (
        begin + ((np.arange(fine) + 0.5) * (end - begin) / fine).astype(int)
        for begin, end in ((top, bottom), (left, right))
    )
    return np.asarray(places_HW[np.ix_(rows, columns)])


@dataclass(frozen=True, slots=True)
class Scaling:
    """Each channel's mean and gain over all cells, map by map; as ``maths.softmax.Scaling``."""

    means: tuple[Array, ...]
    gains: tuple[Array, ...]

    def apply(self, maps: Sequence[Array]) -> list[Array]:
        """Return standardised maps float32 [n, C, h, w]."""
        shape = (1, -1, 1, 1)
        return [
            np.asarray((one - mean_C.reshape(shape)) * gain_C.reshape(shape), dtype=np.float32)
            for one, mean_C, gain_C in zip(maps, self.means, self.gains, strict=True)
        ]

    def fold(self, layer: Layer) -> Layer:
        """Return the layer that takes raw maps, from one on standardised maps."""
        weights = tuple(w * gain_C[:, None] for w, gain_C in zip(layer.weights, self.gains, strict=True))
        shift_K = sum(mean_C @ w for w, mean_C in zip(weights, self.means, strict=True))
        return Layer(weights=weights, bias_K=layer.bias_K - shift_K)

    def unit_variance(self) -> "Scaling":
        """Return gains that give each channel a variance of 1, not all of them together."""
        varying = sum(int((gain_C > 0).sum()) for gain_C in self.gains)
        return Scaling(self.means, tuple(gain_C * np.sqrt(max(varying, 1)) for gain_C in self.gains))

    def unflattened(self, flat: Array, num_classes: int) -> Layer:
        """Return the layer whose numbers lie side by side in ``flat``, the bias last."""
        widths = [len(gain_C) * num_classes for gain_C in self.gains]
        parts = np.split(flat[:-num_classes], np.cumsum(widths)[:-1])
        weights = tuple(part.reshape(-1, num_classes) for part in parts)
        return Layer(weights=weights, bias_K=flat[-num_classes:])


@dataclass(kw_only=True)
class Pieces:
    """Units' standardised maps with their cells' shares, times the classes' weights, in pieces.

    They are kept in memory where they are few.
    """

    read: Read
    samples: Samples
    places_m: Array
    scaling: Scaling
    weights_K: Array = field(default_factory=lambda: np.ones(1, dtype=np.float32))
    _kept: list[Piece] = field(default_factory=list)

    def __iter__(self) -> Iterator[Piece]:
        if self._kept:
            yield from self._kept
            return
        width = sum(one[0].size for one in self.read(self.places_m[:1]))
        width += self.samples.num_classes * self.samples.side**2
        step = max(1, _PIECE_BYTES // (4 * width))
        keep = 4 * width * len(self.places_m) <= _IN_MEMORY_BYTES
        for start in range(0, len(self.places_m), step):
            part = self.places_m[start : start + step]
            shares = self.samples.shares(part) * self.weights_K[:, None, None]
            piece = self.scaling.apply(self.read(part)), shares
            if keep:
                self._kept.append(piece)
            yield piece


def reader(rows: Rows, columns: Sequence[Column]) -> Read:
    """Return how to read the maps in some columns."""
    return lambda places_m: unpacked(columns, rows.read(places_m, columns))


def scaling(read: Read, places_m: Array) -> Scaling:
    """Measure means and deviations over the cells of some units' maps."""
    sums: list[Array] = []
    count = 0
    for part in np.array_split(places_m, -(-len(places_m) // _SCALED_AT_ONCE)):
        maps = read(part)
        found = [
            np.stack([one.sum(axis=(0, 2, 3), dtype=np.float64), _squares(one)]) / np.prod(one.shape[-2:])
            for one in maps
        ]
        sums = found if not sums else [a + b for a, b in zip(sums, found, strict=True)]
        count += len(maps[0])
    means = tuple(total[0] / count for total in sums)
    deviations = [np.sqrt(np.maximum(t[1] / count - m**2, 0)) for t, m in zip(sums, means, strict=True)]
    varies = [softmax.varying(d, m) for d, m in zip(deviations, means, strict=True)]
    shrink = np.sqrt(max(sum(int(v.sum()) for v in varies), 1))
    gains = (
        np.where(v, 1 / (np.where(v, d, 1.0) * shrink), 0.0) for v, d in zip(varies, deviations, strict=True)
    )
    return Scaling(means, tuple(gains))


def weigh(samples: Samples, places_m: Array, kind: str | None) -> tuple[Array, Array]:
    """Return the classes' weights [K] among some units, and those of the units that teach anything [m].

    Raises UserError where none does.
    """
    areas_K, taught_m = samples.areas(places_m)
    if not taught_m.any():
        raise UserError(
            "training masks without a pixel of any class", "some that are not ignored", "mend the masks"
        )
    return class_weights.of(areas_K, kind or "none"), places_m[taught_m]


def solve(pieces: Pieces, l2: float, start: Layer | None = None, tolerance: float = 1e-6) -> Layer:
    """Minimise the objective on standardised pieces by L-BFGS, from ``start`` or from zeros."""
    scaled, num_classes = pieces.scaling, pieces.samples.num_classes
    size = (sum(len(gain_C) for gain_C in scaled.gains) + 1) * num_classes
    first = np.zeros(size) if start is None else _flat(start.weights, start.bias_K)

    def objective(flat: Array) -> tuple[float, Array]:
        loss, area, gradients, bias_gradient = _passed(pieces, scaled.unflattened(flat, num_classes))
        weights = flat[:-num_classes]
        gradient = _flat(gradients, bias_gradient) / area
        gradient[:-num_classes] += l2 * weights
        return loss / area + l2 / 2 * float(weights @ weights), gradient

    options = {"maxiter": _MAX_ITERATIONS, "ftol": tolerance, "gtol": 1e-7}
    with one_blas_thread():
        found = minimize(objective, first, jac=True, method="L-BFGS-B", options=options).x
    return scaled.unflattened(found, num_classes)


def _flat(weights: Sequence[Array], bias_K: Array) -> Array:
    return np.concatenate([*(weight.ravel() for weight in weights), bias_K])


def measure(pieces: Pieces, layer: Layer) -> tuple[float, float]:
    """Return the mean log loss and the share of the area that is right, of a layer on standardised maps."""
    loss, right, area = 0.0, 0.0, 0.0
    for maps, shares in pieces:
        said = _logits(maps, layer, pieces.samples.side)
        loss += float((shares * (logsumexp(said, axis=1, keepdims=True) - said)).sum())
        right += float(np.take_along_axis(shares, said.argmax(axis=1)[:, None], axis=1).sum())
        area += float(shares.sum())
    return loss / max(area, 1e-9), right / max(area, 1e-9)


def _passed(pieces: Pieces, layer: Layer) -> tuple[float, float, list[Array], Array]:
    """Return loss, area and gradients by weights and bias, summed over all cells."""
    gradients: list[Any] = [np.zeros(weight.shape) for weight in layer.weights]
    bias_gradient, loss, area = np.zeros(len(layer.bias_K)), 0.0, 0.0
    for maps, shares in pieces:
        said = _logits(maps, layer, pieces.samples.side)
        said -= said.max(axis=1, keepdims=True)
        raised = np.exp(said)
        total = raised.sum(axis=1, keepdims=True)
        taught = shares.sum(axis=1, keepdims=True)
        loss += float((taught * np.log(total)).sum(dtype=np.float64) - (shares * said).sum(dtype=np.float64))
        area += float(taught.sum(dtype=np.float64))
        residual = raised * (taught / total) - shares
        bias_gradient += residual.sum(axis=(0, 2, 3), dtype=np.float64)
        for place, one in enumerate(maps):
            back = bilinear.adjoint(residual, *one.shape[-2:]).reshape(len(one), len(layer.bias_K), -1)
            flat = one.reshape(*one.shape[:2], -1)
            gradients[place] += np.matmul(flat, back.transpose(0, 2, 1)).sum(axis=0, dtype=np.float64)
    return loss, area, gradients, bias_gradient


def _logits(maps: Sequence[Array], layer: Layer, side: int) -> Array:
    narrow = [weight.astype(np.float32) for weight in layer.weights]
    return logits(maps, narrow, layer.bias_K.astype(np.float32), side)


def _squares(one: Array) -> Array:
    return np.asarray(np.einsum("nchw,nchw->c", one, one, dtype=np.float64))


def tabulated(tried: Mapping[tuple[str, float], Sequence[tuple[float, float]]]) -> list[dict[str, Any]]:
    """Return each candidate's mean figures over folds, best first by log loss."""
    rows = []
    for (layers, l2), figures in tried.items():
        log_loss, accuracy = np.mean(figures, axis=0)
        rows.append({"layers": layers, "l2": l2, "log_loss": float(log_loss), "accuracy": float(accuracy)})
    return sorted(rows, key=lambda row: (row["log_loss"], -row["l2"]))
