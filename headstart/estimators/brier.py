"""The head itself, by cross-validation: how far its probabilities of rows it has not seen lie from the truth.

    1/m sum_i sum_k ( p_k(x_i) - [y_i = k] )^2

Brier, "Verification of forecasts expressed in terms of probability" (Monthly Weather Review, 1950). Like log
loss it counts how clearly a row is told, not only whether, so that it still tells two models apart which get
the same few hundred rows right. Unlike log loss it is bounded: one row of 150 that a head was wrongly sure of
moved the mean log loss by more than the models differed. Where a row may have several labels, k counts those.
"""

from typing import final

import numpy as np

from headstart.contracts import Estimator, Evidence
from headstart.maths import logistic, softmax


@final
class Brier(Estimator):
    """Minus the cross-validated Brier score of the convex head."""

    name = "brier"

    def estimate(self, evidence: Evidence) -> float | None:
        """Return minus the mean over rows, at most 0; None where nothing can be held out."""
        if evidence.held_out is None:
            return None
        logits_mK, rows_m = evidence.held_out
        of = softmax if evidence.targets.ndim == 1 else logistic
        apart_mK = of.probabilities(logits_mK) - evidence.indicators_MK[rows_m]
        return -float(np.square(apart_mK).sum(axis=1).mean())
