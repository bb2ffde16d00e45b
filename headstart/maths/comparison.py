"""Several systems on the same examples: who is ahead, by how much, and whether chance would explain it.

Intervals: paired bootstrap, all systems scored on the same resamples (P. Koehn, "Statistical Significance
Tests for Machine Translation Evaluation", EMNLP 2004). P-values: approximate randomisation (E. Noreen,
"Computer-Intensive Methods for Testing Hypotheses", 1989; S. Riezler and J. Maxwell, 2005, found the
bootstrap's too small): were two systems alike, nobody could tell which said what, so a difference is held
against those after exchanging the two on a random half of the units. Several tests: S. Holm, "A Simple
Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6 (1979).

A unit is what is independent of the others: an example, a picture, a document, or a group of them.
Shape letters: U units, M statistics, B draws, S systems.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from headstart.core.records import Metric
from headstart.core.tallies import Measure, Measures, Statistics
from headstart.maths.intervals import Array, column_sums, percentile_interval, resampled_sums

_CELLS = 4_000_000
Pair = tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Paired:
    """The first of two systems minus the second by one metric, and the two-sided p-value of that."""

    difference: Metric
    p: float
    p_holm: float


def compared(
    statistics_S: Sequence[Statistics],
    measures: Measures,
    num_examples: int,
    draws: int = 2000,
    seed: int = 0,
) -> dict[Pair, dict[str, Paired]]:
    """Return every pair of systems by every metric; each of ``statistics_S`` is [U, M] over the same units.

    The p-values of one metric are corrected for all the pairs. A difference that no unit shows has the
    p-value 1, and no interval. Raises ValueError where there is no unit.
    """
    num_units = statistics_S[0].shape[0]
    if num_units == 0:
        raise ValueError("found no examples; expected at least one; a difference of nothing is undefined")
    pairs = list(itertools.combinations(range(len(statistics_S)), 2))
    values = [_of_sums(measures.values, column_sums(one)[None]) for one in statistics_S]
    drawn = _resampled(statistics_S, measures.values, draws, seed)
    exchanged = _exchanged(statistics_S, pairs, measures.values, draws, seed)
    found: dict[Pair, dict[str, Paired]] = {pair: {} for pair in pairs}
    for name in measures.values:
        ps = []
        for pair in pairs:
            first, second = pair
            value = float(values[first][name][0] - values[second][name][0])
            low, high = None, None
            if num_units > 1:
                low, high = percentile_interval(drawn[first][name] - drawn[second][name], value, 0.95)
            ps.append(_p_value(value, exchanged[pair][name], num_units))
            difference = Metric(value=value, low=low, high=high, n=num_examples)
            found[pair][name] = Paired(difference=difference, p=ps[-1], p_holm=1.0)
        for pair, corrected in zip(pairs, holm(ps), strict=True):
            found[pair][name] = replace(found[pair][name], p_holm=corrected)
    return found


def holm(ps: Sequence[float]) -> list[float]:
    """Return p-values corrected for how many there are: each is at most 0.05 with 5% of mistakes in all."""
    corrected, largest = [1.0] * len(ps), 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=lambda place: ps[place])):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[place]))
        corrected[place] = largest
    return corrected


def _p_value(value: float, exchanged_B: Array, num_units: int) -> float:
    """Return the share of exchanges with a difference as large; the data itself counts as one of them."""
    if num_units < 2 or not np.isfinite(value):
        return 1.0
    # Undefined after an exchange: held to be as large. Sums in another order differ by rounding.
    as_large = ~(np.abs(exchanged_B) < abs(value) - 1e-12 * max(1.0, abs(value)))
    return (1 + int(as_large.sum())) / (1 + len(exchanged_B))


def _of_sums(values: Mapping[str, Measure], sums_BM: Array) -> dict[str, Array]:
    return {name: measure(sums_BM) for name, measure in values.items()}


def _resampled(
    statistics_S: Sequence[Statistics], values: Mapping[str, Measure], draws: int, seed: int
) -> list[dict[str, Array]]:
    """Return each system's metrics on the same resamples of the units, each [B]."""
    together = sparse.hstack([sparse.csr_array(one) for one in statistics_S], format="csr")
    parts: list[list[dict[str, Array]]] = [[] for _ in statistics_S]
    for sums_BSM in resampled_sums(together, draws, seed):
        for place, sums_BM in enumerate(np.split(sums_BSM, len(statistics_S), axis=1)):
            parts[place].append(_of_sums(values, sums_BM))
    return [{name: np.concatenate([one[name] for one in part]) for name in values} for part in parts]


def _exchanged(
    statistics_S: Sequence[Statistics], pairs: Sequence[Pair], values: Mapping[str, Measure], *drawn: int
) -> dict[Pair, dict[str, Array]]:
    """Return each pair's difference in each metric after exchanging the two on half the units, [B]."""
    draws, seed = drawn
    random = np.random.default_rng(seed)
    num_units = statistics_S[0].shape[0]
    apart = {(a, b): sparse.csr_array(statistics_S[a]) - sparse.csr_array(statistics_S[b]) for a, b in pairs}
    moved = {pair: np.zeros((one.shape[1], draws)) for pair, one in apart.items()}
    step = max(1, _CELLS // draws)
    for start in range(0, num_units, step):
        size = min(step, num_units - start)
        swapped_UB: NDArray[np.float64] = random.integers(0, 2, (size, draws)).astype(np.float64)
        for pair, one in apart.items():
            moved[pair] += one[start : start + size].T @ swapped_UB
    found = {}
    for (a, b), moved_MB in moved.items():
        first = _of_sums(values, column_sums(statistics_S[a])[None] - moved_MB.T)
        second = _of_sums(values, column_sums(statistics_S[b])[None] + moved_MB.T)
        found[a, b] = {name: first[name] - second[name] for name in values}
    return found
