"""The bootstrap against a slow loop, the truth it should cover, and the cases where it must say nothing."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, stats

from headstart.maths.intervals import Array, bootstrap, exact_interval, percentile_interval, resampled_sums

MEAN = {"mean": lambda sums: sums[:, 0] / sums[:, 1]}
COUNT = {"mean": lambda sums: sums[:, 1]}


def with_ones(values: Array) -> Array:
    return np.column_stack([values, np.ones(len(values))])


def test_resamples_match_a_slow_loop_over_the_same_indices() -> None:
    random = np.random.default_rng(1)
    values = random.random(30)
    [counts_BN] = resampled_sums(np.eye(30), 200, seed=5)
    slow = []
    for counts_N in counts_BN:
        drawn = [values[i] for i in range(30) for _ in range(int(counts_N[i]))]
        assert len(drawn) == 30
        slow.append(sum(drawn) / len(drawn))
    metric = bootstrap(with_ones(values), MEAN, resamples=200, seed=5)["mean"]
    assert metric.value == pytest.approx(values.mean())
    assert [metric.low, metric.high] == pytest.approx(list(np.quantile(slow, [0.025, 0.975])))


def test_sparse_statistics_give_the_same_as_dense() -> None:
    values = with_ones(np.random.default_rng(2).integers(0, 2, 500).astype(float))
    assert bootstrap(sparse.csr_array(values), MEAN) == bootstrap(values, MEAN)


def test_blocks_and_chunks_are_still_the_plain_bootstrap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.maths.intervals._CELLS", 400)
    parts = list(resampled_sums(np.eye(40), 2000, seed=0))
    assert len(parts) == 200  # chunks of ten resamples, each of one block of forty examples
    monkeypatch.setattr("headstart.maths.intervals._CELLS", 2000)
    counts_BN = np.concatenate([*resampled_sums(np.eye(40), 4000, seed=0)])
    assert (counts_BN.sum(axis=1) == 40).all()
    assert counts_BN.mean(axis=0) == pytest.approx(np.ones(40), abs=0.08)
    # Multinomial: variance (1 - 1/N) each, covariance -1/N between two examples of any two blocks.
    covariance = np.cov(counts_BN.T)
    assert np.diag(covariance) == pytest.approx(np.full(40, 39 / 40), abs=0.12)
    assert covariance[np.triu_indices(40, 1)].mean() == pytest.approx(-1 / 40, abs=0.005)


def test_the_seed_decides_and_no_global_state_is_touched() -> None:
    values = with_ones(np.random.default_rng(3).random(50))
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    assert bootstrap(values, MEAN, seed=1) == bootstrap(values, MEAN, seed=1)
    assert bootstrap(values, MEAN, seed=1) != bootstrap(values, MEAN, seed=2)
    assert (np.random.get_state()[1] == before).all()


@pytest.mark.parametrize("share", [0.2, 0.5, 0.85])
def test_the_interval_covers_the_truth_about_95_percent_of_the_time(share: float) -> None:
    random = np.random.default_rng(4)
    covered = 0
    for seed in range(300):
        metric = bootstrap(with_ones(random.random(200) < share), MEAN, resamples=500, seed=seed)["mean"]
        covered += metric.low <= share <= metric.high
    assert 0.91 <= covered / 300 <= 0.985


def test_a_wider_level_gives_a_wider_interval() -> None:
    values = with_ones(np.random.default_rng(5).random(50))
    narrow, wide = (bootstrap(values, MEAN, level=level)["mean"] for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_no_spread_claims_no_certainty() -> None:
    right = with_ones(np.ones(20))
    metric = bootstrap(right, MEAN)["mean"]
    assert (metric.value, metric.low, metric.high) == (1.0, None, None)
    metric = bootstrap(right, MEAN, shares=COUNT)["mean"]
    assert metric.low == pytest.approx(0.025 ** (1 / 20))
    assert (metric.high, metric.n) == (1.0, 20)


def test_one_example_has_no_interval() -> None:
    metric = bootstrap(with_ones(np.ones(1)), MEAN, shares=COUNT)["mean"]
    assert (metric.value, metric.low, metric.high, metric.n) == (1.0, None, None, 1)


def test_an_undefined_measure_has_no_interval() -> None:
    def undefined(sums: Array) -> Array:
        return np.full(len(sums), math.nan)

    metric = bootstrap(with_ones(np.ones(9)), {"mean": undefined}, shares=COUNT)["mean"]
    assert math.isnan(metric.value)
    assert (metric.low, metric.high) == (None, None)


def test_resamples_without_the_measure_are_left_out() -> None:
    assert percentile_interval(np.array([math.nan, 1.0, 3.0, math.nan]), 2.0, 1.0) == (1.0, 3.0)


def test_a_reflected_interval_mirrors_the_percentiles_about_the_value() -> None:
    values = with_ones(np.random.default_rng(6).random(50) ** 3)
    plain = bootstrap(values, MEAN)["mean"]
    mirrored = bootstrap(values, MEAN, reflected=frozenset({"mean"}))["mean"]
    assert mirrored.low == pytest.approx(2 * plain.value - plain.high)
    assert mirrored.high == pytest.approx(2 * plain.value - plain.low)


def test_no_examples_is_an_error() -> None:
    with pytest.raises(ValueError, match="no examples"):
        bootstrap(np.empty((0, 2)), MEAN)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
@settings(max_examples=40, deadline=None)
def test_the_exact_interval_is_that_of_scipy(share: tuple[int, int]) -> None:
    successes, trials = share
    reference = stats.binomtest(successes, trials).proportion_ci(0.95, method="exact")
    assert exact_interval(successes / trials, trials, 0.95) == pytest.approx((reference.low, reference.high))


def test_a_share_of_nothing_has_no_interval() -> None:
    assert exact_interval(math.nan, 0, 0.95) == (None, None)
