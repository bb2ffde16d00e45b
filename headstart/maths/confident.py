"""Confident learning: which labels are probably wrong, from probabilities that a model gave out of sample.

C. Northcutt, L. Jiang and I. Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels",
JAIR 70, 2021 (arXiv 1911.00068). Shape letters: N examples, K classes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def thresholds(probabilities_NK: Array, labels_N: Array) -> Array:
    """Return each class's mean probability among the examples labelled so, equation 2; 2 without any."""
    classes = probabilities_NK.shape[1]
    own_N = probabilities_NK[np.arange(len(labels_N)), labels_N]
    counts_K = np.bincount(labels_N, minlength=classes)
    sums_K = np.bincount(labels_N, weights=own_N, minlength=classes)
    return np.where(counts_K > 0, sums_K / np.maximum(counts_K, 1), 2.0)


def suspected(probabilities_NK: Array, labels_N: Array) -> tuple[Array, Array]:
    """Return the places of labels that are probably wrong, the surest first, and the class each probably is.

    An example counts for the most probable of the classes whose thresholds it reaches, the confident joint of
    equation 1; those off its diagonal are suspected. They are ranked by how much more probable that class is
    than the label ("prune by noise rate" without its quota, section 3.2).
    """
    reached_NK = probabilities_NK >= thresholds(probabilities_NK, labels_N)
    likely_N = np.where(reached_NK, probabilities_NK, -1.0).argmax(axis=1)
    suspects = np.flatnonzero(reached_NK.any(axis=1) & (likely_N != labels_N))
    margin = probabilities_NK[suspects, likely_N[suspects]] - probabilities_NK[suspects, labels_N[suspects]]
    kept = suspects[margin > 0]
    order = np.argsort(-margin[margin > 0], kind="stable")
    return kept[order], likely_N[kept[order]]
