"""A dense head with one hidden layer, trained by gradient steps on cached features.

The order of the examples is a pure function of (seed, epoch); the weights kept are those of the
epoch with the lowest log loss on the validation fold.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.contracts import Array, Column, Fold
from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch
from headstart.core.progress import progress
from headstart.fitting.probe import Problem, View
from headstart.maths import softmax
from headstart.model.head import DenseHead
from headstart.specs import FitSpec

if TYPE_CHECKING:
    from torch import nn

_CHUNK = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How the head is stepped."""

    hidden: int
    optimizer: str
    epochs: int
    batch_size: int
    learning_rate: float
    l2: float

    def describe(self) -> str:
        """Return the recipe in words."""
        steps = f"{self.epochs} epochs, batches of {self.batch_size}, step {self.learning_rate:g}"
        return f"{self.optimizer}, {steps}, the best epoch on validation data kept"

    @staticmethod
    def from_spec(spec: FitSpec) -> "Recipe":
        """Fill what the user left open with the textbook's values."""
        optimizer = spec.optimizer or "adamw"
        return Recipe(
            hidden=spec.head_hidden or 1024,
            optimizer=optimizer,
            epochs=spec.epochs or 20,
            batch_size=spec.batch_size or 32,
            learning_rate=spec.learning_rate or (1e-2 if optimizer == "sgd" else 1e-3),
            l2=spec.l2 or 0.0,
        )


def train(
    problem: Problem, columns: Sequence[Column], fold: Fold, recipe: Recipe, seed: int
) -> tuple[DenseHead, list[dict[str, Any]]]:
    """Train on the fold's first part, keep the epoch that is best on its second.

    Returns the head and the history: loss and validation figures by epoch. Raises UserError where
    the learning rate makes the loss diverge.
    """
    torch = prepare_torch()
    fit, validate = fold
    view = View.of_columns(problem.rows, columns)
    scaling = _unit_variance(softmax.scaling(view.read(part) for part in view.pieces(fit)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _network(len(scaling.mean_D), recipe.hidden, problem.num_classes)
    optimizer = _optimizer(model, recipe)
    history: list[dict[str, Any]] = []
    best, best_loss = None, math.inf
    with progress(recipe.epochs * len(fit), "Training the head", "examples") as advance:
        for epoch in range(recipe.epochs):
            total = 0.0
            for x_nD, y_n in _batches(problem, columns, fit, recipe.batch_size, (seed, epoch)):
                logits_nK = model(torch.from_numpy(scaling.apply(x_nD)))
                loss = torch.nn.functional.cross_entropy(logits_nK, torch.from_numpy(y_n))
                loss = loss + recipe.l2 / 2 * sum((p**2).sum() for p in model.parameters() if p.ndim > 1)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.item() * len(y_n)
                advance(len(y_n))
            head = _head(model, scaling, columns)
            figures = _validate(head, problem, validate)
            history.append({"epoch": epoch + 1, "loss": _finite(total / len(fit), epoch, recipe), **figures})
            if figures["log_loss"] < best_loss:
                best, best_loss = head, figures["log_loss"]
    if best is None:
        raise AssertionError("no epoch was trained")
    return best, history


def _batches(
    problem: Problem, columns: Sequence[Column], fit: Array, batch_size: int, key: tuple[int, int]
) -> Iterator[tuple[Array, Array]]:
    """Yield the epoch's batches; features are read a chunk of batches at a time."""
    order = fit[np.random.default_rng(key).permutation(len(fit))]
    step = max(batch_size, _CHUNK // batch_size * batch_size)
    for start in range(0, len(order), step):
        part = order[start : start + step]
        x_nD, y_n = problem.rows.read(part, columns), problem.targets[part]
        for first in range(0, len(part), batch_size):
            yield x_nD[first : first + batch_size], y_n[first : first + batch_size]


def _network(num_features: int, hidden: int, num_classes: int) -> "nn.Sequential":
    from torch import nn

    return nn.Sequential(nn.Linear(num_features, hidden), nn.ReLU(), nn.Linear(hidden, num_classes))


def _optimizer(model: "nn.Module", recipe: Recipe) -> Any:
    from torch import optim

    kinds = {"adamw": optim.AdamW, "adam": optim.Adam, "rmsprop": optim.RMSprop, "sgd": optim.SGD}
    momentum = {"momentum": 0.9} if recipe.optimizer == "sgd" else {}
    # The penalty is in the loss, so that the objective is the one that is reported.
    return kinds[recipe.optimizer](model.parameters(), lr=recipe.learning_rate, weight_decay=0.0, **momentum)


def _unit_variance(scaling: softmax.Scaling) -> softmax.Scaling:
    varying = max(int((scaling.gain_D > 0).sum()), 1)
    return replace(scaling, gain_D=scaling.gain_D * np.float32(np.sqrt(varying)))


def _head(model: "nn.Module", scaling: softmax.Scaling, columns: Sequence[Column]) -> DenseHead:
    tensors = [tensor.detach().numpy() for tensor in model.parameters()]
    first = scaling.fold(softmax.Linear(tensors[0].T.astype(np.float64), tensors[1].astype(np.float64)))
    second = softmax.Linear(tensors[2].T.copy(), tensors[3].copy())
    return DenseHead.of(columns, [first, second])


def _validate(head: DenseHead, problem: Problem, validate: Array) -> dict[str, float]:
    loss, right = 0.0, 0
    view = View.of_columns(problem.rows, head.columns)
    for part in view.pieces(validate):
        p_nK, y_n = head.outputs(view.read(part)), problem.targets[part]
        loss -= float(np.log(np.maximum(p_nK[np.arange(len(y_n)), y_n], 1e-15)).sum())
        right += int((p_nK.argmax(axis=1) == y_n).sum())
    return {"log_loss": loss / len(validate), "accuracy": right / len(validate)}


def _finite(loss: float, epoch: int, recipe: Recipe) -> float:
    if not math.isfinite(loss):
        raise UserError(
            f"the loss diverged in epoch {epoch + 1}",
            "a finite loss",
            f"give a --learning-rate below {recipe.learning_rate:g}",
        )
    return loss
