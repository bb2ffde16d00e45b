"""Scores of masks, all from one exact matrix of counts per picture: truth in rows, prediction in columns.

    IoU of a class = TP / (TP + FP + FN)      Dice = 2 TP / (2 TP + FP + FN)

summed over all pictures first (Everingham et al., PASCAL VOC 2012, section 4.2), so that a picture weighs
as much as it has pixels. A class that is in neither truth nor prediction has no IoU, and is left out
of the means. Intervals resample pictures, for the pixels of one picture are not independent.

Shape letters: N pictures, K classes, B resamples, P pixels.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.core.records import Metric
from headstart.core.tallies import Measures
from headstart.maths import intervals

Array = NDArray[Any]


def confusion(truth_P: Array, predicted_P: Array, num_classes: int) -> Array:
    """Count pixels by truth and prediction, int64 [K, K]; pixels whose truth is negative are left out."""
    counted_P = truth_P >= 0
    pairs_P = truth_P[counted_P].astype(np.int64) * num_classes + predicted_P[counted_P]
    counts = np.bincount(pairs_P, minlength=num_classes**2)
    return np.asarray(counts.reshape(num_classes, num_classes))


def sums(counts_NKK: Array) -> Array:
    """Return each picture's true positives, true pixels and predicted pixels by class, float64 [N, 3K]."""
    return np.concatenate(
        [np.diagonal(counts_NKK, axis1=1, axis2=2), counts_NKK.sum(axis=2), counts_NKK.sum(axis=1)], axis=1
    ).astype(np.float64)


def measures() -> Measures:
    """Return miou, pixel_accuracy and dice_macro of ``sums`` over pictures."""
    return Measures(values={"miou": _mean_iou, "pixel_accuracy": _pixel_accuracy, "dice_macro": _mean_dice})


def scores(counts_NKK: Array, units_N: Array | None = None) -> dict[str, Metric]:
    """Return the ``measures`` with intervals over pictures, or over what ``units_N`` says is drawn as one."""
    return intervals.scored(sums(counts_NKK), measures(), units_N)


def per_class(counts_NKK: Array) -> list[dict[str, Metric]]:
    """Return each class's iou and dice with intervals over pictures; nan where it is nowhere."""
    num_classes = counts_NKK.shape[1]
    values = {
        f"{name} {place}": _of_class(measure, place)
        for place in range(num_classes)
        for name, measure in (("iou", iou), ("dice", dice))
    }
    found = intervals.bootstrap(sums(counts_NKK), values)
    return [{name: found[f"{name} {place}"] for name in ("iou", "dice")} for place in range(num_classes)]


def iou(sums_BM: Array) -> Array:
    """Return each class's intersection over union [B, K]."""
    hit_BK, true_BK, said_BK = np.split(sums_BM, 3, axis=1)
    return _ratio(hit_BK, true_BK + said_BK - hit_BK)


def dice(sums_BM: Array) -> Array:
    """Return each class's Dice coefficient [B, K], the F1 of its pixels."""
    hit_BK, true_BK, said_BK = np.split(sums_BM, 3, axis=1)
    return _ratio(2 * hit_BK, true_BK + said_BK)


def _pixel_accuracy(sums_BM: Array) -> Array:
    hit_BK, true_BK, _ = np.split(sums_BM, 3, axis=1)
    return _ratio(hit_BK.sum(axis=1), true_BK.sum(axis=1))


def _mean_iou(sums_BM: Array) -> Array:
    return _mean_defined(iou(sums_BM))


def _mean_dice(sums_BM: Array) -> Array:
    return _mean_defined(dice(sums_BM))


def _of_class(measure: Callable[[Array], Array], place: int) -> Callable[[Array], Array]:
    return lambda sums_BM: measure(sums_BM)[:, place]


def _ratio(over: Array, under: Array) -> Array:
    found = np.divide(over, under, out=np.full(np.shape(over), np.nan), where=under > 0)
    return np.asarray(found)


def _mean_defined(values_BK: Array) -> Array:
    defined_BK = np.isfinite(values_BK)
    return _ratio(np.where(defined_BK, values_BK, 0.0).sum(axis=1), defined_BK.sum(axis=1))


def worst_first(counts_NKK: Array) -> Array:
    """Return the pictures' places, the lowest share of right pixels first [N]."""
    right_N = np.trace(counts_NKK, axis1=1, axis2=2) / np.maximum(counts_NKK.sum(axis=(1, 2)), 1)
    return np.asarray(np.argsort(right_N, kind="stable"))


def shares(labels_P: Array, num_classes: int) -> Sequence[float]:
    """Return each class's share of the pixels."""
    counts_K = np.bincount(labels_P.ravel(), minlength=num_classes)
    return [float(count) / max(labels_P.size, 1) for count in counts_K]
