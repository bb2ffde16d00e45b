"""The head itself, by cross-validation: the convex problem that ``fit`` solves, on the same layer sets.

    min over W, b of  1/N sum -log p(y|x)  +  lambda/2 ||W||^2

Layers and lambda are chosen by log loss, then every row is scored by the head that has not seen it. Alain and
Bengio, "Understanding intermediate layers using linear classifier probes" (arXiv 1610.01644).
"""

from typing import final

from headstart.contracts import Estimator, Evidence
from headstart.fitting.evidence import held_out
from headstart.maths import agreement


@final
class Probe(Estimator):
    """Cross-validated accuracy of the convex head."""

    name = "probe"

    def estimate(self, evidence: Evidence) -> float | None:
        """Return the share of held-out rows that the head gets right; None where nothing can be held out."""
        if not evidence.folds:
            return None
        logits_mK, rows_m = held_out(evidence)
        return agreement.of_scores(logits_mK, evidence.targets[rows_m])
