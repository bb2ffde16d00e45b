"""A dense head with one hidden layer, trained by gradient steps on cached features."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np

from headstart.contracts import Above, Array, Augmentation, Column, Training
from headstart.core.frameworks import prepare_torch
from headstart.fitting.checkpoints import Checkpoints
from headstart.fitting.linear import problem_of
from headstart.fitting.loop import Objective, minimise, shuffled
from headstart.fitting.penalised import of_head
from headstart.fitting.probe import Problem, View
from headstart.fitting.recipe import Recipe
from headstart.maths import softmax, temperature
from headstart.model.head import DenseHead
from headstart.specs import FitSpec

if TYPE_CHECKING:
    from torch import Tensor, nn


def train(
    training: Training, columns: Sequence[Column], l2: float, recipe: Recipe
) -> tuple[DenseHead, list[dict[str, float]], float]:
    """Train on the first fold's first part; its second part chooses the epoch, then the temperature.

    It goes on from the head that the training has begun with, else from a new one. Returns the head, the
    history (loss and validation figures by epoch), and the temperature that its logits have been divided
    by. Raises UserError where the learning rate makes the loss diverge.
    """
    objective = _Dense(training, columns, l2, recipe)
    history = minimise(objective, recipe, "Training the head", Checkpoints(training.checkpoints / "head"))
    factor = objective.factor()
    *below, last = objective.head().layers
    return DenseHead.of(columns, [*below, last.times(factor)]), history, temperature.told(factor)


@final
class _Dense(Objective):
    """Cross-entropy of two dense layers on standardised features, plus l2 / 2 ||W||^2."""

    def __init__(self, training: Training, columns: Sequence[Column], l2: float, recipe: Recipe) -> None:
        torch = prepare_torch()
        self.l2, self.spec = l2, training.spec
        begun = cast(DenseHead | None, training.begun)
        self.starts_trained = begun is not None
        hidden = begun.hidden if begun is not None else training.spec.head_hidden or 1
        self.problem, self.columns, self.recipe = problem_of(training), columns, recipe
        self.fit, self.held_out = training.folds[0]
        self.view = View.of_columns(training.rows, columns)
        self.scaling = _unit_variance(
            softmax.scaling(self.view.read(part) for part in self.view.pieces(self.fit))
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.module = _network(len(self.scaling.mean_D), hidden, self.problem.num_classes)
        if begun is not None:
            _fill(self.module, [self.scaling.unfold(begun.layers[0]), *begun.layers[1:]])

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

    def penalty(self) -> "Tensor | None":
        """Return what was asked for beside ``l2``."""
        return of_head(self.spec, self.module)

    def validate(self) -> Mapping[str, float]:
        """Return log loss and accuracy on the held-out examples."""
        loss, right = 0.0, 0
        for p_nK, y_n in self._said():
            loss -= float(np.log(np.maximum(p_nK[np.arange(len(y_n)), y_n], 1e-15)).sum())
            right += int((p_nK.argmax(axis=1) == y_n).sum())
        return {"log_loss": loss / len(self.held_out), "accuracy": right / len(self.held_out)}

    def factor(self) -> float:
        """Return what logits are best multiplied by, on the held-out examples."""
        p_NK, y_N = (np.concatenate(one) for one in zip(*self._said(), strict=True))
        log_p_NK = np.log(np.maximum(p_NK, np.finfo(np.float64).tiny))  # logits, but for a constant each
        return temperature.factor(log_p_NK, y_N, softmax.cross_entropy)

    def _said(self) -> Iterator[tuple[Array, Array]]:
        """Yield what is said of the held-out examples [n, K], and the truth [n], in pieces."""
        head = self.head()
        for part in self.view.pieces(self.held_out):
            yield head.outputs(self.view.read(part)), self.problem.targets[part]

    def head(self) -> DenseHead:
        """Return the module as it stands, on features as they are."""
        tensors: list[Any] = [tensor.detach().numpy() for tensor in self.module.parameters()]
        first = softmax.Linear(tensors[0].T.astype(np.float64), tensors[1].astype(np.float64))
        second = softmax.Linear(tensors[2].T.copy(), tensors[3].copy())
        return DenseHead.of(self.columns, [self.scaling.fold(first), second])


@final
class DenseAbove(Above):
    """Dense layers on pooled features as they are; what they see is put side by side."""

    def __init__(
        self, problem: Problem, columns: Sequence[Column], head: DenseHead | None, spec: FitSpec
    ) -> None:
        torch = prepare_torch()
        self.problem, self.smoothing = problem, spec.label_smoothing or 0.0
        self.columns = tuple(columns) if head is None else head.columns
        width = sum(column.stop - column.start for column in self.columns)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(spec.seed)
            hidden = spec.head_hidden if head is None else head.hidden
            if hidden:
                self.module = _network(width, hidden, problem.num_classes)
            else:
                self.module = torch.nn.Sequential(torch.nn.Linear(width, problem.num_classes))
        if head is not None:
            _fill(self.module, head.layers)

    def losses(
        self,
        seen: Mapping[str, Any],
        inputs: Mapping[str, Any],
        places_n: Array,
        augmentations: Sequence[Augmentation] | None,
    ) -> "tuple[Tensor, Array]":
        """Return each example's cross-entropy, and ones."""
        torch = prepare_torch()
        logits_nK = self._logits(seen)
        y_n = torch.from_numpy(self.problem.targets[places_n])
        losses_n = torch.nn.functional.cross_entropy(
            logits_nK, y_n, reduction="none", label_smoothing=self.smoothing if self.module.training else 0.0
        )
        return losses_n, np.ones(len(places_n))

    def settle(self, held_out: Iterable[tuple[Mapping[str, Any], Array]]) -> Mapping[str, float]:
        """Divide the logits by the temperature that suits held-out examples best; return it."""
        torch = prepare_torch()
        both = [(self._logits(seen).detach().double().numpy(), places_n) for seen, places_n in held_out]
        logits_NK, places_N = (np.concatenate(one) for one in zip(*both, strict=True))
        factor = temperature.factor(logits_NK, self.problem.targets[places_N], softmax.cross_entropy)
        with torch.no_grad():
            for parameter in self.module[-1].parameters():
                parameter.mul_(factor)
        return {"temperature": temperature.told(factor)}

    def _logits(self, seen: Mapping[str, Any]) -> "Tensor":
        torch = prepare_torch()
        logits_nK: Tensor = self.module(torch.cat([seen[column.name] for column in self.columns], 1)).float()
        return logits_nK

    def head(self) -> DenseHead:
        """Return the layers as they stand."""
        tensors: list[Any] = [tensor.detach().numpy() for tensor in self.module.parameters()]
        pairs = zip(tensors[::2], tensors[1::2], strict=True)
        return DenseHead.of(self.columns, [softmax.Linear(w.T.copy(), b.copy()) for w, b in pairs])


def _network(num_features: int, hidden: int, num_classes: int) -> "nn.Sequential":
    from torch import nn

    return nn.Sequential(nn.Linear(num_features, hidden), nn.ReLU(), nn.Linear(hidden, num_classes))


def _fill(module: "nn.Sequential", layers: Sequence[softmax.Linear]) -> None:
    """Give a module the weights of the layers."""
    torch = prepare_torch()
    arrays = [array for layer in layers for array in (layer.weight_DK.T, layer.bias_K)]
    with torch.no_grad():
        for parameter, array in zip(module.parameters(), arrays, strict=True):
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(array)))


def _unit_variance(scaling: softmax.Scaling) -> softmax.Scaling:
    varying = max(int((scaling.gain_D > 0).sum()), 1)
    return replace(scaling, gain_D=scaling.gain_D * np.float32(np.sqrt(varying)))
