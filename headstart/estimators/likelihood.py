"""The head itself, by cross-validation: how probable it finds the answers of rows that it has not seen.

    1/m sum_i log p(y_i | x_i),   p = softmax of the held-out logits

A strictly proper score (Gneiting and Raftery, "Strictly proper scoring rules, prediction, and estimation",
JASA 2007): beside how many rows are right it counts how clearly, so that it still tells two models apart which
get the same few hundred rows right. Where a row may have several labels, p is the logistic function, and the
mean is over labels too.
"""

from typing import final

from headstart.contracts import Estimator, Evidence
from headstart.maths import logistic, softmax


@final
class Likelihood(Estimator):
    """Cross-validated mean log likelihood of the convex head."""

    name = "likelihood"

    def estimate(self, evidence: Evidence) -> float | None:
        """Return the mean in nats, at most 0; None where nothing can be held out."""
        if evidence.held_out is None:
            return None
        logits_mK, rows_m = evidence.held_out
        targets_m = evidence.targets[rows_m]
        loss = softmax.cross_entropy if targets_m.ndim == 1 else logistic.cross_entropy
        return -loss(logits_mK.copy(), targets_m)[0] / targets_m.size
