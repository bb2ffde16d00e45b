"""A fitted head: dense layers over some columns of a row of features, run in NumPy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.contracts import Array, Column
from headstart.maths import softmax


@dataclass(frozen=True, slots=True)
class Head:
    """Dense layers with ReLU between them, applied to ``columns`` of the features; softmax at the end."""

    columns: tuple[Column, ...]
    layers: tuple[softmax.Linear, ...]

    @staticmethod
    def of(columns: Sequence[Column], layers: Sequence[softmax.Linear]) -> "Head":
        """Make a head of float32 layers, as it is saved, so that it predicts the same when loaded."""
        return Head(
            tuple(columns),
            tuple(
                softmax.Linear(one.weight_DK.astype(np.float32), one.bias_K.astype(np.float32))
                for one in layers
            ),
        )

    def select(self, features_ND: Array) -> Array:
        """Return the columns the head sees, from whole rows of features."""
        return np.concatenate([features_ND[:, column.start : column.stop] for column in self.columns], axis=1)

    def probabilities(self, seen_nD: Array) -> Array:
        """Return probabilities float64 [n, K] from the columns the head sees.

        Each example is multiplied in float64, so that it gets the same answer in any batch.
        """
        hidden_nH = seen_nD.astype(np.float64)
        for index, layer in enumerate(self.layers):
            if index:
                hidden_nH = np.maximum(hidden_nH, 0.0)
            hidden_nH = layer.logits(hidden_nH)
        return softmax.probabilities(hidden_nH)

    def parameters(self) -> int:
        """Return how many numbers the head holds."""
        return sum(layer.weight_DK.size + layer.bias_K.size for layer in self.layers)

    def tensors(self, prefix: str) -> dict[str, Array]:
        """Return the weights by name, for safetensors."""
        named: dict[str, Array] = {}
        for index, layer in enumerate(self.layers):
            named[f"{prefix}.{index}.weight"] = np.ascontiguousarray(layer.weight_DK)
            named[f"{prefix}.{index}.bias"] = layer.bias_K
        return named

    def describe(self) -> list[dict[str, Any]]:
        """Return the columns as JSON."""
        return [{"name": column.name, "start": column.start, "stop": column.stop} for column in self.columns]

    @staticmethod
    def restore(prefix: str, tensors: Mapping[str, Array], described: Sequence[Mapping[str, Any]]) -> "Head":
        """Rebuild a head from ``tensors`` and ``describe``."""
        count = sum(name.startswith(f"{prefix}.") and name.endswith(".weight") for name in tensors)
        layers = [
            softmax.Linear(tensors[f"{prefix}.{index}.weight"], tensors[f"{prefix}.{index}.bias"])
            for index in range(count)
        ]
        return Head(tuple(Column(**column) for column in described), tuple(layers))
