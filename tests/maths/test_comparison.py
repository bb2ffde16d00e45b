"""Differences of systems against loops over the same draws, and how often chance is taken for more."""

import itertools

import numpy as np
import pytest
from scipy import sparse, stats

from headstart.core.tallies import Measures
from headstart.maths.comparison import compared, holm
from headstart.maths.intervals import Array, by_unit

MEAN = Measures(values={"mean": lambda sums: sums[:, 0] / sums[:, 1]})


def with_ones(values: Array) -> Array:
    return np.column_stack([values, np.ones(len(values))])


def test_the_p_value_is_near_that_of_all_exchanges_and_the_interval_holds_the_difference() -> None:
    random = np.random.default_rng(0)
    first, second = random.random(12), random.random(12)
    gaps = first - second
    every = [abs(np.dot(signs, gaps)) for signs in itertools.product((-1, 1), repeat=12)]
    exact = np.mean(np.array(every) >= abs(gaps.sum()) - 1e-12)
    found = compared([with_ones(first), with_ones(second)], MEAN, 12, draws=20_000)[0, 1]["mean"]
    assert found.difference.value == pytest.approx(gaps.mean())
    assert found.p == found.p_holm == pytest.approx(exact, abs=0.012)
    slow = stats.bootstrap((gaps,), np.mean, n_resamples=20_000, method="percentile", rng=1)
    assert [found.difference.low, found.difference.high] == pytest.approx(
        [slow.confidence_interval.low, slow.confidence_interval.high], abs=0.01
    )


def test_sparse_statistics_of_a_ratio_agree_with_a_loop_over_exchanges() -> None:
    random = np.random.default_rng(1)
    ratio = Measures(values={"ratio": lambda sums: sums[:, 0] / (sums[:, 1] + sums[:, 2])})
    first, second = (random.integers(0, 5, (30, 3)).astype(float) + 0.1 for _ in range(2))
    dense = compared([first, second], ratio, 30, draws=3000)[0, 1]["ratio"]
    thin = compared([sparse.csr_array(first), sparse.csr_array(second)], ratio, 30, draws=3000)[0, 1]["ratio"]
    assert thin.difference.value == pytest.approx(dense.difference.value)
    assert thin.p == pytest.approx(dense.p, abs=1e-9)

    def score(rows: Array) -> float:
        total = rows.sum(axis=0)
        return float(total[0] / (total[1] + total[2]))

    larger = 0
    for _ in range(3000):
        swap = random.random(30)[:, None] < 0.5
        one, other = np.where(swap, second, first), np.where(swap, first, second)
        larger += abs(score(one) - score(other)) >= abs(score(first) - score(second))
    assert dense.p == pytest.approx(larger / 3000, abs=0.04)


def test_equal_systems_are_rarely_told_apart_and_unequal_ones_often() -> None:
    random = np.random.default_rng(2)
    alike, apart = 0, 0
    for trial in range(200):
        right = random.random((60, 3)) < (0.7, 0.7, 0.9)
        found = compared([with_ones(one) for one in right.T.astype(float)], MEAN, 60, draws=400, seed=trial)
        alike += found[0, 1]["mean"].p <= 0.05
        apart += found[0, 2]["mean"].p <= 0.05
    assert alike / 200 < 0.09
    assert apart / 200 > 0.6


def test_a_group_is_one_piece_of_evidence() -> None:
    # Ten documents, each a hundred times: a hundredfold copy is no more certain than the ten.
    random = np.random.default_rng(3)
    first, second = random.random(10), random.random(10)
    units_N = np.repeat(np.arange(10), 100)
    grouped = [by_unit(with_ones(np.repeat(one, 100)), units_N) for one in (first, second)]
    alone = compared([with_ones(first), with_ones(second)], MEAN, 10)[0, 1]["mean"]
    copied = compared(grouped, MEAN, 1000)[0, 1]["mean"]
    assert copied.p == pytest.approx(alone.p)
    assert copied.difference.low == pytest.approx(alone.difference.low)
    assert copied.difference.n == 1000


def test_no_difference_and_a_single_unit_claim_nothing() -> None:
    same = with_ones(np.random.default_rng(4).random(20))
    found = compared([same, same.copy()], MEAN, 20)[0, 1]["mean"]
    assert (found.p, found.difference.low, found.difference.high) == (1.0, None, None)
    single = compared([with_ones(np.ones(1)), with_ones(np.zeros(1))], MEAN, 1)[0, 1]["mean"]
    assert (single.p, single.difference.value, single.difference.low) == (1.0, 1.0, None)
    with pytest.raises(ValueError, match="no examples"):
        compared([np.empty((0, 2)), np.empty((0, 2))], MEAN, 0)


def test_holm_by_its_definition() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []
    ps = np.random.default_rng(5).random(9) ** 3
    for alpha in (0.01, 0.05, 0.2):  # the step-down procedure itself
        rejected = set()
        for rank, place in enumerate(np.argsort(ps)):
            if ps[place] > alpha / (9 - rank):
                break
            rejected.add(int(place))
        assert {place for place, p in enumerate(holm(list(ps))) if p <= alpha} == rejected
