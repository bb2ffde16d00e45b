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
    alike_MM = unit_MD @ unit_MD.T
    np.fill_diagonal(alike_MM, -np.inf)
    count = min(NEIGHBOURS, len(x_MD) - 1)
    nearest_MN = np.argsort(-alike_MM, axis=1, kind="stable")[:, :count]
    weights_N = 1 - 1e-3 * np.arange(count)
    return np.asarray(np.einsum("mnk,n->mk", y_MK[nearest_MN], weights_N) / weights_N.sum())
