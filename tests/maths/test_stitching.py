"""Masks out of overlapping parts, against a mean of logits taken pixel by pixel."""

import math

import numpy as np
import pytest

from headstart.maths import bilinear, stitching

K, G = 3, 4
BOXES = [(0, 0, 12, 10), (7, 0, 19, 10), (0, 6, 12, 16), (7, 6, 19, 16)]
HEIGHT, WIDTH = 16, 19


def test_overlapping_parts_are_averaged_by_their_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = np.random.default_rng(0).normal(size=(4, K, G, G))
    total, weight = np.zeros((K, HEIGHT, WIDTH)), np.zeros((HEIGHT, WIDTH))
    for said, (left, top, right, bottom) in zip(logits, BOXES, strict=True):
        fine = bilinear.resize(said, bottom - top, right - left)
        for y in range(top, bottom):
            for x in range(left, right):
                down = math.sin(math.pi * (y - top + 0.5) / (bottom - top)) ** 2
                across = math.sin(math.pi * (x - left + 0.5) / (right - left)) ** 2
                total[:, y, x] += down * across * fine[:, y - top, x - left]
                weight[y, x] += down * across
    assert (weight > 0).all()
    expected = (total / weight).argmax(axis=0)
    for band in (64, 5, 1):
        monkeypatch.setattr(stitching, "_BAND", band)
        found = stitching.labels(logits, BOXES, (HEIGHT, WIDTH))
        assert found.dtype == np.int16
        np.testing.assert_array_equal(found, expected)


def test_one_part_is_resized_and_no_more() -> None:
    logits = np.random.default_rng(1).normal(size=(1, K, G, G))
    found = stitching.labels(logits, [(0, 0, 130, 70)], (70, 130))
    np.testing.assert_array_equal(found, bilinear.resize(logits[0], 70, 130).argmax(axis=0))


def test_windows_are_even_and_largest_in_the_middle() -> None:
    weights = stitching.window(9)
    assert (weights > 0).all()
    np.testing.assert_allclose(weights, weights[::-1], atol=1e-7)
    assert weights.argmax() == 4
    assert weights[4] == pytest.approx(1)
