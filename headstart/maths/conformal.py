"""Prediction sets that hold the right class with a wanted probability, whatever the model (split conformal).

    score(x, y) = 1 - p(y|x)        q = the ceil((n + 1) c)-th smallest score of n held-out examples
    set(x) = {y : score(x, y) <= q}

M. Sadinle, J. Lei and L. Wasserman, "Least ambiguous set-valued classifiers with bounded error levels", 2019,
arXiv 1609.00451 (LAC); the guarantee c <= P(y in set(x)) needs only that held-out and new examples are
exchangeable (V. Vovk, A. Gammerman and G. Shafer, "Algorithmic Learning in a Random World", 2005). It is one
on average over inputs, not for each class. An empty set gets the likeliest class, which can only add to it.

Shape letters: n held-out examples, N examples, K classes.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def scores(probabilities_nK: Array, targets_n: Array) -> Array:
    """Return how unlikely each right class was thought, sorted, float64 [n]."""
    return np.sort(1.0 - probabilities_nK[np.arange(len(targets_n)), targets_n].astype(np.float64))


def threshold(sorted_n: Array, coverage: float) -> float:
    """Return q; infinite where n is too small for the coverage, so that every class is in every set."""
    place = math.ceil((len(sorted_n) + 1) * coverage - 1e-9)
    return float(sorted_n[place - 1]) if place <= len(sorted_n) else math.inf


def sets(probabilities_NK: Array, q: float) -> NDArray[np.bool_]:
    """Return which classes are in each set, bool [N, K]."""
    inside_NK: NDArray[np.bool_] = 1.0 - probabilities_NK <= q
    inside_NK[np.arange(len(inside_NK)), probabilities_NK.argmax(axis=1)] = True
    return inside_NK
