"""Slices against plain means and resamples of each part, and how seldom noise is taken for weakness."""

import numpy as np
import pytest
from scipy import stats

from headstart.core.tallies import Measures
from headstart.maths.intervals import Array, bootstrap
from headstart.maths.slices import fisher, sliced

SHARE = Measures(
    values={"share": lambda sums: sums[:, 0] / sums[:, 1]}, shares={"share": lambda sums: sums[:, 1]}
)
MEAN = Measures(values=SHARE.values)


def with_ones(values: Array) -> Array:
    return np.column_stack([values, np.ones(len(values))])


def test_values_intervals_and_p_values_are_those_of_each_part_and_its_rest() -> None:
    random = np.random.default_rng(0)
    values = random.random(200)
    members = np.stack([np.arange(200) < 60, np.arange(200) % 3 == 0], axis=1)
    found = sliced(with_ones(values), MEAN, "share", members, np.arange(200))
    for one, member in zip(found, members.T, strict=True):
        inside, rest = values[member], values[~member]
        assert one.metric.value == pytest.approx(inside.mean())
        assert one.metric.n == member.sum()
        assert one.above_rest.value == pytest.approx(inside.mean() - rest.mean())
        alone = bootstrap(with_ones(inside), MEAN.values)["share"]
        assert one.metric.low == pytest.approx(alone.low, abs=0.02)
        assert one.metric.high == pytest.approx(alone.high, abs=0.02)
        deviation = np.hypot(inside.std() / np.sqrt(len(inside)), rest.std() / np.sqrt(len(rest)))
        reach = 1.96 * deviation
        assert one.above_rest.low == pytest.approx(one.above_rest.value - reach, abs=0.02)
        assert one.above_rest.high == pytest.approx(one.above_rest.value + reach, abs=0.02)


def test_noise_is_seldom_called_a_weakness_and_a_weakness_is_found() -> None:
    false_alarms, found_weak = 0, 0
    for trial in range(60):
        random = np.random.default_rng(trial)
        members = np.eye(10, dtype=bool)[np.repeat(np.arange(10), 30)]
        right = random.random(300) < 0.9
        even = sliced(with_ones(right.astype(float)), SHARE, "share", members, np.arange(300))
        false_alarms += any(one.p_holm <= 0.05 for one in even)
        right[:30] = random.random(30) < 0.5
        weak = sliced(with_ones(right.astype(float)), SHARE, "share", members, np.arange(300))
        found_weak += weak[0].p_holm <= 0.05 and weak[0].above_rest.value < 0
    assert false_alarms <= 6
    assert found_weak >= 54


def test_fishers_test_is_scipys() -> None:
    random = np.random.default_rng(0)
    for _ in range(40):
        size, others = random.integers(1, 40, 2)
        hits, more = random.integers(0, size + 1), random.integers(0, others + 1)
        slow = stats.fisher_exact([[hits, size - hits], [more, others - more]]).pvalue
        assert fisher(hits, size, hits + more, size + others) == pytest.approx(slow)


def test_a_slice_that_is_all_right_or_all_wrong_has_an_exact_interval_and_no_certainty_for_nothing() -> None:
    members = np.stack([np.arange(60) < 20], axis=1)
    all_right = sliced(with_ones(np.ones(60)), SHARE, "share", members, np.arange(60))[0]
    assert (all_right.metric.value, all_right.metric.high, all_right.p_holm) == (1.0, 1.0, 1.0)
    assert all_right.metric.low == pytest.approx(0.025 ** (1 / 20))
    wrong = np.concatenate([np.zeros(20), np.ones(40)])
    all_wrong = sliced(with_ones(wrong), SHARE, "share", members, np.arange(60))[0]
    assert all_wrong.above_rest.value == -1
    assert all_wrong.p_holm < 1e-6


def test_copies_in_groups_are_no_more_evidence() -> None:
    random = np.random.default_rng(7)
    values = (random.random(40) < 0.7).astype(float)
    members = (np.arange(40) < 20)[:, None]
    values += random.random(40)  # no shares, which have a test of their own
    alone = sliced(with_ones(values), MEAN, "share", members, np.arange(40))[0]
    units = np.repeat(np.arange(40), 5)
    copied = sliced(with_ones(values[units]), MEAN, "share", members[units], units)[0]
    assert copied.p_holm == pytest.approx(alone.p_holm)
    assert copied.metric.low == pytest.approx(alone.metric.low)
