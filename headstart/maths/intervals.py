"""Confidence intervals for any metric that is a function of sums of per-example statistics.

One idea serves every metric of every task: an example contributes a row of statistics (right or
wrong, its loss, its n-gram counts ...), a metric is a function of the column sums, and so a
resample of the examples is a vector of counts times the statistics: one matrix product.

Percentile bootstrap: Efron & Tibshirani, "An Introduction to the Bootstrap" (1993), ch. 13.
Exact interval for a share: Clopper & Pearson, Biometrika 26 (1934), doi:10.1093/biomet/26.4.404.

Shape letters: N examples, M statistics, B resamples, C examples of one block, S statistics sums.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special

from headstart.core.records import Metric
from headstart.core.tallies import Measure, Measures, Statistics

Array = NDArray[np.float64]

_CELLS = 2_000_000  # numbers held at once, 16 MB each in float64: memory stays flat in N and B
_AT_ONCE = 100  # resamples of a block whose counts are held at once
_NO_SHARES: Mapping[str, Measure] = {}


def bootstrap(
    statistics_NM: Statistics,
    measures: Mapping[str, Measure],
    *,
    shares: Mapping[str, Measure] = _NO_SHARES,
    reflected: frozenset[str] = frozenset(),
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Metric]:
    """Return each measure of the plain sums with its percentile bootstrap interval.

    ``shares`` names the measures that are shares of examples and says of how many (a measure of
    the sums, such as the column of ones). Where all resamples agree, the percentile interval would
    have no width and claim certainty: a share then gets its exact Clopper-Pearson interval, any
    other measure none. A measure undefined on the data, and any measure of a single example, gets
    none either. Resamples in which a measure is undefined are left out of its interval.
    ``reflected`` names the measures that noise itself raises, such as a sum of absolute gaps: a
    resample has the noise twice, so their interval is reflected about the value (the basic
    bootstrap: Davison & Hinkley 1997, eq. 5.6).

    Raises ValueError where there is no example.
    """
    num_examples = statistics_NM.shape[0]
    if num_examples == 0:
        raise ValueError("found no examples; expected at least one; a metric of nothing is undefined")
    sums_1M = column_sums(statistics_NM)[None, :]
    values = {name: float(measure(sums_1M)[0]) for name, measure in measures.items()}
    trials = {name: int(measure(sums_1M)[0]) for name, measure in shares.items()}
    drawn = _resampled(statistics_NM, measures, resamples, seed) if num_examples > 1 else {}
    metrics = {}
    for name, value in values.items():
        low, high = percentile_interval(drawn.get(name, np.empty(0)), value, level)
        if low is None and name in trials and num_examples > 1:
            low, high = exact_interval(value, trials[name], level)
        if name in reflected and low is not None and high is not None:
            low, high = 2 * value - high, 2 * value - low
        metrics[name] = Metric(value=value, low=low, high=high, n=trials.get(name, num_examples))
    return metrics


def scored(
    statistics_NM: Statistics, measures: Measures, units_N: NDArray[np.int64] | None = None, seed: int = 0
) -> dict[str, Metric]:
    """Return a task's metrics with their intervals; what shares a number in ``units_N`` is drawn as one.

    Raises ValueError where there is no example.
    """
    grouped = units_N is not None and len(units_N) > 0 and int(units_N.max()) + 1 < len(units_N)
    drawn_UM = by_unit(statistics_NM, units_N) if grouped and units_N is not None else statistics_NM
    found = bootstrap(
        drawn_UM,
        measures.values,
        # Examples of a group are no independent trials: no exact interval holds for them.
        shares=_NO_SHARES if grouped else measures.shares,
        reflected=measures.reflected,
        seed=seed,
    )
    if grouped:
        found = {name: replace(metric, n=statistics_NM.shape[0]) for name, metric in found.items()}
    return measures.settle(found, column_sums(statistics_NM)[None])


def by_unit(statistics_NM: Statistics, units_N: NDArray[np.int64]) -> Statistics:
    """Sum the statistics of the examples that share a number, [U, M]."""
    shape = int(units_N.max(initial=-1)) + 1, len(units_N)
    return (
        sparse.csr_array((np.ones(len(units_N)), (units_N, np.arange(len(units_N)))), shape) @ statistics_NM
    )


def paired(
    first_NM: Array,
    second_NM: Array,
    measures: Mapping[str, Measure],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[Metric, float]]:
    """Return how far the first of two systems is ahead on the same examples, and the p-value of that.

    Both are scored on the same resamples (paired bootstrap: P. Koehn, "Statistical Significance Tests for
    Machine Translation Evaluation", EMNLP 2004). The p-value is two-sided: twice the share of resamples in
    which the one that is behind is level or ahead. Raises ValueError where there is no example.
    """
    num_statistics = first_NM.shape[1]

    def ahead(measure: Measure) -> Measure:
        return lambda sums_BM: measure(sums_BM[:, :num_statistics]) - measure(sums_BM[:, num_statistics:])

    differences = {name: ahead(measure) for name, measure in measures.items()}
    both_NM = np.hstack([first_NM, second_NM])
    if not len(both_NM):
        raise ValueError("found no examples; expected at least one; a difference of nothing is undefined")
    drawn = _resampled(both_NM, differences, resamples, seed)
    found = {}
    for name, difference in differences.items():
        value = float(difference(column_sums(both_NM)[None, :])[0])
        low, high = percentile_interval(drawn[name], value, level) if len(both_NM) > 1 else (None, None)
        rarer = min(int((drawn[name] <= 0).sum()), int((drawn[name] >= 0).sum()))
        p = min(1.0, 2 * (1 + rarer) / (1 + resamples)) if len(both_NM) > 1 else 1.0
        found[name] = Metric(value=value, low=low, high=high, n=len(both_NM)), p
    return found


def percentile_interval(values_B: Array, value: float, level: float) -> tuple[float | None, float | None]:
    """Return the central ``level`` of the resampled values; None, None where that claims nothing."""
    defined = values_B[np.isfinite(values_B)]
    # Rounding in a different order of summation is no variation.
    if not np.isfinite(value) or not len(defined) or np.ptp(defined) <= 1e-12 * max(1.0, abs(value)):
        return None, None
    tail = (1 - level) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)


def exact_interval(share: float, trials: int, level: float) -> tuple[float | None, float | None]:
    """Return the Clopper-Pearson interval of ``share`` of ``trials`` examples; None, None of none."""
    if trials == 0 or not np.isfinite(share):
        return None, None
    successes, tail = round(share * trials), (1 - level) / 2
    failures = trials - successes
    low = special.betaincinv(successes, failures + 1, tail) if successes else 0.0
    high = special.betaincinv(successes + 1, failures, 1 - tail) if failures else 1.0
    return float(low), float(high)


def both_ways(metric: Metric) -> Metric:
    """Widen a share's interval to its own mirror image about the value.

    Noise in a class's few counts lowers its F1, and a resample has that noise twice: with 100
    classes of 10 examples the percentile interval covered the truth in 71% of simulations, its
    mirror image in 94%; near 1, with few classes, the mirror image failed. Both together held in
    94% to 99%.
    """
    if metric.low is None or metric.high is None:
        return metric
    reach = max(metric.high - metric.value, metric.value - metric.low)
    return replace(metric, low=max(metric.value - reach, 0.0), high=min(metric.value + reach, 1.0))


def column_sums(statistics_NM: Statistics) -> Array:
    """Return the sums over examples, float64 [M]."""
    return np.asarray(statistics_NM.sum(axis=0), dtype=np.float64).reshape(-1)


def resampled_sums(statistics_NM: Statistics, resamples: int, seed: int) -> Iterator[Array]:
    """Yield the sums of resamples of the N examples, float64 [some of B, M], together B of them.

    With the identity matrix as statistics they are the resampling counts themselves.
    """
    random = np.random.default_rng(seed)
    num_statistics = statistics_NM.shape[1]
    step = max(1, min(resamples, _CELLS // num_statistics))
    for start in range(0, resamples, step):
        yield _sums(statistics_NM, min(step, resamples - start), random)


def _sums(statistics_NM: Statistics, resamples: int, random: np.random.Generator) -> Array:
    """Draw multinomial counts, block of examples by block, and sum the statistics by them.

    How many of a resample's N draws fall into each block is multinomial, and so are the counts
    within a block given that number: together exactly the plain bootstrap, without B x N counts.
    """
    num_examples, num_statistics = statistics_NM.shape
    block = max(1, _CELLS // resamples)
    starts = np.arange(0, num_examples, block)
    sizes = np.minimum(block, num_examples - starts)
    draws_by_block = random.multinomial(num_examples, sizes / num_examples, size=resamples).T
    sums_MB = np.zeros((num_statistics, resamples))
    for start, size, draws_B in zip(starts, sizes, draws_by_block, strict=True):
        block_CM = statistics_NM[start : start + size]
        for first in range(0, resamples, _AT_ONCE):
            some = slice(first, first + _AT_ONCE)
            # Without a name, so that some resamples' counts are gone before the next ones' are there.
            sums_MB[:, some] += block_CM.T @ _counts(int(size), draws_B[some], random)
    return sums_MB.T


def _counts(num_examples: int, draws_B: NDArray[np.int64], random: np.random.Generator) -> Array:
    """Return how often each example of a block was drawn, float64 [C, B]."""
    resamples = len(draws_B)
    example = random.integers(0, num_examples, size=int(draws_B.sum()))
    example *= resamples
    example += np.repeat(np.arange(resamples), draws_B)
    counts = np.bincount(example, minlength=num_examples * resamples)
    return counts.reshape(num_examples, resamples).astype(np.float64)


def _resampled(
    statistics_NM: Statistics, measures: Mapping[str, Measure], resamples: int, seed: int
) -> dict[str, Array]:
    """Return each measure of each resample, [B]."""
    parts: dict[str, list[Array]] = {name: [] for name in measures}
    for sums_BM in resampled_sums(statistics_NM, resamples, seed):
        for name, measure in measures.items():
            parts[name].append(measure(sums_BM))
    return {name: np.concatenate(values) for name, values in parts.items()}
