"""BSS: batch spectral shrinkage, against negative transfer (Chen et al., NeurIPS 2019, eq. 4).

R = sum over the k smallest singular values of sigma^2, of the matrix [n, C] of a batch's features, here the
last block's outputs averaged over positions; k = 1, as the paper takes it. It is a function of the batch:
where a step is taken in parts, of each part.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, final

from headstart.contracts import Penalty, Seen, Weights
from headstart.core.frameworks import prepare_torch

if TYPE_CHECKING:
    from torch import Tensor

_SMALLEST = 1


@final
class BSS(Penalty):
    """The smallest singular values of the batch's features, squared."""

    name = "bss"
    alpha = 1e-3
    needs_start = False
    attends = False
    formula = "σ², σ the smallest singular value of a batch's features"

    def of_weights(self, weights: Weights) -> "Tensor | None":
        """Return nothing."""
        return None

    def of_outputs(self, now: Sequence[Seen], start: "Callable[[], Sequence[Seen]]") -> "Tensor | None":
        """Return it."""
        torch = prepare_torch()
        features_nC = now[-1].values_nPC.sum(1) / now[-1].count_n[:, None]
        squares: Tensor = torch.linalg.svdvals(features_nC)[-_SMALLEST:] ** 2
        return squares.sum()
