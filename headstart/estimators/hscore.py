"""H-score with shrinkage: how much of the features' variance lies between the classes.

    H = (1 - s) trace( S^-1 B ),   S = (1 - s) C + s (tr C / D) I

C is the features' covariance, B that of the class means, s the Ledoit-Wolf shrinkage. Bao et al., "An
information-theoretic approach to transferability in task transfer learning" (ICIP 2019), with the shrinkage
of Ibrahim, Ponomareva and Mazumder, "Newer is not always better" (arXiv 2110.06893), section 4. Where a row
may have several labels, it is the mean over labels, each against the rest.
"""

from typing import final

import numpy as np

from headstart.contracts import Estimator, Evidence
from headstart.contracts.data import Array


@final
class HScore(Estimator):
    """The regularised H-score of the last layer's features."""

    name = "hscore"

    def estimate(self, evidence: Evidence) -> float | None:
        """Return the score, 0 or more; None where the features do not vary."""
        x_MD = evidence.views["last"].astype(np.float64)
        x_MD = x_MD - x_MD.mean(axis=0)
        mean_square = float((x_MD**2).mean())
        if len(x_MD) < 2 or mean_square == 0.0:
            return None
        shrinkage = ledoit_wolf(x_MD)
        covariance_DD = (1 - shrinkage) * (x_MD.T @ x_MD) / len(x_MD)
        covariance_DD[np.diag_indices_from(covariance_DD)] += max(shrinkage, 1e-6) * mean_square
        if evidence.targets.ndim == 1:
            groups = [evidence.indicators_MK]
        else:
            groups = [np.stack([1 - one, one], axis=1) for one in evidence.indicators_MK.T if one.any()]
        scores = [(1 - shrinkage) * _between(x_MD, covariance_DD, group_MK) for group_MK in groups]
        return float(np.mean(scores)) if scores else None


def _between(x_MD: Array, covariance_DD: Array, y_MK: Array) -> float:
    """Return trace(S^-1 B) = sum over classes of their share times mean^T S^-1 mean."""
    counts_K = y_MK.sum(axis=0)
    there_K = counts_K > 0
    means_KD = (y_MK.T @ x_MD)[there_K] / counts_K[there_K, None]
    solved_DK = np.linalg.solve(covariance_DD, means_KD.T)
    return float(((means_KD.T * solved_DK).sum(axis=0) * counts_K[there_K]).sum() / len(x_MD))


def ledoit_wolf(x_MD: Array) -> float:
    """Return how far the covariance of centred rows is to be shrunk towards a multiple of I, 0 to 1.

    Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices" (2004),
    lemma 3.2 to 3.5.
    """
    num, width = x_MD.shape
    gram = x_MD @ x_MD.T if num < width else x_MD.T @ x_MD  # either has the covariance's norm
    norm2 = float((gram**2).sum()) / num**2
    mu = float((x_MD**2).sum()) / (num * width)
    delta = norm2 - width * mu**2
    beta = (float(((x_MD**2).sum(axis=1) ** 2).sum()) / num - norm2) / num
    return 1.0 if delta <= 0 else float(min(max(beta, 0.0), delta) / delta)
