"""Heads of several labels as they train together with the model below them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, final

import numpy as np

from headstart.contracts import Above, Array, Augmentation, Column
from headstart.core.frameworks import prepare_torch
from headstart.maths import logistic, temperature
from headstart.maths.softmax import Linear
from headstart.model.labels import LabelHead

if TYPE_CHECKING:
    from torch import Tensor

_EVEN = 0.5


@final
class LabelsAbove(Above):
    """A logistic regression a label; temperature and threshold are chosen when it has been trained."""

    def __init__(self, targets_NK: Array, columns: Sequence[Column], head: LabelHead | None) -> None:
        torch = prepare_torch()
        self.targets_NK = targets_NK
        self.columns = tuple(columns) if head is None else head.columns
        self.threshold = _EVEN if head is None else head.threshold
        width = sum(column.stop - column.start for column in self.columns)
        with torch.random.fork_rng(devices=[]):  # what is drawn is overwritten
            self.module: Any = torch.nn.Linear(width, targets_NK.shape[1])
        weight_DK = np.zeros((width, targets_NK.shape[1])) if head is None else head.layer.weight_DK
        bias_K = np.zeros(targets_NK.shape[1]) if head is None else head.layer.bias_K
        with torch.no_grad():
            self.module.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight_DK.T)))
            self.module.bias.copy_(torch.from_numpy(bias_K))

    def losses(
        self,
        seen: Mapping[str, Any],
        inputs: Mapping[str, Any],
        places_n: Array,
        augmentations: Sequence[Augmentation] | None,
    ) -> "tuple[Tensor, Array]":
        """Return each example's log loss, the mean over labels, and ones."""
        torch = prepare_torch()
        logits_nK = self._logits(seen)
        y_nK = torch.from_numpy(self.targets_NK[places_n]).float()
        losses_nK = torch.nn.functional.binary_cross_entropy_with_logits(logits_nK, y_nK, reduction="none")
        return losses_nK.mean(dim=1), np.ones(len(places_n))

    def settle(self, held_out: Iterable[tuple[Mapping[str, Any], Array]]) -> Mapping[str, float]:
        """Choose by held-out examples what to divide logits by, and by F1 the threshold; return both."""
        torch = prepare_torch()
        both = [(self._logits(seen).detach().double().numpy(), places_n) for seen, places_n in held_out]
        logits_NK, places_N = (np.concatenate(one) for one in zip(*both, strict=True))
        y_NK = self.targets_NK[places_N]
        factor = temperature.factor(logits_NK, y_NK, logistic.cross_entropy)
        self.threshold = logistic.threshold(logistic.probabilities(factor * logits_NK), y_NK)
        with torch.no_grad():
            for parameter in self.module.parameters():
                parameter.mul_(factor)
        return {"temperature": temperature.told(factor), "threshold": self.threshold}

    def _logits(self, seen: Mapping[str, Any]) -> "Tensor":
        torch = prepare_torch()
        logits_nK: Tensor = self.module(torch.cat([seen[column.name] for column in self.columns], 1)).float()
        return logits_nK

    def head(self) -> LabelHead:
        """Return the layer as it stands."""
        weight_KD, bias_K = (one.detach().numpy().copy() for one in self.module.parameters())
        return LabelHead(self.columns, Linear(np.ascontiguousarray(weight_KD.T), bias_K), self.threshold)
