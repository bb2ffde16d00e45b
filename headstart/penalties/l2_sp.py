"""L2-SP: weights stay near where they started (Li, Grandvalet and Davoine, arXiv 1802.01483, eq. 2).

R = 1/2 ||w_S - w_S0||^2 + 1/2 ||w_S'||^2, w_S the weights that the pretrained model has too, w_S' the new
ones. The paper weighs the two parts by alpha and beta; here beta is alpha.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, final

from headstart.contracts import Penalty, Seen, Weights
from headstart.penalties._weights import half_squares, moves

if TYPE_CHECKING:
    from torch import Tensor


@final
class L2SP(Penalty):
    """Half the squared distance from the starting point, and half the squares of the new weights."""

    name = "l2-sp"
    alpha = 1e-2
    needs_start = True
    attends = False
    formula = "½ ‖θ − θ₀‖² + ½ ‖θ′‖², θ′ the head's"

    def of_weights(self, weights: Weights) -> "Tensor | None":
        """Return it."""
        return half_squares([*moves(weights), *weights.new])

    def of_outputs(self, now: Sequence[Seen], start: "Callable[[], Sequence[Seen]]") -> "Tensor | None":
        """Return nothing."""
        return None
