"""How unlike the training data an input is, by Gaussians: nearer to no class than to the data as a whole.

    score(x) = min over k of MD_k(x) - MD_0(x)

MD_k is the squared Mahalanobis distance to class k, one covariance shared by all; MD_0 that to a single
Gaussian of everything: J. Ren et al., "A Simple Fix to Mahalanobis Distance for Improving Near-OOD
Detection", 2021, arXiv 2106.09022, eq. 3. In whitened coordinates MD_0 is a squared length. The covariance
is shrunk by the oracle approximating estimator (Y. Chen et al., 2010, arXiv 0907.4698, eq. 23).

Shape letters: N examples, R directions, K classes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def learn(z_NR: Array, labels_N: Array) -> dict[str, Array]:
    """Return the classes' means [K, R] and the inverse of their shared covariance [R, R], float32."""
    kinds, place_N = np.unique(labels_N, return_inverse=True)
    means_KR = np.stack([z_NR[labels_N == kind].mean(axis=0) for kind in kinds])
    within_RR = shrunk_covariance(z_NR - means_KR[place_N])
    return {"means": means_KR.astype(np.float32), "inverse": np.linalg.inv(within_RR).astype(np.float32)}


def scores(learnt: dict[str, Array], z_NR: Array) -> Array:
    """Return each input's score, higher for what is less like the training data, float64 [N]."""
    inverse_RR = learnt["inverse"].astype(np.float64)
    nearest_N = np.full(len(z_NR), np.inf)
    for mean_R in learnt["means"].astype(np.float64):
        away_NR = z_NR - mean_R
        nearest_N = np.minimum(
            nearest_N, np.einsum("nr,rs,ns->n", away_NR, inverse_RR, away_NR, optimize=True)
        )
    return np.asarray(nearest_N - (z_NR**2).sum(axis=1))


def shrunk_covariance(centred_NR: Array) -> Array:
    """Return the covariance of centred rows, shrunk towards a multiple of the identity, [R, R]."""
    num_rows, width = centred_NR.shape
    sample_RR = centred_NR.T @ centred_NR / num_rows
    level = np.trace(sample_RR) / width
    power = float((sample_RR**2).mean())
    scatter = (num_rows + 1) * (power - level**2 / width)
    share = 1.0 if scatter <= 0 else min(1.0, (power + level**2) / scatter)
    return np.asarray((1 - share) * sample_RR + max(share * level, 1e-9) * np.eye(width))
