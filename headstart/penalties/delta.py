"""DELTA: what the blocks say stays near what they said (Li et al., arXiv 1901.09229, eq. 3 to 5).

R = sum over blocks of C/P sum over channels j of W_j ||F_j(w, x) - F_j(w_0, x)||^2  +  1/2 ||w_S'||^2, F_j
a channel's map of P positions, w_S' the new weights; the mean over examples. W_j is a channel's share of the
attention (eq. 6, ``fitting/attention.py``); 1/C where training begins without a trained head.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, final

from headstart.contracts import Penalty, Seen, Weights
from headstart.core.frameworks import prepare_torch
from headstart.penalties._weights import half_squares

if TYPE_CHECKING:
    from torch import Tensor


@final
class Delta(Penalty):
    """The squared distance of every block's output from the pretrained model's, averaged over positions."""

    name = "delta"
    alpha = 1e-2
    needs_start = True
    attends = True
    formula = "mean of Σ W ‖F(θ; x) − F(θ₀; x)‖² over channels F of blocks + ½ ‖θ′‖², θ′ the head's"

    def of_weights(self, weights: Weights) -> "Tensor | None":
        """Return the new weights' part."""
        return half_squares(weights.new)

    def of_outputs(self, now: Sequence[Seen], start: "Callable[[], Sequence[Seen]]") -> "Tensor | None":
        """Return the blocks' part."""
        torch = prepare_torch()
        each = [
            (((one.values_nPC - was.values_nPC) ** 2 @ was.attention_C).sum(1) / one.count_n).mean()
            for one, was in zip(now, start(), strict=True)
        ]
        total: Tensor = torch.stack(each).sum()
        return total
