"""A metric on parts of the examples, each held against the rest, without mistaking noise for weakness.

Every slice gets its interval and the difference from all other examples, both from the same resamples in
one pass. The p-value asks how often a random part of the same size would differ as much: for shares of
independent examples exactly (R. A. Fisher, "Statistical Methods for Research Workers", 1934, section
21.02), else by the normal law with the variance that the whole's metric has over resamples, N / n times as
large in a part of n. P-values are corrected by Holm for how many slices were looked at.

Shape letters: N examples, M statistics, S slices, B resamples, U units.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special

from headstart.core.records import Metric
from headstart.core.tallies import Measure, Measures, Statistics
from headstart.maths.comparison import holm
from headstart.maths.intervals import (
    Array,
    by_unit,
    column_sums,
    exact_interval,
    percentile_interval,
    resampled_sums,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """The metric on one slice, how far it is above all other examples, and the two-sided p-value of that."""

    metric: Metric
    above_rest: Metric
    p_holm: float


def sliced(
    statistics_NM: Statistics,
    measures: Measures,
    name: str,
    members_NS: NDArray[np.bool_],
    units_N: NDArray[np.int64],
    seed: int = 0,
) -> list[Slice]:
    """Return each slice's figures by the metric ``name``; what shares a number in ``units_N`` is one draw.

    Every slice and its rest must hold an example. Where neither varies, no p-value below 1 is claimed.
    """
    rows, num_statistics = sparse.csr_array(statistics_NM), statistics_NM.shape[1]
    parts = [*(_part(rows, member_N) for member_N in members_NS.T), rows]
    together = by_unit(sparse.hstack(parts, format="csr"), units_N)
    measure = measures.values[name]
    [value_1S], [rest_1S], [whole] = _figures(measure, column_sums(together)[None], num_statistics)
    drawn = [_figures(measure, sums, num_statistics) for sums in resampled_sums(together, 1000, seed)]
    inside_BS, others_BS, whole_B = (np.concatenate([part[place] for part in drawn]) for place in range(3))
    share = name in measures.shares and together.shape[0] == len(units_N)
    found, ps = [], []
    for place, count in enumerate(members_NS.sum(axis=0)):
        value, apart = float(value_1S[place]), float(value_1S[place] - rest_1S[place])
        low, high = percentile_interval(inside_BS[:, place], value, 0.95)
        if low is None and share:
            low, high = exact_interval(value, int(count), 0.95)
        gap_B = inside_BS[:, place] - others_BS[:, place]
        if share:
            hits, all_hits = round(value * count), round(float(whole) * len(units_N))
            ps.append(fisher(hits, int(count), all_hits, len(units_N)))
        else:
            ps.append(_by_chance(apart, whole_B, count / len(units_N)))
        gap_low, gap_high = percentile_interval(gap_B, apart, 0.95)
        found.append(
            Slice(
                metric=Metric(value=value, low=low, high=high, n=int(count)),
                above_rest=Metric(value=apart, low=gap_low, high=gap_high, n=len(units_N)),
                p_holm=1.0,
            )
        )
    return [replace(one, p_holm=p) for one, p in zip(found, holm(ps), strict=True)]


def _part(rows: sparse.csr_array, member_N: NDArray[np.bool_]) -> sparse.csr_array:
    """Return the rows of a slice's members, the others empty: those of a trait hold each row once."""
    part = sparse.diags_array(member_N.astype(np.float64)) @ rows
    part.eliminate_zeros()
    return part


def _figures(measure: Measure, sums_BT: Array, num_statistics: int) -> tuple[Array, Array, Array]:
    """Return the metric on every slice and on its rest, each [B, S], and on the whole [B]."""
    sums_BSM = sums_BT.reshape(len(sums_BT), -1, num_statistics)
    whole_BM, num_slices = sums_BSM[:, -1], sums_BSM.shape[1] - 1
    with np.errstate(invalid="ignore", divide="ignore"):
        inside = [measure(sums_BSM[:, place]) for place in range(num_slices)]
        rest = [measure(whole_BM - sums_BSM[:, place]) for place in range(num_slices)]
    return np.stack(inside, axis=1), np.stack(rest, axis=1), measure(whole_BM)


def _by_chance(apart: float, whole_B: Array, part: float) -> float:
    """Return how likely a random ``part`` of the examples differs from its rest by as much, normally."""
    defined_B = whole_B[np.isfinite(whole_B)]
    variance = float(defined_B.var()) * (1 / part + 1 / (1 - part)) if len(defined_B) else 0.0
    if not np.isfinite(apart) or variance <= 1e-24 * max(1.0, apart**2):
        return 1.0
    return float(special.erfc(abs(apart) / np.sqrt(2 * variance)))


def fisher(hits: int, size: int, all_hits: int, all_size: int) -> float:
    """Return the two-sided p-value of ``hits`` in a part of ``size``, where the whole has ``all_hits``."""
    k = np.arange(max(0, size - (all_size - all_hits)), min(size, all_hits) + 1)
    logs = -special.betaln(k + 1, all_hits - k + 1) - special.betaln(
        size - k + 1, all_size - all_hits - size + k + 1
    )
    chances = np.exp(logs - special.logsumexp(logs))
    as_rare = chances <= chances[hits - k[0]] * (1 + 1e-7)
    return float(min(1.0, chances[as_rare].sum()))
