"""How well scores tell one kind of input from another.

AUROC; its interval is that of E. DeLong, D. DeLong and D. Clarke-Pearson, Biometrics 44 (1988),
doi:10.2307/2531595: the variance comes from how each input compares with all of the other kind, without
resampling.

Shape letters: N inputs of the usual kind, M of the other.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.core.records import Metric

Array = NDArray[Any]


def auroc(usual_N: Array, other_M: Array) -> Metric:
    """Return how likely an input of the other kind scores higher than a usual one, ties counting half.

    No interval where either kind has a single input, or where all compare alike.
    """
    count, others = len(usual_N), len(other_M)
    above_N, below_M = 1.0 - _exceeded(usual_N, other_M), _exceeded(other_M, usual_N)
    value = float(below_M.mean())
    if count < 2 or others < 2:
        return Metric(value=value, low=None, high=None, n=count + others)
    deviation = float(np.sqrt(above_N.var(ddof=1) / count + below_M.var(ddof=1) / others))
    if deviation <= 1e-12:
        return Metric(value=value, low=None, high=None, n=count + others)
    low, high = max(value - 1.96 * deviation, 0.0), min(value + 1.96 * deviation, 1.0)
    return Metric(value=value, low=low, high=high, n=count + others)


def _exceeded(scores: Array, others: Array) -> Array:
    """Return the share of ``others`` that each score is above, ties counting half."""
    ordered = np.sort(others)
    below, not_above = np.searchsorted(ordered, scores, "left"), np.searchsorted(ordered, scores, "right")
    return np.asarray((below + not_above) / 2 / len(others))
