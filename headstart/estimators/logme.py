"""LogME: the log of the evidence of a Bayesian linear model, per row and class.

    log p(y|F) = M/2 log b + D/2 log a - M/2 log 2 pi - b/2 ||F m - y||^2 - a/2 ||m||^2 - 1/2 log|A|
    A = a I + b F^T F,   m = b A^-1 F^T y

with a and b at their maximum. You, Liu, Wang and Long, "LogME: practical assessment of pre-trained models for
transfer learning" (ICML 2021, arXiv 2102.11005), equation 2 and algorithm 1.
"""

from typing import final

import numpy as np

from headstart.contracts import Estimator, Evidence
from headstart.contracts.data import Array

_ITERATIONS = 50


@final
class LogMe(Estimator):
    """Mean over classes of the maximal log evidence per row, one regression against the rest each."""

    name = "logme"

    def estimate(self, evidence: Evidence) -> float | None:
        """Return the log evidence per row and class, of the last layer's features."""
        f_MD = evidence.views["last"].astype(np.float64)
        left_MR, singular_R, _ = np.linalg.svd(f_MD, full_matrices=False)
        y_MK = evidence.indicators_MK
        projected_RK = left_MR.T @ y_MK
        rest_K = np.maximum((y_MK**2).sum(axis=0) - (projected_RK**2).sum(axis=0), 0.0)
        found = [
            _log_evidence(singular_R**2, projected_RK[:, k] ** 2, float(rest_K[k]), f_MD.shape)
            for k in range(y_MK.shape[1])
        ]
        return float(np.mean(found))


def _log_evidence(squares_R: Array, z_R: Array, rest: float, shape: tuple[int, ...]) -> float:
    """Return the maximal log evidence per row of one target.

    ``squares_R`` are the squared singular values, ``z_R`` the target's squared coordinates along the left
    singular vectors, ``rest`` its squared length outside of them.
    """
    num, width = shape
    alpha = beta = 1.0
    for _ in range(_ITERATIONS):
        ratio = alpha / beta
        gamma = float((squares_R / (squares_R + ratio)).sum())
        m2 = float((squares_R * z_R / (squares_R + ratio) ** 2).sum())
        residual = float((z_R / (1 + squares_R / ratio) ** 2).sum()) + rest
        alpha, beta = gamma / (m2 + 1e-9), (num - gamma) / (residual + 1e-9)
        if abs(alpha / beta - ratio) <= 1e-5 * ratio:
            break
    ratio = alpha / beta
    m2 = float((squares_R * z_R / (squares_R + ratio) ** 2).sum())
    residual = float((z_R / (1 + squares_R / ratio) ** 2).sum()) + rest
    log_det = float(np.log(alpha + beta * squares_R).sum()) + (width - len(squares_R)) * np.log(alpha)
    total = num * np.log(beta) + width * np.log(alpha) - num * np.log(2 * np.pi)
    return float(total - beta * residual - alpha * m2 - log_det) / (2 * num)
