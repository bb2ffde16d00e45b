"""How well scores agree with the truth, as one figure between 0 and 1, whatever kind of truth it is."""

from typing import Any

from numpy.typing import NDArray

from headstart.maths import logistic

Array = NDArray[Any]


def of_scores(scores_MK: Array, targets: Array) -> float:
    """Return the share of rows whose highest score is right; of several labels, the best micro F1.

    ``targets`` are places among K classes [M], or 0 and 1 [M, K]. The F1 is that of the one threshold for all
    labels which suits these rows best; 0 where no label is right of anything.
    """
    if targets.ndim == 1:
        return float((scores_MK.argmax(axis=1) == targets).mean())
    given_MK = scores_MK > logistic.threshold(scores_MK, targets)
    right, total = float((given_MK * targets).sum()), float(given_MK.sum() + targets.sum())
    return 2 * right / total if total else 0.0
