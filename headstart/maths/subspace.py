"""How unlike the training data an input is, by the share of it that lies where that data hardly varies.

    score(x) = 1 - |P^T (x - m)|^2 / |x - m|^2

with m the training examples' mean and P the directions in which they vary most: the residual of H. Wang et
al., "ViM: Out-Of-Distribution with Virtual-logit Matching", CVPR 2022, arXiv 2203.10807, over the vector's
own size. That does not count: a mean over many sentences or tokens lies nearer to m than one over few,
whatever they say. No classes are needed.

Shape letters: N examples, D features, R directions.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_MOST = 128
_EXAMPLES_A_DIRECTION = 4


def learn(x_ND: Array) -> dict[str, Array]:
    """Return the mean [D] and the leading directions [D, R], float32: at most 128, and half of all."""
    mean_D = x_ND.mean(axis=0, dtype=np.float64)
    _, sizes_R, directions_RD = np.linalg.svd(x_ND.astype(np.float64) - mean_D, full_matrices=False)
    most = min(_MOST, len(x_ND) // _EXAMPLES_A_DIRECTION, x_ND.shape[1] // 2)
    count = max(1, min(most, int((sizes_R > 1e-6 * sizes_R[0]).sum())))
    leading_DR = np.ascontiguousarray(directions_RD[:count].T, dtype=np.float32)
    return {"mean": mean_D.astype(np.float32), "directions": leading_DR}


def scores(learnt: dict[str, Array], x_ND: Array) -> Array:
    """Return each input's score, 0 to 1, float64 [N]."""
    away_ND = x_ND.astype(np.float64) - learnt["mean"]
    along_NR = away_ND @ learnt["directions"].astype(np.float64)
    squares_N = np.maximum((away_ND**2).sum(axis=1), 1e-12)
    return np.asarray(1.0 - (along_NR**2).sum(axis=1) / squares_N)
