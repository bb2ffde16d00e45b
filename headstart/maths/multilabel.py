"""Metrics of a model that gives an example any number of labels, with their intervals.

All as scikit-learn defines them, on label indicators. A label that no example has and none is given
tells nothing: it is left out of macro averages. Average precision: the sum over positives of precision
at their rank, equal scores sharing a rank (no interpolation).

Shape letters: N examples, K labels, B resamples, G groups of equal scores.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from headstart.core.records import Metric
from headstart.core.tallies import Measure, Measures
from headstart.maths import logistic, rates
from headstart.maths.intervals import Array, bootstrap, both_ways, resampled_sums, scored
from headstart.maths.rates import Rate

_SINGLE = 5
_RANKED_CELLS = 400_000_000
_FEWEST, _MOST = 50, 200
"""Resamples for the deviation of a ranking's figures: 50 are enough (Efron & Tibshirani 1993, ch. 6.4)."""


@dataclass(frozen=True, slots=True)
class Decisions:
    """What was said of N examples and what is right: probabilities, given and true labels, each [N, K]."""

    probabilities_NK: NDArray[Any]
    given_NK: NDArray[Any]
    true_NK: NDArray[Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelScores:
    """One label: ``support`` examples have it."""

    precision: Metric
    recall: Metric
    f1: Metric
    average_precision: Metric
    support: int


def measures() -> Measures:
    """Return F1, precision and recall (micro, macro), subset accuracy, Hamming loss and log loss (nats, the
    mean over labels) of summed ``statistics``.
    """  # noqa: D205 - a list, not a sentence
    values: dict[str, Measure] = {}
    for average in ("micro", "macro"):
        for name, rate in (("f1", rates.f1), ("precision", rates.precision), ("recall", rates.recall)):
            values[f"{name}_{average}"] = partial(_micro if average == "micro" else _macro, rate)
    values |= {
        "subset_accuracy": lambda sums_BM: np.asarray(sums_BM[:, 1] / sums_BM[:, 0]),
        "hamming_loss": lambda sums_BM: _a_label(sums_BM, 2),
        "log_loss": lambda sums_BM: _a_label(sums_BM, 3),
        "brier": lambda sums_BM: _a_label(sums_BM, 4),
    }

    def settle(metrics: Mapping[str, Metric], sums_1M: Array) -> dict[str, Metric]:
        found = {**metrics, "f1_macro": both_ways(metrics["f1_macro"])}
        return {name: rates.defined(metric) for name, metric in found.items()}

    return Measures(
        values=values,
        shares={"subset_accuracy": lambda sums_BM: np.asarray(sums_BM[:, 0])},
        lower=frozenset({"hamming_loss", "log_loss", "brier"}),
        settle=settle,
    )


def scores(said: Decisions, seed: int = 0, units_N: NDArray[Any] | None = None) -> dict[str, Metric]:
    """Return the ``measures`` and the mean average precision; ``units_N`` says what is drawn as one.

    Raises ValueError where there is no example.
    """
    named = scored(statistics(said), measures(), units_N, seed)
    values_K, drawn_BK = _average_precisions(said, seed, units_N)
    ranked = _spread(_mean(values_K[None])[0], _mean(drawn_BK), len(said.true_NK))
    last = ("subset_accuracy", "hamming_loss", "log_loss", "brier")
    return {
        **{name: metric for name, metric in named.items() if name not in last},
        "mean_average_precision": rates.defined(ranked),
        **{name: named[name] for name in last},
    }


def per_label(said: Decisions, seed: int = 0) -> tuple[LabelScores, ...]:
    """Return each label's figures, in the labels' order; undefined ones are 0 without an interval."""
    num_labels = said.true_NK.shape[1]
    values: dict[str, Measure] = {}
    shares: dict[str, Measure] = {}
    for k in range(num_labels):
        for name, rate in (("precision", rates.precision), ("recall", rates.recall), ("f1", rates.f1)):
            values[f"{name} {k}"] = partial(_one, rate, k)
        shares[f"precision {k}"] = partial(_one, lambda hits, true, given: given, k)
        shares[f"recall {k}"] = partial(_one, lambda hits, true, given: true, k)
    found = bootstrap(statistics(said), values, shares=shares, seed=seed)
    values_K, drawn_BK = _average_precisions(said, seed)
    return tuple(
        LabelScores(
            precision=rates.defined(found[f"precision {k}"]),
            recall=rates.defined(found[f"recall {k}"]),
            f1=rates.defined(found[f"f1 {k}"]),
            average_precision=rates.defined(_spread(values_K[k], drawn_BK[:, k], len(said.true_NK))),
            support=int(said.true_NK[:, k].sum()),
        )
        for k in range(num_labels)
    )


def statistics(said: Decisions) -> sparse.csr_array:
    """Return, an example: 1, all labels right, labels wrong, both losses; then hits, true, given [K]."""
    given_NK, true_NK = said.given_NK.astype(bool), said.true_NK.astype(bool)
    wrong_N = (given_NK != true_NK).sum(axis=1)
    loss_N = logistic.losses(said.probabilities_NK, true_NK).sum(axis=1)
    brier_N = np.square(said.probabilities_NK - true_NK).sum(axis=1)
    single_NS = np.column_stack([np.ones(len(wrong_N)), wrong_N == 0, wrong_N, loss_N, brier_N])
    parts = [single_NS, given_NK & true_NK, true_NK, given_NK]
    return sparse.hstack([sparse.csr_array(part.astype(np.float64)) for part in parts], format="csr")


def _counts(sums_BM: Array) -> tuple[Array, Array, Array]:
    """Return hits, true and given counts, each [B, K]."""
    hits_BK, true_BK, given_BK = np.split(sums_BM[:, _SINGLE:], 3, axis=1)
    return hits_BK, true_BK, given_BK


def _a_label(sums_BM: Array, place: int) -> Array:
    return np.asarray(sums_BM[:, place] / sums_BM[:, 0] / ((sums_BM.shape[1] - _SINGLE) // 3))


def _micro(rate: Rate, sums_BM: Array) -> Array:
    hits_B, true_B, given_B = (part.sum(axis=1) for part in _counts(sums_BM))
    return rate(hits_B, true_B, given_B)


def _macro(rate: Rate, sums_BM: Array) -> Array:
    return rates.macro(rate, *_counts(sums_BM))


def _one(rate: Rate, k: int, sums_BM: Array) -> Array:
    hits_BK, true_BK, given_BK = _counts(sums_BM)
    return rate(hits_BK[:, k], true_BK[:, k], given_BK[:, k])


def _average_precisions(
    said: Decisions, seed: int, units_N: NDArray[Any] | None = None
) -> tuple[Array, Array]:
    """Return each label's average precision [K], and that of resamples [B, K]; nan without positives."""
    num_examples, num_labels = said.true_NK.shape
    resamples = int(np.clip(_RANKED_CELLS // (num_examples * num_labels), _FEWEST, _MOST))
    ranked = [_Ranking.of(said.probabilities_NK[:, k], said.true_NK[:, k]) for k in range(num_labels)]
    whole_1N = np.ones((1, num_examples))
    values_K = np.array([one.average_precision(whole_1N)[0] for one in ranked])
    drawn_N = np.arange(num_examples) if units_N is None else units_N
    units = sparse.eye_array(int(drawn_N.max(initial=-1)) + 1, format="csr")
    parts = [
        np.column_stack([one.average_precision(counts_BU[:, drawn_N]) for one in ranked])
        for counts_BU in resampled_sums(units, resamples, seed)
    ]
    return values_K, np.concatenate(parts)


@dataclass(frozen=True, slots=True)
class _Ranking:
    """One label's examples from the likeliest down: their places, which are positive, where ranks end."""

    order_N: NDArray[Any]
    positive_N: NDArray[Any]
    ends_G: NDArray[Any]

    @staticmethod
    def of(p_N: NDArray[Any], true_N: NDArray[Any]) -> "_Ranking":
        order_N = np.argsort(-p_N, kind="stable")
        ends_G = np.append(np.flatnonzero(np.diff(p_N[order_N])), len(p_N) - 1)
        return _Ranking(order_N, true_N[order_N].astype(bool), ends_G)

    def average_precision(self, counts_BN: Array) -> Array:
        """Return it for examples taken ``counts_BN`` times each, [B]; nan without positives."""
        sorted_BN = counts_BN[:, self.order_N]
        ranked_BG = np.cumsum(sorted_BN, axis=1)[:, self.ends_G]
        sorted_BN[:, ~self.positive_N] = 0.0
        hits_BG = np.cumsum(sorted_BN, axis=1)[:, self.ends_G]
        precision_BG = np.nan_to_num(rates.ratio(hits_BG, ranked_BG))
        gained_BG = np.diff(hits_BG, axis=1, prepend=0.0)
        return rates.ratio((gained_BG * precision_BG).sum(axis=1), hits_BG[:, -1])


def _mean(values_BK: Array) -> Array:
    """Return the mean over labels that have positives, [B]; nan where none has."""
    there_BK = np.isfinite(values_BK)
    return rates.ratio(np.nan_to_num(values_BK).sum(axis=1), there_BK.sum(axis=1).astype(np.float64))


def _spread(value: float, drawn_B: Array, num_examples: int) -> Metric:
    """Return a value in 0 to 1 with the normal interval of its resamples' deviation."""
    defined_B = drawn_B[np.isfinite(drawn_B)]
    reach = 1.96 * float(defined_B.std(ddof=1)) if len(defined_B) > 1 and num_examples > 1 else 0.0
    if not np.isfinite(value) or reach <= 1e-12:
        return Metric(value=float(value), low=None, high=None, n=num_examples)
    low, high = max(value - reach, 0.0), min(value + reach, 1.0)
    return Metric(value=float(value), low=float(low), high=float(high), n=num_examples)
