"""LEEP: how well the model's own labels, as it gives them, predict the new ones.

    LEEP = 1/M sum_i log sum_z p(y_i | z) q_i(z),   p(y | z) = sum_i [y_i = y] q_i(z) / sum_i q_i(z)

q are the model's probabilities of its source labels. Nguyen, Hassner, Seeger and Archambeau, "LEEP: a new
measure to evaluate transferability of learned representations" (ICML 2020, arXiv 2002.12462), equation 2.
"""

from typing import final

import numpy as np

from headstart.contracts import Estimator, Evidence


@final
class Leep(Estimator):
    """The mean log likelihood of the expected empirical predictor."""

    name = "leep"

    def estimate(self, evidence: Evidence) -> float | None:
        """Return the score, at most 0; None where there are no source labels, or several targets a row."""
        if evidence.source_MZ is None or evidence.targets.ndim > 1:
            return None
        q_MZ = evidence.source_MZ.astype(np.float64)
        joint_KZ = evidence.indicators_MK.T @ q_MZ
        given_KZ = joint_KZ / np.maximum(joint_KZ.sum(axis=0), 1e-300)
        likelihood_M = (given_KZ[evidence.targets] * q_MZ).sum(axis=1)
        return float(np.log(np.maximum(likelihood_M, 1e-300)).mean())
