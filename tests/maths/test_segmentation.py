"""Counts and scores of masks against loops that are too slow and too plain to be wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.maths import segmentation


def slow_confusion(truth: np.ndarray, said: np.ndarray, classes: int) -> np.ndarray:
    counts = np.zeros((classes, classes), dtype=int)
    for row in range(truth.shape[0]):
        for column in range(truth.shape[1]):
            if truth[row, column] >= 0:
                counts[truth[row, column], said[row, column]] += 1
    return counts


def slow_miou(counts: np.ndarray) -> tuple[float, float]:
    ious, dices = [], []
    for place in range(len(counts)):
        hit = counts[place, place]
        union = counts[place].sum() + counts[:, place].sum() - hit
        if union:
            ious.append(hit / union)
            dices.append(2 * hit / (counts[place].sum() + counts[:, place].sum()))
    return float(np.mean(ious)), float(np.mean(dices))


@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
@settings(max_examples=30, deadline=None)
def test_scores_are_those_of_the_loops(seed: int, classes: int) -> None:
    random = np.random.default_rng(seed)
    shapes = [(random.integers(1, 9), random.integers(1, 9)) for _ in range(3)]
    counts = []
    for shape in shapes:
        truth, said = random.integers(-1, classes, shape), random.integers(0, classes, shape)
        counts.append(segmentation.confusion(truth, said, classes))
        assert (counts[-1] == slow_confusion(truth, said, classes)).all()
    together = np.array(counts)
    total = together.sum(axis=0)
    if not total.sum():
        return
    scores = segmentation.scores(together)
    miou, dice = slow_miou(total)
    assert scores["miou"].value == pytest.approx(miou)
    assert scores["dice_macro"].value == pytest.approx(dice)
    assert scores["pixel_accuracy"].value == pytest.approx(np.trace(total) / total.sum())
    assert scores["miou"].n == 3


def test_ignored_pixels_count_nowhere() -> None:
    truth = np.array([[0, 1, -1, -1]])
    for said in ([[0, 1, 0, 0]], [[0, 1, 1, 1]]):
        counts = segmentation.confusion(truth, np.array(said), 2)
        assert counts.tolist() == [[1, 0], [0, 1]]


def test_a_class_in_neither_truth_nor_prediction_is_left_out_of_the_mean() -> None:
    counts = np.zeros((4, 3, 3))
    counts[:, 0, 0], counts[:, 0, 1], counts[:, 1, 1] = 6, 2, 2
    scores = segmentation.scores(counts)
    assert scores["miou"].value == pytest.approx((6 / 8 + 2 / 4) / 2)
    assert np.isnan(segmentation.per_class(counts)[2]["iou"].value)


def test_a_class_that_is_only_predicted_scores_nought() -> None:
    counts = np.zeros((1, 2, 2))
    counts[0, 0] = 3, 1
    assert segmentation.scores(counts)["miou"].value == pytest.approx((3 / 4 + 0) / 2)


def test_the_interval_resamples_pictures() -> None:
    random = np.random.default_rng(0)
    good, bad = np.diag([50.0, 50.0]), np.array([[0.0, 50.0], [50.0, 0.0]])
    counts = np.array([good if random.random() < 0.7 else bad for _ in range(60)])
    accuracy = segmentation.scores(counts)["pixel_accuracy"]
    assert accuracy.low is not None
    assert accuracy.high is not None
    # Sixty pictures, not six thousand pixels: about 0.7 +- 0.12.
    assert 0.15 < accuracy.high - accuracy.low < 0.3


def test_worst_first_goes_by_the_share_that_is_right() -> None:
    counts = np.array([np.diag([9, 1]), [[0, 5], [5, 0]], [[5, 5], [0, 0]]])
    assert segmentation.worst_first(counts).tolist() == [1, 2, 0]
