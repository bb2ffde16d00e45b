"""L2: weights stay small. R = 1/2 ||w||^2, norms and biases spared (Krogh and Hertz, NeurIPS 1991, eq. 1)."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, final

from headstart.contracts import Penalty, Seen, Weights
from headstart.penalties._weights import half_squares, matrices

if TYPE_CHECKING:
    from torch import Tensor


@final
class L2(Penalty):
    """Half the sum of the squares of all weights that train."""

    name = "l2"
    alpha = 1e-4
    needs_start = False
    attends = False
    formula = "½ ‖θ‖²"

    def of_weights(self, weights: Weights) -> "Tensor | None":
        """Return it."""
        return half_squares(matrices(weights))

    def of_outputs(self, now: Sequence[Seen], start: "Callable[[], Sequence[Seen]]") -> "Tensor | None":
        """Return nothing."""
        return None
