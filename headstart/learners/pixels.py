"""Heads that give every pixel a class: one linear layer over maps of several strides, a convex problem."""

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np

from headstart.contracts import Above, Array, Column, Fold, Head, Kept, Learner, Pretrained, Trained, Training
from headstart.core.errors import UserError
from headstart.core.progress import progress
from headstart.fitting import maps
from headstart.fitting.maps import Pieces, Read, Samples
from headstart.fitting.recipe import refuse_gradient_options
from headstart.model.maps import MapHead, side_of, unpacked

L2_GRID = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
_SELECTION_PICTURES = 120
_FOLDS = 2


@final
class Pixels(Learner):
    """Softmax regression for every cell of the finest map, on maps of all strides."""

    name = "pixels"
    modalities = ("picture-maps",)
    whole = False

    def suits(self, pretrained: Pretrained) -> bool:
        """Say that any model will do."""
        return True

    def train(self, training: Training, sets: Mapping[str, Sequence[Column]]) -> Trained:
        """Choose layers and lambda on the folds, then train on all the given pictures."""
        spec = training.spec
        if spec.head_hidden is not None:
            raise UserError(
                "--head-hidden for masks", "the linear head of each pixel", "leave --head-hidden out"
            )
        refuse_gradient_options(spec, "for the linear head of each pixel", "leave it out")
        if spec.layers != "auto" and not sets.get(spec.layers):
            known = [name for name in sets if sets[name]]
            raise UserError(
                f"--layers {spec.layers} of a model without them", f"one of {', '.join(known)}", "choose one"
            )
        names = [name for name in sets if sets[name]] if spec.layers == "auto" else [spec.layers]
        finest = max(side_of(column) for name in names for column in sets[name])
        used = np.unique(np.concatenate([training.indices_n, *(v for _, v in training.folds)]))
        samples = Samples(training.rows.examples, used, training.classes, finest)
        tried = _select(training, {name: sets[name] for name in names}, samples)
        best = tried[0]
        columns = tuple(sets[best["layers"]])
        l2 = best["l2"] if spec.l2 is not None else _rescaled(best["l2"], training)
        read = _reader(training, columns)
        scaled = maps.scaling(read, training.indices_n)
        pieces = Pieces(read=read, samples=samples, indices_n=training.indices_n, scaling=scaled)
        with progress(1, "Solving the head", "solutions") as advance:
            layer = scaled.fold(maps.solve(pieces, l2))
            advance(1)
        weights = tuple(weight.astype(np.float32) for weight in layer.weights)
        head = MapHead(columns, weights, layer.bias_K.astype(np.float32), finest)
        return Trained(head=head, objective=_objective(training, tried, head, l2))

    def above(self, training: Training, trunk: Any, columns: Sequence[Column], head: Head | None) -> Above:
        """Refuse: this head is solved on what the model says once and for all."""
        raise UserError(
            f"--strategy {training.spec.strategy} for a head of pixels", "--strategy head", "leave it out"
        )

    def restore(self, columns: Sequence[Column], kept: Kept) -> Head:
        """Rebuild a head."""
        return MapHead.restore(columns, kept.tensors, kept.facts)


def _reader(training: Training, columns: Sequence[Column]) -> Read:
    def read(indices_n: Array) -> list[Array]:
        return unpacked(columns, training.rows.read(indices_n, columns))

    return read


def _select(
    training: Training, sets: Mapping[str, Sequence[Column]], samples: Samples
) -> list[dict[str, Any]]:
    """Try every layer set with every lambda, from the largest down, each from the last; best first."""
    spec = training.spec
    grid = L2_GRID if spec.l2 is None else (spec.l2,)
    small = [_subsample(fold, spec.seed) for fold in training.folds[:_FOLDS]]
    tried: dict[tuple[str, float], list[tuple[float, float]]] = {}
    if len(sets) * len(grid) == 1:
        small = []
        tried = {(next(iter(sets)), grid[0]): [(0.0, 0.0)]}
    count = len(sets) * len(small) * len(grid)
    with progress(count, "Choosing layers and lambda", "fits") as advance:
        for name, columns in sets.items():
            read = _reader(training, columns)
            for fit, validate in small:
                scaled, layer = maps.scaling(read, fit), None
                pieces = Pieces(read=read, samples=samples, indices_n=fit, scaling=scaled)
                held_out = Pieces(read=read, samples=samples, indices_n=validate, scaling=scaled)
                for l2 in grid:
                    layer = maps.solve(pieces, l2, layer, tolerance=1e-5)
                    tried.setdefault((name, l2), []).append(maps.measure(held_out, layer))
                    advance(1)
    return maps.tabulated(tried)


def _rescaled(l2: float, training: Training) -> float:
    """Return lambda for all pictures: the same prior weighs less in a mean over more of them."""
    fits = [len(_subsample(fold, training.spec.seed)[0]) for fold in training.folds[:_FOLDS]]
    return float(f"{l2 * float(np.mean(fits)) / len(training.indices_n):.3g}")


def _subsample(fold: Fold, seed: int) -> Fold:
    random = np.random.default_rng(seed)
    kept = [
        np.sort(random.choice(part, most, replace=False)) if len(part) > most else part
        for part, most in zip(fold, (_SELECTION_PICTURES, _SELECTION_PICTURES // 2), strict=True)
    ]
    return kept[0], kept[1]


def _objective(
    training: Training, tried: Sequence[Mapping[str, Any]], head: MapHead, l2: float
) -> dict[str, Any]:
    return {
        "loss": "cross-entropy of every pixel that is not ignored",
        "penalty": "l2",
        "lambda": l2,
        "layers": tried[0]["layers"],
        "features": sum(column.stop - column.start for column in head.columns),
        "examples": len(training.indices_n),
        "parameters": head.parameters(),
        "formula": "min over W, b of 1/N Σ −log p(yᵢ|xᵢ) + λ/2 ‖W‖²",
        "solver": "L-BFGS on standardised maps",
        "chosen": list(tried),
    }
