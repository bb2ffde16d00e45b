"""Every metric against scikit-learn and against a slow, obvious loop, and its interval likewise."""

import math
import tracemalloc
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sk

from headstart.maths.classification import confusion, per_class, reliability, scores
from headstart.maths.classifier_sums import BINS, bin_edges, verdicts
from headstart.maths.intervals import resampled_sums

Array = NDArray[Any]
NAMES = ["accuracy", "precision_macro", "recall_macro", "f1_macro", "log_loss", "brier", "ece"]


def example(
    num_examples: int, num_classes: int, seed: int = 0, sharpness: float = 2.0
) -> tuple[Array, Array]:
    """Draw a calibrated model's probabilities, then sharpen them."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(num_examples, num_classes)) * 1.5
    honest = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    targets = (honest.cumsum(1) > random.random((num_examples, 1))).argmax(1)
    sharp = honest**sharpness
    return sharp / sharp.sum(1, keepdims=True), targets


def slow_ece(probabilities: Array, targets: Array) -> float:
    """Guo et al. 2017, eq. 3, word for word."""
    edges, total = bin_edges(), 0.0
    for lower, upper in pairwise(edges):
        members = [i for i, row in enumerate(probabilities) if lower < max(row) <= upper]
        if members:
            accuracy = sum(int(np.argmax(probabilities[i]) == targets[i]) for i in members) / len(members)
            confidence = sum(max(probabilities[i]) for i in members) / len(members)
            total += len(members) / len(targets) * abs(accuracy - confidence)
    return total


def slow_brier(probabilities: Array, targets: Array) -> float:
    """Brier 1950, eq. 2, word for word."""
    total = 0.0
    for row, target in zip(probabilities, targets, strict=True):
        for k, share in enumerate(row):
            total += (share - (1 if k == target else 0)) ** 2
    return total / len(targets)


def scikit_scores(probabilities: Array, targets: Array) -> dict[str, float]:
    predicted = probabilities.argmax(1)
    macro = {"average": "macro", "zero_division": 0}
    return {
        "accuracy": sk.accuracy_score(targets, predicted),
        "precision_macro": sk.precision_score(targets, predicted, **macro),
        "recall_macro": sk.recall_score(targets, predicted, **macro),
        "f1_macro": sk.f1_score(targets, predicted, **macro),
        "log_loss": sk.log_loss(targets, probabilities, labels=range(probabilities.shape[1])),
        "brier": slow_brier(probabilities, targets),
        "ece": slow_ece(probabilities, targets),
    }


@given(st.integers(1, 60), st.integers(2, 9), st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_values_are_those_of_scikit_learn(num_examples: int, num_classes: int, seed: int) -> None:
    # Few examples of many classes: classes that are absent, never predicted, or neither.
    probabilities, targets = example(num_examples, num_classes, seed)
    ours = {name: metric.value for name, metric in scores(verdicts(probabilities, targets)).items()}
    assert list(ours) == NAMES
    assert ours == pytest.approx(scikit_scores(probabilities, targets))


def slow_scores(probabilities: Array, targets: Array) -> dict[str, float]:
    """The macro averages class by class; the rest in the most obvious way."""
    predicted = probabilities.argmax(1)
    rates = []
    for k in sorted({*targets.tolist(), *predicted.tolist()}):
        hits = sum((targets == k) & (predicted == k))
        precision = hits / sum(predicted == k) if k in predicted else 0.0
        recall = hits / sum(targets == k) if k in targets else 0.0
        rates.append((precision, recall, 2 * precision * recall / (precision + recall) if hits else 0.0))
    averages = np.mean(rates, axis=0)
    loss = -np.mean([math.log(row[target]) for row, target in zip(probabilities, targets, strict=True)])
    calibration = slow_brier(probabilities, targets), slow_ece(probabilities, targets)
    values = [np.mean(predicted == targets), *averages, loss, *calibration]
    return dict(zip(NAMES, map(float, values), strict=True))


def test_intervals_are_those_of_a_slow_loop_over_the_same_resamples() -> None:
    probabilities, targets = example(30, 4, sharpness=4.0)
    slow = []
    for counts in next(resampled_sums(np.eye(30), 1000, seed=3)):
        rows = np.repeat(np.arange(30), counts.astype(int))
        slow.append(slow_scores(probabilities[rows], targets[rows]))
    ours = scores(verdicts(probabilities, targets), seed=3)
    for name in NAMES:
        low, high = np.quantile([result[name] for result in slow], [0.025, 0.975])
        mirrored = [2 * ours[name].value - high, 2 * ours[name].value - low]
        if name == "ece":
            low, high = mirrored
        if name == "f1_macro":
            low, high = min(low, mirrored[0]), max(high, mirrored[1])
        assert [ours[name].low, ours[name].high] == pytest.approx([low, high]), name


def test_per_class_is_that_of_scikit_learn() -> None:
    probabilities, targets = example(80, 5)
    expected = sk.precision_recall_fscore_support(targets, probabilities.argmax(1), labels=range(5))
    for k, ours in enumerate(per_class(verdicts(probabilities, targets))):
        precision, recall, f1, support = (column[k] for column in expected)
        assert (ours.precision.value, ours.recall.value) == pytest.approx((precision, recall))
        assert (ours.f1.value, ours.support, ours.recall.n) == (pytest.approx(f1), support, support)
        assert ours.precision.n == (probabilities.argmax(1) == k).sum()
        assert ours.recall.low <= recall <= ours.recall.high


def test_a_class_that_is_nowhere_scores_zero_without_an_interval() -> None:
    probabilities, targets = (
        np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.7, 0.3, 0.0]]),
        np.array([0, 1, 0]),
    )
    nowhere = per_class(verdicts(probabilities, targets))[2]
    for metric in (nowhere.precision, nowhere.recall):
        assert (metric.value, metric.low, metric.high, metric.n) == (0.0, None, None, 0)
    assert nowhere.f1.value == 0.0
    assert nowhere.support == 0
    assert scores(verdicts(probabilities, targets))["recall_macro"].value == 1.0


def test_all_right_is_bounded_exactly_and_the_rest_says_nothing() -> None:
    probabilities, targets = np.eye(3)[[0, 1, 2] * 7], np.array([0, 1, 2] * 7)
    ours = scores(verdicts(probabilities, targets))
    assert ours["accuracy"].value == 1.0
    assert ours["accuracy"].low == pytest.approx(0.025 ** (1 / 21))
    assert ours["accuracy"].high == 1.0
    assert (ours["f1_macro"].value, ours["f1_macro"].low, ours["f1_macro"].high) == (1.0, None, None)
    one = per_class(verdicts(probabilities, targets))[0]
    assert one.recall.low == pytest.approx(0.025 ** (1 / 7))
    assert one.f1.low is None


def test_one_example_has_values_and_no_intervals() -> None:
    for metric in scores(verdicts(np.array([[0.3, 0.7]]), np.array([1]))).values():
        assert (metric.low, metric.high, metric.n) == (None, None, 1)


def test_a_certain_mistake_costs_a_finite_loss() -> None:
    ours = scores(verdicts(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([1, 1])))
    assert ours["log_loss"].value == pytest.approx(-math.log(1e-15) / 2)


def test_the_brier_score_goes_from_right_for_certain_to_wrong_for_certain() -> None:
    right, wrong = np.eye(3)[[0, 1]], np.eye(3)[[1, 2]]
    for probabilities, expected in ((right, 0.0), (wrong, 2.0), (np.full((2, 3), 1 / 3), 2 / 3)):
        assert scores(verdicts(probabilities, np.array([0, 1])))["brier"].value == pytest.approx(expected)
    two, targets = example(40, 2)
    theirs = sk.brier_score_loss(targets, two[:, 1])  # of one of two classes, so half of ours
    assert scores(verdicts(two, targets))["brier"].value == pytest.approx(2 * theirs)


def test_confusion_is_that_of_scikit_learn() -> None:
    probabilities, targets = example(90, 6)
    expected = sk.confusion_matrix(targets, probabilities.argmax(1), labels=range(6))
    assert (confusion(verdicts(probabilities, targets)) == expected).all()


def test_reliability_bins_add_up_to_the_calibration_error() -> None:
    probabilities, targets = example(200, 3)
    bins = reliability(verdicts(probabilities, targets))
    assert len(bins.edges) == BINS + 1
    assert sum(bins.counts) == 200
    assert None in bins.accuracy  # the largest of three probabilities is never below a third
    filled = [b for b in zip(bins.counts, bins.accuracy, bins.confidence, strict=True) if b[0]]
    error = sum(count * abs(accuracy - confidence) for count, accuracy, confidence in filled) / 200
    assert error == pytest.approx(slow_ece(probabilities, targets))


def test_a_confidence_on_an_edge_belongs_to_the_bin_below() -> None:
    edge = float(bin_edges()[12])
    assert reliability(verdicts(np.array([[edge, 1 - edge]]), np.array([0]))).counts[11] == 1
    assert reliability(verdicts(np.array([[1.0, 0.0]]), np.array([0]))).counts[BINS - 1] == 1


def test_few_examples_of_many_classes_are_covered_too() -> None:
    truth = scores(verdicts(*example(50_000, 50, 99)))["f1_macro"].value
    intervals = [scores(verdicts(*example(500, 50, seed)), seed)["f1_macro"] for seed in range(40)]
    assert sum(metric.low <= truth <= metric.high for metric in intervals if metric.low and metric.high) >= 35


@pytest.mark.parametrize("sharpness", [1.0, 2.0])
def test_intervals_cover_the_truth(sharpness: float) -> None:
    truth = {name: m.value for name, m in scores(verdicts(*example(50_000, 4, 99, sharpness))).items()}
    covered = dict.fromkeys(NAMES, 0)
    for seed in range(80):
        for name, metric in scores(verdicts(*example(200, 4, seed, sharpness)), seed).items():
            covered[name] += metric.low <= truth[name] <= metric.high
    for name in NAMES:
        # Noise raises the calibration error; percentiles would never cover a calibrated model's.
        assert covered[name] / 80 >= (0.85 if name == "ece" else 0.9), name


@pytest.mark.parametrize(
    ("probabilities", "targets", "message"),
    [
        (np.ones((2, 2)) / 2, np.array([0, 2]), "targets from 0 to 2"),
        (np.ones((2, 2)) / 2, np.array([0, 1, 1]), "expected \\[N, K\\]"),
        (np.full((1, 2), np.nan), np.array([0]), "not finite"),
        (np.empty((0, 2)), np.empty(0, int), "no examples"),
    ],
)
def test_senseless_input_is_refused(probabilities: Array, targets: Array, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        scores(verdicts(probabilities, targets))


def test_memory_stays_flat() -> None:
    probabilities = np.random.default_rng(0).random((50_000, 10))
    targets = probabilities.argmax(1)
    tracemalloc.start()
    scores(verdicts(probabilities, targets))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # 84 bytes an example, and blocks whose size depends neither on N nor on B.
    assert peak < 50_000 * 84 * 2.2 + 90e6
