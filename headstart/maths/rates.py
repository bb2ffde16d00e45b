"""Precision, recall and F1 as functions of counts, of classes and of labels alike, and their macro averages.

As scikit-learn defines them. Shape letters: K classes or labels, B resamples.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.core.records import Metric

Array = NDArray[Any]
Rate = Callable[[Array, Array, Array], Array]
"""From hits, true and predicted counts, each [B, K] or [B], to a rate of the same shape."""


def ratio(part: Array, whole: Array) -> Array:
    """Divide; nan where the whole is 0."""
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


def precision(hits: Array, true: Array, predicted: Array) -> Array:
    """Return how many of the predicted are right; nan where none is predicted."""
    return ratio(hits, predicted)


def recall(hits: Array, true: Array, predicted: Array) -> Array:
    """Return how many of the true are found; nan where none is true."""
    return ratio(hits, true)


def f1(hits: Array, true: Array, predicted: Array) -> Array:
    """Return the harmonic mean of both; nan where none is predicted and none is true."""
    return ratio(2 * hits, true + predicted)


def macro(rate: Rate, hits_BK: Array, true_BK: Array, predicted_BK: Array) -> Array:
    """Return a rate's mean [B] over what is true of an example or predicted of one; nan where nothing is.

    An undefined rate counts as 0 (``zero_division=0``).
    """
    occurs_BK = (true_BK > 0) | (predicted_BK > 0)
    total_B = np.nan_to_num(rate(hits_BK, true_BK, predicted_BK)).sum(axis=1)
    return ratio(total_B, occurs_BK.sum(axis=1))


def defined(metric: Metric) -> Metric:
    """Return a metric with 0 for an undefined value, which has no interval."""
    return metric if np.isfinite(metric.value) else replace(metric, value=0.0)
