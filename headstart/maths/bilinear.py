"""Bilinear resizing as two matrix products, so that its adjoint and any target size come for free.

Pixel centres lie at (i + 1/2) / size, as in torch's ``interpolate(align_corners=False)``: a map and a
picture cover the same square. Beyond the outermost centres the outermost value goes on.

Shape letters: A source size, B target size, H, W rows and columns.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@lru_cache(maxsize=256)
def matrix(source: int, target: int) -> Array:
    """Return float32 [B, A] that takes ``source`` values along one axis to ``target`` ones; rows sum to 1."""
    at_B = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    low_B = np.minimum(at_B.astype(np.int64), max(source - 2, 0))
    share_B = at_B - low_B
    weights_BA = np.zeros((target, source), dtype=np.float64)
    rows = np.arange(target)
    weights_BA[rows, low_B] += 1 - share_B
    weights_BA[rows, np.minimum(low_B + 1, source - 1)] += share_B
    weights_BA = weights_BA.astype(np.float32)
    weights_BA.flags.writeable = False
    return weights_BA


def resize(maps: Array, height: int, width: int) -> Array:
    """Return maps [..., h, w] at [..., height, width]."""
    if maps.shape[-2:] == (height, width):
        return maps
    return np.asarray(matrix(maps.shape[-2], height) @ maps @ matrix(maps.shape[-1], width).T)


def adjoint(maps: Array, height: int, width: int) -> Array:
    """Return the transpose of ``resize``: from maps [..., H, W] back to [..., height, width]."""
    if maps.shape[-2:] == (height, width):
        return maps
    return np.asarray(matrix(height, maps.shape[-2]).T @ maps @ matrix(width, maps.shape[-1]))
