"""How unlike the training data an input is, by its neighbours: the distance to the k-th nearest of them.

    score(x) = || z(x) / |z(x)| - z_(k) / |z_(k)| ||^2

over training examples: Y. Sun et al., "Out-of-Distribution Detection with Deep Nearest Neighbors", ICML 2022,
arXiv 2204.06507, section 3; here on whitened features. k is 5: the paper's choice grows with the data,
and a few hundred examples have few neighbours. Only directions count: what lies far out in one that is
common is not seen.

Shape letters: N examples, n kept training examples, R directions.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

K_TH = 5


def learn(z_nR: Array, labels_n: Array) -> dict[str, Array]:
    """Return the directions of the training examples, float32 [n, R]; the labels are not needed."""
    return {"bank": _directions(z_nR).astype(np.float32)}


def scores(learnt: dict[str, Array], z_NR: Array) -> Array:
    """Return each input's score, higher for what is less like the training data, float64 [N]."""
    bank_nR = learnt["bank"].astype(np.float64)
    place = min(K_TH, len(bank_nR)) - 1
    near_Nn = _directions(z_NR) @ bank_nR.T
    return np.asarray(2.0 + 2.0 * np.partition(-near_Nn, place, axis=1)[:, place])


def _directions(z_NR: Array) -> Array:
    return np.asarray(z_NR / np.maximum(np.linalg.norm(z_NR, axis=1, keepdims=True), 1e-12))
