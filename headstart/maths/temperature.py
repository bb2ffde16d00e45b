"""One factor for all logits: a head that is penalised enough to rank well is too timid to be believed.

The penalty that gives the most accurate head shrinks its logits; a single factor, chosen on held-out
data, undoes that without changing which class comes first (temperature scaling: Guo et al., "On
calibration of modern neural networks", 2017, arXiv 1706.04599, section 4.2; the factor is 1 / T).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from headstart.maths.softmax import Loss

_LARGEST = 3.0


def factor(logits_NK: NDArray[Any], targets: NDArray[Any], loss: Loss) -> float:
    """Return the factor t > 0 that minimises the summed loss of t z, plus (ln t)^2 / 2.

    The second term is the prior that t is near 1: a few examples that all come out right would ask for
    an infinite one. t lies between exp(-3) and exp(3).
    """

    def objective(log_t: float) -> float:
        total, _ = loss(logits_NK * np.exp(log_t), targets)
        return total + log_t**2 / 2

    found = minimize_scalar(objective, bounds=(-_LARGEST, _LARGEST), method="bounded")
    return float(np.exp(found.x))


def told(factor: float) -> float:
    """Return the temperature T = 1 / factor, as it is told: four digits."""
    return float(f"{1 / factor:.4g}")
