"""Directions in which features vary, each scaled to variance 1: where the data varies little counts as much.

What tells another style from the one trained on lies in directions of small variance as often as not.
Shape letters: N examples, D features, R directions.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_MOST = 128
_EXAMPLES_A_DIRECTION = 4


@dataclass(frozen=True, slots=True)
class Whitening:
    """Takes features [N, D] to z = (x - mean) P, with P [D, R]."""

    mean_D: Array
    project_DR: Array

    def apply(self, x_ND: Array) -> Array:
        """Return the whitened features float64 [N, R]; each row's answer is its own."""
        return np.asarray((x_ND.astype(np.float64) - self.mean_D) @ self.project_DR.astype(np.float64))


def whitening(x_ND: Array) -> Whitening:
    """Return the leading directions: as many as a quarter of the examples can tell of, 128 at most."""
    mean_D = x_ND.mean(axis=0, dtype=np.float64)
    _, sizes_R, directions_RD = np.linalg.svd(x_ND.astype(np.float64) - mean_D, full_matrices=False)
    count = int(min(_MOST, max(1, len(x_ND) // _EXAMPLES_A_DIRECTION), (sizes_R > 1e-6 * sizes_R[0]).sum()))
    deviation_R = np.maximum(sizes_R[:count], 1e-12) / np.sqrt(len(x_ND))
    project_DR = directions_RD[:count].T / deviation_R
    return Whitening(mean_D.astype(np.float32), np.ascontiguousarray(project_DR, dtype=np.float32))
