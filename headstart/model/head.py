"""Dense layers over some columns of a row of features, softmax at the end, run in NumPy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from headstart.contracts import Array, Column, Head, Units
from headstart.maths import softmax


@final
@dataclass(frozen=True, slots=True)
class DenseHead(Head):
    """Dense layers with ReLU between them; outputs are class probabilities."""

    columns: tuple[Column, ...]
    layers: tuple[softmax.Linear, ...]

    @staticmethod
    def of(columns: Sequence[Column], layers: Sequence[softmax.Linear]) -> "DenseHead":
        """Make a head of float32 layers, as it is saved, so that it predicts the same when loaded."""
        return DenseHead(tuple(columns), tuple(one.as_float32() for one in layers))

    @property
    def hidden(self) -> int:
        """How many units are between features and classes; 0 where the layer is one."""
        return self.layers[0].bias_K.size if len(self.layers) > 1 else 0

    def outputs(self, seen_mD: Array, units: Units = ()) -> Array:
        """Return probabilities float64 [n, K]: every example is one unit.

        Each example is multiplied in float64, so that it gets the same answer in any batch.
        """
        hidden_nH = seen_mD.astype(np.float64)
        for index, layer in enumerate(self.layers):
            if index:
                hidden_nH = np.maximum(hidden_nH, 0.0)
            hidden_nH = layer.logits(hidden_nH)
        return softmax.probabilities(hidden_nH)

    def parameters(self) -> int:
        """Return how many weights and biases there are."""
        return sum(layer.weight_DK.size + layer.bias_K.size for layer in self.layers)

    def tensors(self) -> dict[str, Array]:
        """Return the weights by name."""
        named: dict[str, Array] = {}
        for index, layer in enumerate(self.layers):
            named[f"{index}.weight"] = np.ascontiguousarray(layer.weight_DK)
            named[f"{index}.bias"] = layer.bias_K
        return named

    def facts(self) -> dict[str, Any]:
        """Return nothing: shapes say it all."""
        return {}

    def files(self) -> dict[str, Any]:
        """Return nothing: no other library has this head."""
        return {}

    @staticmethod
    def restore(columns: Sequence[Column], tensors: Mapping[str, Array]) -> "DenseHead":
        """Rebuild a head from its tensors."""
        count = sum(name.endswith(".weight") for name in tensors)
        layers = [softmax.Linear(tensors[f"{i}.weight"], tensors[f"{i}.bias"]) for i in range(count)]
        return DenseHead(tuple(columns), tuple(layers))


def seen(columns: Sequence[Column], features_ND: Array) -> Array:
    """Return the columns [N, d] that a head sees, from whole rows of features."""
    return np.concatenate([features_ND[:, column.start : column.stop] for column in columns], axis=1)
