"""Losses of masks in torch: one sum a picture over the area of it that is taught, so that pictures add up.

The truth are shares: a_ck is how much of cell c class k covers. Ignored pixels belong to no class, so that
A = sum over c and k of a_ck is the area that is taught. p_ck are the probabilities.

Shape letters: n pictures, K classes, H W rows and columns of cells.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

GAMMA = 2.0
_TINY = 1e-9


def cross_entropy(logits_nKHW: "Tensor", shares_nKHW: "Tensor", weights_K: "Tensor") -> "Tensor":
    """Return  - sum over c and k of w_k a_ck log p_ck  of each picture [n]."""
    weighted_nKHW = shares_nKHW * weights_K[:, None, None]
    return -(weighted_nKHW * logits_nKHW.log_softmax(dim=1)).sum(dim=(1, 2, 3))


def focal(logits_nKHW: "Tensor", shares_nKHW: "Tensor", weights_K: "Tensor") -> "Tensor":
    """Return  - sum over c and k of w_k a_ck (1 - p_ck)^gamma log p_ck  of each picture [n].

    Lin et al., arXiv 1708.02002, eq. 5, with gamma = 2 as they advise.
    """
    log_p_nKHW = logits_nKHW.log_softmax(dim=1)
    weighted_nKHW = shares_nKHW * weights_K[:, None, None] * (1 - log_p_nKHW.exp()) ** GAMMA
    return -(weighted_nKHW * log_p_nKHW).sum(dim=(1, 2, 3))


def dice(logits_nKHW: "Tensor", shares_nKHW: "Tensor", weights_K: "Tensor") -> "Tensor":
    """Return  A (1 - D)  of each picture [n], D the mean of D_k, weighted by w_k, over the classes it shows.

        D_k = 2 sum over c of q_ck a_ck / (sum over c of q_ck^2 + sum over c of a_ck^2)

    with q_ck = p_ck times how much of the cell is taught. Milletari et al. (V-Net), arXiv 1606.04797,
    section 3: its squares make q = a the best answer also where a cell is shared.
    """
    taught_n1HW = shares_nKHW.sum(dim=1, keepdim=True)
    q_nKHW = logits_nKHW.softmax(dim=1) * taught_n1HW
    both_nK = (q_nKHW * shares_nKHW).sum(dim=(2, 3))
    squares_nK = (q_nKHW**2).sum(dim=(2, 3)) + (shares_nKHW**2).sum(dim=(2, 3))
    shown_nK = (shares_nKHW.sum(dim=(2, 3)) > 0) * weights_K
    d_n = (shown_nK * 2 * both_nK / (squares_nK + _TINY)).sum(dim=1) / (shown_nK.sum(dim=1) + _TINY)
    return taught_n1HW.sum(dim=(1, 2, 3)) * (1 - d_n)


Loss = Callable[["Tensor", "Tensor", "Tensor"], "Tensor"]
LOSSES: Mapping[str, tuple[Loss, ...]] = {
    "cross-entropy": (cross_entropy,),
    "dice": (dice,),
    "focal": (focal,),
    "cross-entropy+dice": (cross_entropy, dice),
}
"""By name, the losses that are added up."""
