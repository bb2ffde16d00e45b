"""NCE: the negative conditional entropy of the new labels, given the label that the model itself would give.

    NCE = sum_{y,z} p(y, z) log ( p(y, z) / p(z) )

Tran, Nguyen and Hassner, "Transferability and hardness of supervised classification tasks" (ICCV 2019, arXiv
1908.08142), equation 4; z is the model's most probable source label.
"""

from typing import final

import numpy as np

from headstart.contracts import Estimator, Evidence


@final
class Nce(Estimator):
    """Minus the entropy that is left of the label when the model's own is known."""

    name = "nce"

    def estimate(self, evidence: Evidence) -> float | None:
        """Return the score, at most 0; None where there are no source labels, or several targets a row."""
        if evidence.source_MZ is None or evidence.targets.ndim > 1:
            return None
        said_M = evidence.source_MZ.argmax(axis=1)
        joint_KZ = np.zeros((evidence.num_classes, evidence.source_MZ.shape[1]))
        np.add.at(joint_KZ, (evidence.targets, said_M), 1 / len(said_M))
        there = joint_KZ > 0
        given_KZ = joint_KZ / np.maximum(joint_KZ.sum(axis=0), 1e-300)
        return float((joint_KZ[there] * np.log(given_KZ[there])).sum())
