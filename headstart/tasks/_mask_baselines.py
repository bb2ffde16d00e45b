"""What a model of masks has to beat: the commonest class everywhere, and colour with position."""

from collections.abc import Sequence
from typing import cast, final

import numpy as np

from headstart.contracts import Array, Baseline, Column, Learnt, Rows, Solve
from headstart.data.mask import Mask
from headstart.fitting import maps
from headstart.model.maps import PartLogits, by_picture, logits, side_of, unpacked

_L2 = 1e-6
_COLOURS = "/colours"


@final
class CommonestBaseline(Baseline):
    """Says of every pixel how common each class was among the training pixels."""

    name = "majority"

    def learn(self, rows: Rows, indices_n: Array, classes: Sequence[str], solve: Solve) -> Learnt:
        """Return the classes' shares of all training pixels, float64 [K]."""
        counts_K = np.zeros(len(classes))
        for index in indices_n:
            places_HW = cast(Mask, rows.examples[int(index)].truth).places(classes)
            counts_K += np.bincount(places_HW[places_HW >= 0], minlength=len(classes))
        return Learnt(arrays={"shares": counts_K / max(counts_K.sum(), 1)})

    def outputs(self, learnt: Learnt, rows: Rows, indices_n: Array) -> list[PartLogits]:
        """Return the shares' logarithms as one cell a picture."""
        logits_K = np.log(np.maximum(learnt.arrays["shares"], 1e-12))
        return [PartLogits(logits_K[None, :, None, None], [None]) for _ in indices_n]


@final
class ColourBaseline(Baseline):
    """Softmax regression on each cell's colour, where it lies, and the squares of both."""

    name = "colour"

    def learn(self, rows: Rows, indices_n: Array, classes: Sequence[str], solve: Solve) -> Learnt:
        """Fit the linear layer on the training cells."""
        column, places_m = _column(rows), rows.places(indices_n)
        samples = maps.Samples(rows, indices_n, classes, side_of(column))

        def read(some_m: Array) -> list[Array]:
            return [_maps(rows, some_m)]

        scaled = maps.scaling(read, places_m)
        pieces = maps.Pieces(read=read, samples=samples, places_m=places_m, scaling=scaled)
        layer = scaled.fold(maps.solve(pieces, _L2))
        (weight_CK,) = layer.weights
        return Learnt(
            arrays={"weight": weight_CK.astype(np.float32), "bias": layer.bias_K.astype(np.float32)}
        )

    def outputs(self, learnt: Learnt, rows: Rows, indices_n: Array) -> list[PartLogits]:
        """Return each picture's logits."""
        maps_m, side = [_maps(rows, rows.places(indices_n))], side_of(_column(rows))
        said_mKGG = logits(maps_m, [learnt.arrays["weight"]], learnt.arrays["bias"], side)
        return by_picture(said_mKGG, rows.units(indices_n))


def _column(rows: Rows) -> Column:
    return next(column for column in rows.columns if column.name.endswith(_COLOURS))


def _maps(rows: Rows, places_m: Array) -> Array:
    """Return red, green, blue, across, down and their squares, float32 [m, 10, G, G]."""
    column = _column(rows)
    (colours,) = unpacked([column], rows.read(places_m, [column]))
    side = colours.shape[-1]
    along = np.linspace(-1, 1, side, dtype=np.float32)
    places = np.stack(np.meshgrid(along, along))
    plain = np.concatenate([colours, np.broadcast_to(places, (len(colours), 2, side, side))], axis=1)
    return np.ascontiguousarray(np.concatenate([plain, np.square(plain)], axis=1))
