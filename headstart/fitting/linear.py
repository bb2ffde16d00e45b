"""A linear layer on one of several views of the data: the view and lambda chosen on folds, then solved."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from headstart.contracts import Array, Baseline, Learnt, Solved, Training
from headstart.fitting import probe
from headstart.fitting.probe import Problem, View
from headstart.maths import softmax

_MEASURED = 64


def train_baseline(training: Training, baseline: Baseline) -> Learnt | None:
    """Train what the model has to beat; a linear one has its lambda chosen like the head's."""

    def solve(read: Callable[[Array], Any], targets: Array) -> Solved:
        view = View.of(read, training.indices_n[:_MEASURED])
        layer, objective = choose_and_solve(training, targets, {baseline.name: view})
        return Solved(weight_DK=layer.weight_DK, bias_K=layer.bias_K, objective=objective)

    return baseline.learn(training.rows, training.indices_n, training.classes, solve)


def choose_and_solve(
    training: Training, targets: Array, views: Mapping[str, View]
) -> tuple[softmax.Linear, dict[str, Any]]:
    """Choose a view and a lambda on the folds, then solve on all the examples.

    Where an example may have several labels, the objective holds the ``threshold`` to give them at,
    chosen on the folds as well.
    """
    spec, indices_n = training.spec, training.indices_n
    small = [probe.subsample(fold, spec.seed) for fold in training.folds]
    grid = probe.L2_GRID if spec.l2 is None else (spec.l2,)
    problem = Problem(rows=training.rows, targets=targets, num_classes=len(training.classes))
    tried = probe.select(problem, views, small, grid)
    best = tried[0]
    # J is a mean over examples: the same prior on W weighs less the more examples there are.
    fitted_on = float(np.mean([len(fit) for fit, _ in small]))
    scaled = best.l2 if spec.l2 is not None else best.l2 * fitted_on / len(indices_n)
    l2 = float(f"{scaled:.3g}")
    objective = {
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
    if problem.several:
        objective["loss"] = "cross-entropy of each label, one against the rest"
        objective["threshold"] = round(probe.threshold(problem, views[best.layers], small, best.l2), 6)
    return probe.solve(problem, views[best.layers], indices_n, l2), objective
