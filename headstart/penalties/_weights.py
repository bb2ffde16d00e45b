"""What several penalties measure of the weights."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from headstart.contracts import Weights
from headstart.core.frameworks import prepare_torch

if TYPE_CHECKING:
    from torch import Tensor


def matrices(weights: Weights) -> "list[Tensor]":
    """Return all weights that train, without norms and biases."""
    return [one for one in (*weights.pretrained.values(), *weights.new) if one.ndim > 1]


def moves(weights: Weights) -> "list[Tensor]":
    """Return how far each of the pretrained model's weights has moved."""
    return [one - weights.start[name] for name, one in weights.pretrained.items()]


def half_squares(tensors: "Sequence[Tensor]") -> "Tensor":
    """Return half the sum of their squares."""
    torch = prepare_torch()
    total: Tensor = torch.as_tensor(sum((one**2).sum() for one in tensors))
    return total / 2
