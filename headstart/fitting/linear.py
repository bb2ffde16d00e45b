"""A linear layer on one of several views of the data: the view and lambda chosen on folds, then solved."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from headstart.contracts import Array, Baseline, Learnt, Training
from headstart.fitting import probe
from headstart.fitting.probe import Problem, View
from headstart.maths import softmax


def problem_of(training: Training) -> Problem:
    """Return the targets as places among the classes: they agree by name, never by position."""
    places = {name: place for place, name in enumerate(training.classes)}
    targets_N = np.array([places[example.label] for example in training.rows.examples], dtype=np.int64)
    return Problem(rows=training.rows, targets_N=targets_N, num_classes=len(training.classes))


def train_baseline(training: Training, baseline: Baseline) -> Learnt | None:
    """Train what the model has to beat; a linear one has its lambda chosen like the head's."""

    def solve(read: Callable[[Array], Any]) -> tuple[Array, Array]:
        width = read(training.indices_n[:1]).shape[1]
        layer, _ = choose_and_solve(training, {baseline.name: View(read=read, width=width)})
        return layer.weight_DK, layer.bias_K

    return baseline.learn(training.rows, training.indices_n, training.classes, solve)


def choose_and_solve(training: Training, views: Mapping[str, View]) -> tuple[softmax.Linear, dict[str, Any]]:
    """Choose a view and a lambda on the folds, then solve on all the examples."""
    spec, indices_n = training.spec, training.indices_n
    small = [probe.subsample(fold, spec.seed) for fold in training.folds]
    grid = probe.L2_GRID if spec.l2 is None else (spec.l2,)
    problem = problem_of(training)
    tried = probe.select(problem, views, small, grid)
    best = tried[0]
    # J is a mean over examples: the same prior on W weighs less the more examples there are.
    fitted_on = float(np.mean([len(fit) for fit, _ in small]))
    scaled = best.l2 if spec.l2 is not None else best.l2 * fitted_on / len(indices_n)
    l2 = float(f"{scaled:.3g}")
    return probe.solve(problem, views[best.layers], indices_n, l2), {
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
