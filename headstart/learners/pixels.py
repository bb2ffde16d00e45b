"""Heads that give every pixel a class: one linear layer over maps of several strides, a convex problem."""

from collections.abc import Mapping, Sequence
from typing import Any, cast, final

import numpy as np

from headstart.contracts import (
    Above,
    Array,
    Column,
    Evidence,
    Fold,
    Head,
    Kept,
    Learner,
    Pretrained,
    Rows,
    Trained,
    Training,
)
from headstart.core.errors import UserError
from headstart.core.progress import progress
from headstart.fitting import evidence, maps
from headstart.fitting.maps import Pieces, Samples
from headstart.fitting.masks import PixelsAbove
from headstart.fitting.probe import chosen_sets
from headstart.fitting.recipe import refuse_gradient_options
from headstart.learners._options import refuse_begun, refuse_tiles
from headstart.model.maps import MapHead, side_of
from headstart.specs import FitSpec

L2_GRID = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
_SELECTION_UNITS = 120
_FOLDS = 2


@final
class Pixels(Learner):
    """Softmax regression for every cell of the finest map, on maps of all strides."""

    name = "pixels"
    modalities = ("picture-maps",)
    stands = True
    whole = False
    stepped = False
    quick = True

    def suits(self, pretrained: Pretrained) -> bool:
        """Say that any model will do."""
        return True

    def train(self, training: Training, sets: Mapping[str, Sequence[Column]]) -> Trained:
        """Choose layers and lambda on the folds, then train on all the given pictures."""
        spec = training.spec
        _check(spec)
        refuse_gradient_options(spec, "for the linear head of each pixel", "add --head fpn or leave it out")
        refuse_begun(training)
        seen = chosen_sets(spec.layers, sets)
        finest = max(side_of(column) for columns in seen.values() for column in columns)
        used = np.unique(np.concatenate([training.indices_n, *(v for _, v in training.folds)]))
        samples = Samples(training.rows, used, training.classes, finest)
        places_m = training.rows.places(training.indices_n)
        weights_K, places_m = maps.weigh(samples, places_m, spec.class_weights)
        tried = _select(training, seen, samples, weights_K)
        best = tried[0]
        columns = tuple(sets[best["layers"]])
        l2 = best["l2"] if spec.l2 is not None else _rescaled(best["l2"], training)
        read = maps.reader(training.rows, columns)
        scaled = maps.scaling(read, places_m)
        pieces = Pieces(read=read, samples=samples, places_m=places_m, scaling=scaled, weights_K=weights_K)
        with progress(1, "Solving the head", "solutions") as advance:
            layer = scaled.fold(maps.solve(pieces, l2))
            advance(1)
        weights = tuple(weight.astype(np.float32) for weight in layer.weights)
        head = MapHead(columns, weights, layer.bias_K.astype(np.float32), finest)
        objective = _objective(training, tried, head, l2)
        if spec.class_weights:
            objective["class_weights"] = dict(zip(training.classes, map(float, weights_K), strict=True))
        return Trained(head=head, objective=objective)

    def evidence(self, training: Training, sets: Mapping[str, Sequence[Column]]) -> Evidence:
        """Return the features of some cells of each picture beside the class that covers most of them."""
        return evidence.of_cells(training, sets)

    def above(self, training: Training, trunk: Any, columns: Sequence[Column], head: Head | None) -> Above:
        """Return the layer, from the solved one or new, above whole pictures. Raises UserError for tiles."""
        _check(training.spec)
        refuse_tiles(training.spec)
        return PixelsAbove(training, columns, cast(MapHead | None, head))

    def restore(self, columns: Sequence[Column], kept: Kept) -> Head:
        """Rebuild a head."""
        return MapHead.restore(columns, kept.tensors, kept.facts)


def _check(spec: FitSpec) -> None:
    """Raise UserError for what is not to be had of a linear layer."""
    if spec.head_hidden is not None:
        raise UserError(
            "--head-hidden for the linear head of each pixel", "no hidden layer", "add --head fpn"
        )
    if spec.loss not in (None, "cross-entropy"):
        raise UserError(
            f"--loss {spec.loss} for the linear head of each pixel",
            "cross-entropy, the one with which its problem is convex",
            "add --head fpn",
        )


def _select(
    training: Training, sets: Mapping[str, Sequence[Column]], samples: Samples, weights_K: Array
) -> list[dict[str, Any]]:
    """Try every layer set with every lambda, from the largest down, each from the last; best first."""
    spec = training.spec
    grid = L2_GRID if spec.l2 is None else (spec.l2,)
    small = [_subsample(training.rows, fold, spec.seed) for fold in training.folds[:_FOLDS]]
    tried: dict[tuple[str, float], list[tuple[float, float]]] = {}
    if len(sets) * len(grid) == 1:
        small = []
        tried = {(next(iter(sets)), grid[0]): [(0.0, 0.0)]}
    count = len(sets) * len(small) * len(grid)
    with progress(count, "Choosing layers and lambda", "fits") as advance:
        for name, columns in sets.items():
            read = maps.reader(training.rows, columns)
            for fit, validate in small:
                layer, scaled = None, maps.scaling(read, fit)
                pieces, held_out = (
                    Pieces(read=read, samples=samples, places_m=part, scaling=scaled, weights_K=weights_K)
                    for part in (fit, validate)
                )
                for l2 in grid:
                    layer = maps.solve(pieces, l2, layer, tolerance=1e-5)
                    tried.setdefault((name, l2), []).append(maps.measure(held_out, layer))
                    advance(1)
    return maps.tabulated(tried)


def _rescaled(l2: float, training: Training) -> float:
    """Return lambda for all units: the same prior weighs less in a mean over more of them."""
    rows, seed = training.rows, training.spec.seed
    fits = [len(_subsample(rows, fold, seed)[0]) for fold in training.folds[:_FOLDS]]
    return float(f"{l2 * float(np.mean(fits)) / len(rows.places(training.indices_n)):.3g}")


def _subsample(rows: Rows, fold: Fold, seed: int) -> Fold:
    """Return the places of some of the fold's units, to fit on and to validate on."""
    random = np.random.default_rng(seed)
    kept = [
        np.sort(random.choice(part, most, replace=False)) if len(part) > most else part
        for part, most in zip(map(rows.places, fold), (_SELECTION_UNITS, _SELECTION_UNITS // 2), strict=True)
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
