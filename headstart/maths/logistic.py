"""Labels that do not shut each other out: one logistic regression each, and the threshold to give them at.

    J(W, b) = 1/N sum_i sum_k  log(1 + exp z_ik) - y_ik z_ik   +  lambda/2 ||W||^2_F,   z = x W + b

The labels' problems are independent (one against the rest); ``softmax.solve`` solves them together.
Shape letters: N examples, n of one chunk, K labels.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Array = NDArray[Any]
DEFAULT_THRESHOLD = 0.5


def cross_entropy(logits_nK: Array, y_nK: Array) -> tuple[float, Array]:
    """Return the summed loss and its gradient [n, K], for targets that are 0 or 1 [n, K]."""
    loss = float(np.logaddexp(0.0, logits_nK).sum() - logits_nK[y_nK.astype(bool)].sum())
    return loss, expit(logits_nK) - y_nK


def probabilities(logits_NK: Array) -> Array:
    """Return each label's probability, float64 [N, K]."""
    return np.asarray(expit(logits_NK.astype(np.float64)))


def losses(probabilities_NK: Array, y_NK: Array) -> Array:
    """Return -log of what was thought of the truth, label by label, float64 [N, K]."""
    of_truth_NK = np.where(y_NK.astype(bool), probabilities_NK, 1.0 - probabilities_NK)
    return np.asarray(-np.log(np.maximum(of_truth_NK, 1e-15)))


def threshold(probabilities_NK: Array, y_NK: Array) -> float:
    """Return the one threshold for all labels with the highest F1 over all decisions (micro F1).

    One threshold a label would follow the noise of rare labels (Yang, "A study of thresholding
    strategies for text categorization", SIGIR 2001). It lies halfway between two probabilities; 0.5
    where no label is right of anything.
    """
    order = np.argsort(-probabilities_NK, axis=None, kind="stable")
    p, y = probabilities_NK.ravel()[order], y_NK.ravel()[order].astype(np.float64)
    if not y.any():
        return DEFAULT_THRESHOLD
    given = np.arange(1, len(p) + 1)
    f1 = 2 * np.cumsum(y) / (given + y.sum())
    f1[:-1][p[1:] == p[:-1]] = -1.0  # no threshold parts equal probabilities
    best = int(f1.argmax())
    below = p[best + 1] if best + 1 < len(p) else 0.0
    return float((p[best] + below) / 2)
