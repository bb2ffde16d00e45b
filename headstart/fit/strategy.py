"""The strategy ``head``: the trunk stays frozen, a head is trained on its cached features."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from headstart.contracts import Array
from headstart.fit import dense, probe
from headstart.fit.probe import Fold, Problem
from headstart.model.head import Head
from headstart.model.taps import LAYER_SETS, PIXELS, Column
from headstart.specs import FitSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """A head and the objective that was minimised, with what was tried on the way."""

    head: Head
    objective: Mapping[str, Any]


def train_head(
    spec: FitSpec,
    problem: Problem,
    sets: Mapping[str, Sequence[Column]],
    indices_n: Array,
    folds: Sequence[Fold],
) -> Trained:
    """Choose layers and lambda on the folds, then train on all the given examples."""
    if spec.head_hidden is not None:
        layers = "last" if spec.layers == "auto" else spec.layers
        return _dense(spec, problem, (layers, sets[layers]), folds)
    names = LAYER_SETS if spec.layers == "auto" else (spec.layers,)
    return train_linear(spec, problem, {name: sets[name] for name in names}, indices_n, folds)


def train_baselines(
    spec: FitSpec,
    problem: Problem,
    sets: Mapping[str, Sequence[Column]],
    indices_n: Array,
    folds: Sequence[Fold],
) -> dict[str, Head]:
    """Train what the model has to beat: a linear model on the raw pixels, its lambda chosen alike."""
    return {PIXELS: train_linear(spec, problem, {PIXELS: sets[PIXELS]}, indices_n, folds).head}


def train_linear(
    spec: FitSpec,
    problem: Problem,
    candidates: Mapping[str, Sequence[Column]],
    indices_n: Array,
    folds: Sequence[Fold],
) -> Trained:
    """Choose among the candidates and a grid of lambdas on the folds, then solve on all the examples."""
    small = [probe.subsample(fold, spec.seed) for fold in folds]
    grid = probe.L2_GRID if spec.l2 is None else (spec.l2,)
    tried = probe.select(problem, candidates, small, grid)
    best = tried[0]
    # J is a mean over examples: the same prior on W weighs less the more examples there are.
    fitted_on = float(np.mean([len(fit) for fit, _ in small]))
    l2 = best.l2 if spec.l2 is not None else best.l2 * fitted_on / len(indices_n)
    head = probe.fit_linear(problem, indices_n, candidates[best.layers], l2)
    return Trained(
        head=head,
        objective={
            "loss": "cross-entropy",
            "penalty": "l2",
            "lambda": l2,
            "layers": best.layers,
            "features": sum(column.stop - column.start for column in candidates[best.layers]),
            "examples": len(indices_n),
            "parameters": head.parameters(),
            "formula": "min over W, b of 1/N Σ −log p(yᵢ|xᵢ) + λ/2 ‖W‖²",
            "solver": "L-BFGS on standardised features",
            "chosen": [asdict(one) for one in tried],
        },
    )


def _dense(
    spec: FitSpec, problem: Problem, layers: tuple[str, Sequence[Column]], folds: Sequence[Fold]
) -> Trained:
    name, columns = layers
    recipe = dense.Recipe.from_spec(spec)
    head, history = dense.train(problem, columns, folds[0], recipe, spec.seed)
    return Trained(
        head=head,
        objective={
            "loss": "cross-entropy",
            "penalty": "none" if recipe.l2 == 0 else "l2",
            "lambda": recipe.l2,
            "layers": name,
            "features": sum(column.stop - column.start for column in columns),
            "examples": len(folds[0][0]),
            "parameters": head.parameters(),
            "formula": "min over W₁, b₁, W₂, b₂ of 1/N Σ −log p(yᵢ|xᵢ)"
            + (" + λ/2 ‖W‖²" if recipe.l2 else ""),
            "solver": recipe.describe(),
            "epochs": history,
        },
    )
