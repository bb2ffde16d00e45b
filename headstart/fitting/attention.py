"""Which channels a penalty minds most: those that a trained head would miss (DELTA, arXiv 1901.09229, eq. 6).

    W_j = softmax over channels j of  L without F_j  -  L

How much the loss grows without a channel is taken to first order, - sum over positions of F_j dL/dF_j
(Molchanov et al., arXiv 1611.06440, eq. 7): one pass back tells it of every channel of every block. As
the losses differ by little, differences are standardised, and divided by 5, before the softmax.
Shape letters: n examples, P positions, C channels.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from headstart.core.frameworks import prepare_torch
from headstart.fitting.penalised import positions

if TYPE_CHECKING:
    from torch import Tensor

    Passes = Iterable[tuple[Mapping[str, Tensor], Mapping[str, Tensor], Tensor]]

_SOFTENED = 5.0


def attention(passes: "Passes") -> "dict[str, Tensor]":
    """Return how much each channel counts [C], 1 on average, by block.

    ``passes`` are batches: inputs, the blocks' outputs, and the sum of the losses. Blocks whose output no
    gradient reaches are left out.
    """
    torch = prepare_torch()
    growth: dict[str, Tensor] = {}
    for inputs, outputs, loss in passes:
        reached = {name: one for name, one in outputs.items() if one.requires_grad}
        slopes = torch.autograd.grad(loss, list(reached.values()), allow_unused=True)
        for (name, output), slope in zip(reached.items(), slopes, strict=True):
            if slope is not None:
                grown_C = -positions(output.detach() * slope, inputs)[0].sum((0, 1))
                growth[name] = growth.get(name, torch.zeros_like(grown_C)) + grown_C
    return {name: _shares(grown_C) for name, grown_C in growth.items()}


def _shares(grown_C: "Tensor") -> "Tensor":
    """Return C times the softmax of what is standardised."""
    spread = grown_C.std(unbiased=False).clamp_min(1e-30)
    return len(grown_C) * ((grown_C - grown_C.mean()) / spread / _SOFTENED).softmax(0)
