"""L1: few weights are far from zero. R = ||w||_1, norms and biases spared (Tibshirani, 1996, eq. 1)."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, final

from headstart.contracts import Penalty, Seen, Weights
from headstart.core.frameworks import prepare_torch
from headstart.penalties._weights import matrices

if TYPE_CHECKING:
    from torch import Tensor


@final
class L1(Penalty):
    """The sum of the absolute values of all weights that train; by its subgradient, so none is exactly 0."""

    name = "l1"
    alpha = 1e-5
    needs_start = False
    attends = False
    formula = "‖θ‖₁"

    def of_weights(self, weights: Weights) -> "Tensor | None":
        """Return it."""
        torch = prepare_torch()
        total: Tensor = torch.as_tensor(sum(one.abs().sum() for one in matrices(weights)))
        return total

    def of_outputs(self, now: Sequence[Seen], start: "Callable[[], Sequence[Seen]]") -> "Tensor | None":
        """Return nothing."""
        return None
