"""The head itself, by cross-validation: how often it is right of rows that it has not seen.

Alain and Bengio, "Understanding intermediate layers using linear classifier probes" (arXiv 1610.01644);
``fitting.evidence.held_out`` has the problem that is solved.
"""

from typing import final

from headstart.contracts import Estimator, Evidence
from headstart.maths import agreement


@final
class Probe(Estimator):
    """Cross-validated accuracy of the convex head."""

    name = "probe"

    def estimate(self, evidence: Evidence) -> float | None:
        """Return the share of held-out rows that the head gets right; None where nothing can be held out."""
        if evidence.held_out is None:
            return None
        logits_mK, rows_m = evidence.held_out
        return agreement.of_scores(logits_mK, evidence.targets[rows_m])
