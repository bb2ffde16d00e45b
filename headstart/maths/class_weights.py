"""How much each class of masks counts in a loss: rare ones more.

With f_k the share of the taught pixels that class k covers, of those classes that have any:

    balanced   w_k = 1 / (K f_k)        each class counts as much as any other, whatever it covers
    sqrt       w_k = c / sqrt(f_k)      half-way there, on a logarithmic scale

c makes the mean over pixels, sum over k of f_k w_k, 1 as it is without weights: a learning rate or a lambda
means the same with any of them. A class without a pixel has weight 1.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
POWERS = {"none": 0.0, "sqrt": 0.5, "balanced": 1.0}


def of(areas_K: Array, kind: str) -> Array:
    """Return the classes' weights float32 [K] from how many pixels each covers."""
    weights_K = np.ones(len(areas_K))
    there_K = areas_K > 0
    shares_k = areas_K[there_K] / max(float(areas_K.sum()), 1e-9)
    raised_k = shares_k ** -POWERS[kind]
    weights_K[there_K] = raised_k / max(float(shares_k @ raised_k), 1e-9)
    return weights_K.astype(np.float32)
