"""The strategy ``head``: the trunk stays frozen, a head is trained on its cached features."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from headstart.contracts import Array, Baseline, Column, Learnt
from headstart.core.errors import UserError
from headstart.fitting import dense, probe
from headstart.fitting.probe import Fold, Problem, View
from headstart.maths import softmax
from headstart.model.head import Head
from headstart.specs import FitSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """A head and the objective that was minimised, with what was tried on the way."""

    head: Head
    objective: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """What heads and baselines are trained on: all of ``indices_n``, chosen on ``folds`` of them."""

    spec: FitSpec
    problem: Problem
    indices_n: Array
    folds: Sequence[Fold]


def train_head(training: Training, sets: Mapping[str, Sequence[Column]]) -> Trained:
    """Choose layers and lambda on the folds, then train on all the given examples."""
    spec = training.spec
    if spec.layers != "auto" and not sets.get(spec.layers):
        raise UserError(
            f"--layers {spec.layers} of a model without them", f"one of {', '.join(sets)}", "choose one"
        )
    if spec.head_hidden is not None:
        layers = "last" if spec.layers == "auto" else spec.layers
        return _dense(training, layers, sets[layers])
    names = [name for name in sets if sets[name]] if spec.layers == "auto" else [spec.layers]
    views = {name: View.of_columns(training.problem.rows, sets[name]) for name in names}
    layer, objective = _linear(training, views)
    head = Head.of(sets[objective["layers"]], [layer])
    return Trained(head=head, objective={**objective, "parameters": head.parameters()})


def train_baseline(training: Training, baseline: Baseline, classes: Sequence[str]) -> Learnt:
    """Train what the model has to beat; a linear one has its lambda chosen like the head's."""

    def solve(read: Callable[[Array], Any]) -> tuple[Array, Array]:
        width = read(training.indices_n[:1]).shape[1]
        layer, _ = _linear(training, {baseline.name: View(read=read, width=width)})
        return layer.weight_DK, layer.bias_K

    return baseline.learn(training.problem.rows, training.indices_n, classes, solve)


def _linear(training: Training, views: Mapping[str, View]) -> tuple[softmax.Linear, dict[str, Any]]:
    """Choose a view and a lambda on the folds, then solve on all the examples."""
    spec, indices_n = training.spec, training.indices_n
    small = [probe.subsample(fold, spec.seed) for fold in training.folds]
    grid = probe.L2_GRID if spec.l2 is None else (spec.l2,)
    tried = probe.select(training.problem, views, small, grid)
    best = tried[0]
    # J is a mean over examples: the same prior on W weighs less the more examples there are.
    fitted_on = float(np.mean([len(fit) for fit, _ in small]))
    scaled = best.l2 if spec.l2 is not None else best.l2 * fitted_on / len(indices_n)
    l2 = float(f"{scaled:.3g}")
    return probe.solve(training.problem, views[best.layers], indices_n, l2), {
        "loss": "cross-entropy",
        "penalty": "l2",
        "lambda": l2,
        "layers": best.layers,
        "features": views[best.layers].width,
        "examples": len(indices_n),
        "formula": "min over W, b of 1/N Σ −log p(yᵢ|xᵢ) + λ/2 ‖W‖²",
        "solver": "L-BFGS on standardised features",
        "chosen": [asdict(one) for one in tried],
    }


def _dense(training: Training, layers: str, columns: Sequence[Column]) -> Trained:
    recipe = dense.Recipe.from_spec(training.spec)
    fit, _ = training.folds[0]
    head, history = dense.train(training.problem, columns, training.folds[0], recipe, training.spec.seed)
    return Trained(
        head=head,
        objective={
            "loss": "cross-entropy",
            "penalty": "l2" if recipe.l2 else "none",
            "lambda": recipe.l2,
            "layers": layers,
            "features": sum(column.stop - column.start for column in columns),
            "examples": len(fit),
            "parameters": head.parameters(),
            "formula": "min over W₁, b₁, W₂, b₂ of 1/N Σ −log p(yᵢ|xᵢ)"
            + (" + λ/2 ‖W‖²" if recipe.l2 else ""),
            "solver": recipe.describe(),
            "epochs": history,
        },
    )
