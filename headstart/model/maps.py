"""Maps in rows of features, and a head that is linear in every pixel of them.

A linear layer commutes with bilinear resizing, whose weights sum to one: instead of resizing thousands of
channels to the finest grid, each map gets its own part of the layer and its few logits are resized.
It is exactly the linear layer on all maps resized and put side by side, at a tenth of the cost.

Shape letters: n examples, C channels, h w a map's sides, G the finest side, K classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from headstart.contracts import Array, Column, Head, Part, Units
from headstart.maths import bilinear


@dataclass(frozen=True, slots=True)
class PartLogits:
    """What is said of one picture: logits [u, K, G, G] of its parts, and which they are, None all of it."""

    logits_uKGG: Array
    parts: Sequence[Part | None]


def by_picture(logits_mKGG: Array, units: Units) -> list[PartLogits]:
    """Return the logits of n pictures from those of all their units, one picture after another."""
    stops = np.cumsum([len(one) for one in units])
    return [
        PartLogits(logits_mKGG[stop - len(one) : stop], [unit.part for unit in one])
        for stop, one in zip(stops, units, strict=True)
    ]


def side_of(column: Column) -> int:
    """Return the side of the map in a column named ``SIDExSIDE/BLOCK``."""
    return int(column.name.partition("x")[0])


def unpacked(columns: Sequence[Column], seen_nD: Array) -> list[Array]:
    """Return each column's map [n, C, h, w] from the columns side by side."""
    maps, start = [], 0
    for column in columns:
        side, width = side_of(column), column.stop - column.start
        flat = seen_nD[:, start : start + width]
        maps.append(flat.reshape(len(seen_nD), width // side**2, side, side))
        start += width
    return maps


def logits(maps: Sequence[Array], weights: Sequence[Array], bias_K: Array, side: int) -> Array:
    """Return logits [n, K, G, G] on a grid of ``side`` cells; ``weights`` are [C, K], one a map."""
    total = np.zeros((), dtype=np.float32)
    for one, weight_CK in zip(maps, weights, strict=True):
        num, channels, height, width = one.shape
        own = np.matmul(weight_CK.T, one.reshape(num, channels, height * width))
        total = total + bilinear.resize(own.reshape(num, -1, height, width), side, side)
    return np.asarray(total + bias_K[:, None, None])


@final
@dataclass(frozen=True, slots=True)
class MapHead(Head):
    """One linear layer for every pixel; it answers with logits on a grid of ``side`` x ``side`` cells."""

    columns: tuple[Column, ...]
    weights: tuple[Array, ...]
    bias_K: Array
    side: int

    def outputs(self, seen_mD: Array, units: Units) -> list[PartLogits]:
        """Return each picture's logits, float64.

        Each unit is multiplied by itself, so that it gets the same answer in any batch; in float64,
        because a feature may vary little about a large mean, which the bias takes away again.
        """
        maps = unpacked(self.columns, seen_mD)
        weights = [weight.astype(np.float64) for weight in self.weights]
        return by_picture(logits(maps, weights, self.bias_K.astype(np.float64), self.side), units)

    def parameters(self) -> int:
        """Return how many weights and biases there are."""
        return sum(weight.size for weight in self.weights) + self.bias_K.size

    def tensors(self) -> dict[str, Array]:
        """Return the weights by name."""
        named = {f"{place}.weight": np.ascontiguousarray(w) for place, w in enumerate(self.weights)}
        return {**named, "bias": self.bias_K}

    def facts(self) -> dict[str, Any]:
        """Return the side of the grid that the head answers on."""
        return {"side": self.side}

    def files(self) -> dict[str, Any]:
        """Return nothing: no other library has this head."""
        return {}

    @staticmethod
    def restore(
        columns: Sequence[Column], tensors: Mapping[str, Array], facts: Mapping[str, Any]
    ) -> "MapHead":
        """Rebuild a head from its tensors and facts."""
        weights = tuple(tensors[f"{place}.weight"] for place in range(len(columns)))
        return MapHead(tuple(columns), weights, tensors["bias"], facts["side"])
