"""Metrics of a classifier with their intervals, confusion and calibration.

Expected calibration error: Guo et al. 2017, arXiv:1706.04599, eq. 3. Brier score: G. Brier, Monthly Weather
Review 78 (1950), eq. 2: the sum over all classes, from 0 to 2. The others as scikit-learn defines them.
Predictions are the most probable class, the first of equals.

Shape letters: N examples, K classes, B resamples.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from headstart.core.records import Metric
from headstart.core.tallies import Measure, Measures
from headstart.maths import rates
from headstart.maths.classifier_sums import Integers, Sums, Verdicts, bin_edges, statistics
from headstart.maths.intervals import Array, bootstrap, both_ways, column_sums, scored
from headstart.maths.rates import Rate

SumsMeasure = Callable[[Sums], Array]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassScores:
    """One class: ``support`` examples belong to it."""

    precision: Metric
    recall: Metric
    f1: Metric
    support: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Bins:
    """Confidence against accuracy, per equal-width bin (edges[e], edges[e + 1]]; None where empty."""

    edges: tuple[float, ...]
    confidence: tuple[float | None, ...]
    accuracy: tuple[float | None, ...]
    counts: tuple[int, ...]


def scores(said: Verdicts, seed: int = 0, units_N: NDArray[np.int64] | None = None) -> dict[str, Metric]:
    """Return the ``measures`` of some examples with intervals; ``units_N`` says what is drawn as one."""
    return scored(statistics(said), measures(said.num_classes), units_N, seed)


def measures(num_classes: int) -> Measures:
    """Return accuracy, macro precision, recall and F1, log loss (nats), Brier score and ECE of summed rows.

    Macro averages run over the classes that occur in the targets or the predictions, with 0 for an
    undefined precision or recall: scikit-learn's default labels and ``zero_division=0``. A class
    that the split neither holds nor was predicted tells nothing and is left out.
    """
    measured: Mapping[str, SumsMeasure] = {
        "accuracy": lambda sums: sums.hits_BK.sum(axis=1) / sums.count_B,
        "precision_macro": partial(_macro, rates.precision),
        "recall_macro": partial(_macro, rates.recall),
        "f1_macro": partial(_macro, rates.f1),
        "log_loss": lambda sums: sums.loss_B / sums.count_B,
        "brier": lambda sums: sums.brier_B / sums.count_B,
        "ece": _calibration_error,
    }

    def settle(metrics: Mapping[str, Metric], sums_1M: Array) -> dict[str, Metric]:
        chance = _calibration_noise(Sums(sums_1M, num_classes))
        return {
            **metrics,
            "f1_macro": both_ways(metrics["f1_macro"]),
            "ece": _ece_bounded(metrics["ece"], float(chance[0])),
        }

    return Measures(
        values=_of_sums(measured, num_classes),
        shares=_of_sums({"accuracy": lambda sums: sums.count_B}, num_classes),
        reflected=frozenset({"ece"}),
        lower=frozenset({"log_loss", "brier", "ece"}),
        settle=settle,
    )


def per_class(said: Verdicts, seed: int = 0) -> tuple[ClassScores, ...]:
    """Return each class's precision, recall, F1 and support, in class order.

    Precision is a share of the examples predicted as the class and recall of those that belong to
    it; their ``n`` says how many. Where that is none, the value is 0 without an interval, as in
    scikit-learn with ``zero_division=0``.
    """
    statistics_NM, num_classes = statistics(said), said.num_classes
    measures: Mapping[str, Rate] = {"precision": rates.precision, "recall": rates.recall, "f1": rates.f1}
    shares: Mapping[str, Rate] = {
        "precision": lambda hits, true, predicted: predicted,
        "recall": lambda hits, true, predicted: true,
    }
    metrics = bootstrap(
        statistics_NM,
        _of_sums(_each_class(measures, num_classes), num_classes),
        shares=_of_sums(_each_class(shares, num_classes), num_classes),
        seed=seed,
    )
    return tuple(
        ClassScores(
            precision=rates.defined(metrics[f"precision {k}"]),
            recall=rates.defined(metrics[f"recall {k}"]),
            f1=rates.defined(metrics[f"f1 {k}"]),
            support=metrics[f"recall {k}"].n,
        )
        for k in range(num_classes)
    )


def confusion(said: Verdicts) -> Integers:
    """Return how often each class (row) was predicted as each (column), int64 [K, K]."""
    cell_N = said.targets_N * said.num_classes + said.predicted_N
    return np.bincount(cell_N, minlength=said.num_classes**2).reshape(said.num_classes, said.num_classes)


def reliability(said: Verdicts) -> Bins:
    """Return mean confidence, accuracy and count per bin of confidence."""
    sums = Sums(column_sums(statistics(said))[None], said.num_classes)
    counts = sums.bin_count_BE[0]

    def mean(total_E: Array) -> tuple[float | None, ...]:
        return tuple(float(t / c) if c else None for t, c in zip(total_E, counts, strict=True))

    return Bins(
        edges=tuple(bin_edges().tolist()),
        confidence=mean(sums.bin_confidence_BE[0]),
        accuracy=mean(sums.bin_hits_BE[0]),
        counts=tuple(int(count) for count in counts),
    )


def _of_sums(measured: Mapping[str, SumsMeasure], num_classes: int) -> dict[str, Measure]:
    def of_array(measure: SumsMeasure) -> Measure:
        return lambda sums_BM: measure(Sums(sums_BM, num_classes))

    return {name: of_array(measure) for name, measure in measured.items()}


def _each_class(named: Mapping[str, Rate], num_classes: int) -> dict[str, SumsMeasure]:
    def of_class(rate: Rate, k: int) -> SumsMeasure:
        return lambda sums: rate(sums.hits_BK[:, k], sums.true_BK[:, k], sums.predicted_BK[:, k])

    return {f"{name} {k}": of_class(rate, k) for name, rate in named.items() for k in range(num_classes)}


def _macro(rate: Rate, sums: Sums) -> Array:
    return rates.macro(rate, sums.hits_BK, sums.true_BK, sums.predicted_BK)


def _calibration_error(sums: Sums) -> Array:
    gap_BE = np.abs(sums.bin_hits_BE - sums.bin_confidence_BE)
    return np.asarray(gap_BE.sum(axis=1) / sums.count_B)


def _calibration_noise(sums: Sums) -> Array:
    """Return the 97.5% point of the ECE that a perfectly calibrated model would show here, [B].

    A bin's gap is then normal with the variance of its binomial count, so its absolute value is
    half-normal (consistency bars of Broecker & Smith 2007, doi:10.1175/WAF993.1).
    """
    confidence_BE = np.nan_to_num(rates.ratio(sums.bin_confidence_BE, sums.bin_count_BE))
    # Rounding may put a bin's mean confidence a hair above 1.
    variance_BE = np.maximum(sums.bin_confidence_BE * (1 - confidence_BE), 0.0)
    mean_B = np.sqrt(variance_BE * 2 / np.pi).sum(axis=1)
    spread_B = np.sqrt(variance_BE.sum(axis=1) * (1 - 2 / np.pi))
    return np.asarray((mean_B + 1.96 * spread_B) / sums.count_B)


def _ece_bounded(ece: Metric, noise: float) -> Metric:
    """Keep the interval within what is possible: 0 upwards, and from 0 where noise would explain it."""
    if ece.low is None or ece.high is None:
        return ece
    low = 0.0 if ece.value <= noise else max(ece.low, 0.0)
    return replace(ece, low=low, high=min(max(ece.high, ece.value), 1.0))
