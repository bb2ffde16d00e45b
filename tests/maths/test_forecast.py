"""Forecasts: on the anchor's scale, moved by what else is known, and wide where little is."""

import numpy as np
import pytest

from headstart.core.records import Looked
from headstart.maths import agreement
from headstart.maths.forecast import GAIN, forecasts, levelled, pareto, standardised


def test_one_estimate_alone_is_its_own_forecast() -> None:
    found = forecasts({"probe": [0.5, 0.8]}, [100] * 2, weights={"probe": 1.0})
    assert [one.value for one in found] == pytest.approx([0.5, 0.8])


def test_another_estimate_counts_by_its_weight_on_the_anchors_scale() -> None:
    # The other one has the same spread in other units, and the contrary opinion.
    found = forecasts(
        {"probe": [0.6, 0.8], "logme": [7.0, 5.0]}, [9] * 2, weights={"probe": 3.0, "logme": 1.0}
    )
    assert [one.value for one in found] == pytest.approx([0.65, 0.75])


def test_a_missing_estimate_counts_as_average_and_a_constant_one_not_at_all() -> None:
    weights = {"probe": 1.0, "knn": 1.0}
    missing = forecasts({"probe": [0.5, 0.6, 0.7], "knn": [0.2, None, 0.4]}, [9] * 3, weights=weights)
    assert missing[1].value == pytest.approx(0.6)
    constant = forecasts({"probe": [0.5, 0.7], "knn": [0.2, 0.2]}, [9] * 2, weights=weights)
    assert [one.value for one in constant] == pytest.approx([0.5, 0.7])
    assert standardised([None, None]) is None


def test_what_was_known_before_counts_less_the_more_examples_there_are() -> None:
    estimates = {"probe": [0.6, 0.8], "prior": [80.0, 70.0]}  # of contrary opinion
    for examples, first in ((100, 0.75), (300, 0.7), (900, 0.65)):
        found = forecasts(estimates, [examples] * 2, weights={"probe": 1.0}, prior_examples=300)
        assert [one.value for one in found] == pytest.approx([first, 1.4 - first])


def test_one_model_has_its_anchor_as_forecast() -> None:
    (only,) = forecasts({"probe": [0.7], "knn": [0.2]}, [50])
    assert only.value == pytest.approx(0.7)
    assert only.low < 0.6
    assert only.high > 0.8


def test_more_examples_to_train_on_shrink_what_is_missing() -> None:
    same, more = (forecasts({"probe": [0.6, 0.8]}, [100] * 2, growth) for growth in (1.0, 4.0))
    missing = [(1 - b.value) / (1 - a.value) for a, b in zip(same, more, strict=True)]
    assert missing == pytest.approx([4**-GAIN, 4**-GAIN])


def test_the_interval_narrows_with_examples_and_stays_a_share() -> None:
    few, many = (forecasts({"probe": [0.9]}, [count])[0] for count in (20, 2000))
    assert few.high - few.low > many.high - many.low
    assert few.high == 1.0


def test_a_model_without_the_anchor_is_refused() -> None:
    with pytest.raises(ValueError, match="found a model without probe"):
        forecasts({"probe": [0.5, None]}, [10] * 2)


def test_the_front_holds_what_nothing_beats() -> None:
    assert pareto([0.9, 0.8, 0.7, 0.8], [30.0, 10.0, 20.0, 10.0]) == [True, True, False, True]
    assert pareto([0.9, 0.5], [None, 3.0]) == [True, True]
    assert pareto([0.5, 0.9], [None, 3.0]) == [False, True]


def test_agreement_is_accuracy_or_the_best_micro_f1() -> None:
    scores = np.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3]])
    assert agreement.of_scores(scores, np.array([0, 1, 1])) == pytest.approx(2 / 3)
    truth = np.array([[1, 0], [0, 1], [1, 1]], np.uint8)
    # Of all thresholds, giving the four highest scores is best: 3 right of 4 given, 4 there.
    by_threshold = [
        2 * ((scores > t) * truth).sum() / ((scores > t).sum() + truth.sum()) for t in np.linspace(0, 1, 101)
    ]
    assert agreement.of_scores(scores, truth) == pytest.approx(max(by_threshold))
    assert agreement.of_scores(scores, np.zeros((3, 2), np.uint8)) == 0.0


def test_fewer_examples_of_one_model_leave_more_to_what_was_known() -> None:
    estimates = {"probe": [0.6, 0.8], "prior": [80.0, 70.0]}  # of contrary opinion
    first, second = forecasts(estimates, [100, 900], weights={"probe": 1.0}, prior_examples=300)
    assert first.value == pytest.approx(0.75)
    assert second.value == pytest.approx(
        0.75
    )  # three quarters of what 900 examples say, a quarter of the rest
    assert first.high - first.low > second.high - second.low


def looked(*turns: tuple[int, float | None]) -> tuple[Looked, ...]:
    return tuple(Looked(examples=examples, estimates={"probe": probe}) for examples, probe in turns)


def test_what_further_looks_moved_is_taken_to_have_moved_in_the_others() -> None:
    looks = [
        looked((100, 0.5), (200, 0.6), (400, 0.7)),
        looked((100, 0.6), (200, 0.68)),
        looked((100, 0.3)),
    ]
    # The second look moved two by 0.1 and 0.08, the third one by 0.1.
    assert levelled(looks)["probe"] == pytest.approx([0.7, 0.78, 0.3 + 0.09 + 0.1])


def test_an_estimate_that_some_models_lack_is_levelled_without_them() -> None:
    looks = [looked((100, 0.5), (200, 0.6)), looked((100, None), (200, None)), looked((100, 0.4))]
    first, second, third = levelled(looks)["probe"]
    assert (first, second, third) == (0.6, None, pytest.approx(0.5))
