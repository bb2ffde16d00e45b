"""A linear head that gives each label a probability of its own, and the threshold to give labels at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from headstart.contracts import Array, Column, Head, Units
from headstart.maths import logistic
from headstart.maths.softmax import Linear


@dataclass(frozen=True, slots=True)
class Labelled:
    """What is said of n examples: each label's probability [n, K], and from which one on it is given."""

    probabilities_nK: Array
    threshold: float

    @staticmethod
    def of(logits_nK: Array, threshold: float) -> "Labelled":
        """Make probabilities of logits."""
        return Labelled(logistic.probabilities(logits_nK), threshold)

    @property
    def given_nK(self) -> Array:
        """Whether each label is given, bool [n, K]."""
        return np.asarray(self.probabilities_nK >= self.threshold)


@final
@dataclass(frozen=True, slots=True)
class LabelHead(Head):
    """One logistic regression a label."""

    columns: tuple[Column, ...]
    layer: Linear
    threshold: float

    def outputs(self, seen_mD: Array, units: Units = ()) -> Labelled:
        """Return every label's probability: every example is one unit.

        Each example is multiplied in float64, so that it gets the same answer in any batch.
        """
        return Labelled.of(self.layer.logits(seen_mD.astype(np.float64)), self.threshold)

    def parameters(self) -> int:
        """Return how many weights and biases there are, and the threshold."""
        return self.layer.weight_DK.size + self.layer.bias_K.size + 1

    def tensors(self) -> dict[str, Array]:
        """Return the weights by name."""
        return {"weight": np.ascontiguousarray(self.layer.weight_DK), "bias": self.layer.bias_K}

    def files(self) -> dict[str, Any]:
        """Return nothing: no other library has this head."""
        return {}

    def facts(self) -> dict[str, Any]:
        """Return the threshold."""
        return {"threshold": self.threshold}

    @staticmethod
    def restore(
        columns: Sequence[Column], tensors: Mapping[str, Array], facts: Mapping[str, Any]
    ) -> "LabelHead":
        """Rebuild a head from its tensors and facts."""
        return LabelHead(tuple(columns), Linear(tensors["weight"], tensors["bias"]), facts["threshold"])
