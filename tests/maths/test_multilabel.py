"""Figures of any number of labels against scikit-learn's, and their intervals."""

import warnings

import numpy as np
import pytest
from sklearn import metrics

from headstart.core.records import Metric
from headstart.maths import multilabel
from headstart.maths.multilabel import Decisions

N, K = 200, 5


def said(seed: int = 0, ties: bool = False, rarest: float = 0.02) -> Decisions:
    """Return decisions that are right more often than not; of label 4 there is nothing at all."""
    random = np.random.default_rng(seed)
    true_NK = random.random((N, K)) < np.array([0.5, 0.1, 0.3, rarest, 0.0])
    p_NK = np.clip(0.5 * true_NK + random.random((N, K)) * 0.6, 0.001, 0.999)
    p_NK[:, 4] = 0.01
    if ties:
        p_NK = np.round(p_NK, 1).clip(0.05, 0.95)
    return Decisions(p_NK, p_NK >= 0.55, true_NK)


@pytest.mark.parametrize("ties", [False, True])
def test_every_figure_is_scikit_learns(ties: bool) -> None:
    one = said(ties=ties)
    found = {name: metric.value for name, metric in multilabel.scores(one).items()}
    occurs = one.true_NK.any(axis=0) | one.given_NK.any(axis=0)
    assert not occurs.all()
    true, given, p = one.true_NK[:, occurs], one.given_NK[:, occurs], one.probabilities_NK
    expected = {
        "subset_accuracy": metrics.accuracy_score(one.true_NK, one.given_NK),
        "hamming_loss": metrics.hamming_loss(one.true_NK, one.given_NK),
        "log_loss": np.mean([metrics.log_loss(one.true_NK[:, k], p[:, k], labels=[0, 1]) for k in range(K)]),
        "brier": np.mean([metrics.brier_score_loss(one.true_NK[:, k], p[:, k]) for k in range(K)]),
        "mean_average_precision": metrics.average_precision_score(true, p[:, occurs], average="macro"),
    }
    for name in ("precision", "recall", "f1"):
        for average in ("micro", "macro"):
            score = getattr(metrics, f"{name}_score")
            expected[f"{name}_{average}"] = score(true, given, average=average, zero_division=0)
    assert found == pytest.approx(expected, rel=1e-9)
    assert next(iter(found)) == "f1_micro"  # the headline's


def test_each_label_is_scikit_learns() -> None:
    one = said(ties=True)
    for k, found in enumerate(multilabel.per_label(one)):
        true, given = one.true_NK[:, k], one.given_NK[:, k]
        assert found.support == true.sum()
        assert found.precision.value == metrics.precision_score(true, given, zero_division=0)
        assert found.recall.value == metrics.recall_score(true, given, zero_division=0)
        assert found.f1.value == metrics.f1_score(true, given, zero_division=0)
        if true.any():
            theirs = metrics.average_precision_score(true, one.probabilities_NK[:, k])
            assert found.average_precision.value == pytest.approx(theirs)
    assert (found.average_precision.value, found.average_precision.low) == (0.0, None)


def holds(metric: Metric) -> bool:
    return metric.low is not None and metric.high is not None and metric.low <= metric.value <= metric.high


def test_each_figure_has_an_interval_that_holds_it() -> None:
    found = multilabel.scores(said())
    assert all(holds(metric) for metric in found.values())
    assert all(0 <= metric.low <= metric.high <= 1 for name, metric in found.items() if name != "log_loss")
    assert found == multilabel.scores(said())


def test_intervals_of_a_ranking_cover_the_truth() -> None:
    found = [multilabel.scores(said(seed, rarest=0.2))["mean_average_precision"] for seed in range(30)]
    truth = np.mean([metric.value for metric in found])
    assert sum(metric.low <= truth <= metric.high for metric in found) >= 26


def test_no_label_at_all_is_no_trouble() -> None:
    nothing = np.zeros((3, 2), dtype=bool)
    found = multilabel.scores(Decisions(np.full((3, 2), 0.1), nothing, nothing))
    assert found["f1_micro"].value == found["mean_average_precision"].value == 0.0
    assert found["subset_accuracy"].value == 1.0
    assert found["hamming_loss"].value == 0.0


def test_one_example_has_no_interval_and_none_no_figures() -> None:
    one = Decisions(np.array([[0.9, 0.2]]), np.array([[True, False]]), np.array([[True, True]]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = multilabel.scores(one)
    assert all(metric.low is None for metric in found.values())
    empty = np.zeros((0, 2))
    with pytest.raises(ValueError, match="no examples"):
        multilabel.scores(Decisions(empty, empty, empty))
