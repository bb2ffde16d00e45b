"""A dense head with one hidden layer, trained by gradient steps on cached features."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, final

import numpy as np

from headstart.contracts import Array, Column, Fold
from headstart.core.frameworks import prepare_torch
from headstart.fitting.loop import Objective, minimise, shuffled
from headstart.fitting.probe import Problem, View
from headstart.fitting.recipe import Recipe
from headstart.maths import softmax
from headstart.model.head import DenseHead

if TYPE_CHECKING:
    from torch import Tensor, nn


def train(
    problem: Problem, columns: Sequence[Column], fold: Fold, hidden: int, l2: float, recipe: Recipe
) -> tuple[DenseHead, list[dict[str, float]]]:
    """Train on the fold's first part, keep the epoch that is best on its second.

    Returns the head and the history: loss and validation figures by epoch. Raises UserError where
    the learning rate makes the loss diverge.
    """
    objective = _Dense(problem, columns, fold, hidden, l2, recipe)
    history = minimise(objective, recipe, "Training the head")
    return objective.head(), history


@final
class _Dense(Objective):
    """Cross-entropy of two dense layers on standardised features, plus l2 / 2 ||W||^2."""

    def __init__(
        self, problem: Problem, columns: Sequence[Column], fold: Fold, hidden: int, l2: float, recipe: Recipe
    ) -> None:
        torch = prepare_torch()
        self.problem, self.columns, self.l2, self.recipe = problem, columns, l2, recipe
        self.fit, self.held_out = fold
        self.view = View.of_columns(problem.rows, columns)
        self.scaling = _unit_variance(
            softmax.scaling(self.view.read(part) for part in self.view.pieces(self.fit))
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.module = _network(len(self.scaling.mean_D), hidden, problem.num_classes)

    def batches(self, epoch: int) -> Sequence[Array]:
        """Return the examples, shuffled anew each epoch."""
        order = shuffled(self.fit, (self.recipe.seed, epoch))
        step = self.recipe.batch_size
        return [order[start : start + step] for start in range(0, len(order), step)]

    def loss(self, places_n: Array, epoch: int) -> "tuple[Tensor, float]":
        """Return the sum over examples; the penalty counts once for each, so that the mean holds it once."""
        torch = prepare_torch()
        x_nD = torch.from_numpy(self.scaling.apply(self.view.read(places_n)))
        loss = torch.nn.functional.cross_entropy(
            self.module(x_nD),
            torch.from_numpy(self.problem.targets[places_n]),
            reduction="sum",
            label_smoothing=self.recipe.label_smoothing,
        )
        # The penalty is in the loss, so that the objective is the one that is reported.
        squares = sum((one**2).sum() for one in self.module.parameters() if one.ndim > 1)
        return loss + len(places_n) * self.l2 / 2 * squares, float(len(places_n))

    def validate(self) -> Mapping[str, float]:
        """Return log loss and accuracy on the held-out examples."""
        loss, right, head = 0.0, 0, self.head()
        for part in self.view.pieces(self.held_out):
            p_nK, y_n = head.outputs(self.view.read(part)), self.problem.targets[part]
            loss -= float(np.log(np.maximum(p_nK[np.arange(len(y_n)), y_n], 1e-15)).sum())
            right += int((p_nK.argmax(axis=1) == y_n).sum())
        return {"log_loss": loss / len(self.held_out), "accuracy": right / len(self.held_out)}

    def head(self) -> DenseHead:
        """Return the module as it stands, on features as they are."""
        tensors: list[Any] = [tensor.detach().numpy() for tensor in self.module.parameters()]
        first = softmax.Linear(tensors[0].T.astype(np.float64), tensors[1].astype(np.float64))
        second = softmax.Linear(tensors[2].T.copy(), tensors[3].copy())
        return DenseHead.of(self.columns, [self.scaling.fold(first), second])


def _network(num_features: int, hidden: int, num_classes: int) -> "nn.Sequential":
    from torch import nn

    return nn.Sequential(nn.Linear(num_features, hidden), nn.ReLU(), nn.Linear(hidden, num_classes))


def _unit_variance(scaling: softmax.Scaling) -> softmax.Scaling:
    varying = max(int((scaling.gain_D > 0).sum()), 1)
    return replace(scaling, gain_D=scaling.gain_D * np.float32(np.sqrt(varying)))
