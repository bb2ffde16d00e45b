"""Nearest neighbours: how often the vote of an example's five nearest, itself left out, is right.

Cosine distance on the last layer's centred features. Studies that compare estimators find it the best
single one (arXiv 2510.06448). Where an example may have several labels, the share of neighbours with a label
is its probability, and the figure is the micro F1 at the best threshold.
"""

from typing import final

import numpy as np

from headstart.contracts import Estimator, Evidence
from headstart.contracts.data import Array, Floats
from headstart.maths import agreement

NEIGHBOURS = 5
_CELLS = 4_000_000  # similarities held at once, 16 MB: the sentences of 600 documents are many rows


@final
class Knn(Estimator):
    """Leave-one-out accuracy of a vote among neighbours."""

    name = "knn"

    def estimate(self, evidence: Evidence) -> float | None:
        """Return the share of rows, 0 to 1, whose neighbours vote right; None where there is one row."""
        x_MD = evidence.views["last"]
        if len(x_MD) < 2:
            return None
        votes_MK = _votes(x_MD, evidence.indicators_MK)
        return agreement.of_scores(votes_MK, evidence.targets)


def _votes(x_MD: Floats, y_MK: Array) -> Array:
    """Return the mean targets of each row's neighbours [M, K]; a nearer one breaks a tie."""
    centred_MD = x_MD - x_MD.mean(axis=0)
    norms_M1 = np.linalg.norm(centred_MD, axis=1, keepdims=True)
    unit_MD = centred_MD / np.maximum(norms_M1, 1e-12)
    weights_N = 1 - 1e-3 * np.arange(min(NEIGHBOURS, len(x_MD) - 1))
    votes_MK = np.zeros(y_MK.shape)
    step = max(1, _CELLS // len(x_MD))
    for start in range(0, len(x_MD), step):
        alike_mM = unit_MD[start : start + step] @ unit_MD.T
        rows_m = np.arange(len(alike_mM))
        alike_mM[rows_m, start + rows_m] = -np.inf
        for weight in weights_N:  # so few passes cost less than sorting
            nearest_m = alike_mM.argmax(axis=1)
            votes_MK[start + rows_m] += weight * y_MK[nearest_m]
            alike_mM[rows_m, nearest_m] = -np.inf
    return np.asarray(votes_MK / weights_N.sum())
