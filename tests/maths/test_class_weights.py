"""Weights of classes: the formulas, classes without pixels, and a class of one pixel."""

import numpy as np
import pytest

from headstart.maths import class_weights

AREAS = np.array([900.0, 90.0, 10.0, 0.0])


@pytest.mark.parametrize("kind", class_weights.POWERS)
def test_the_mean_over_pixels_is_one(kind: str) -> None:
    weights = class_weights.of(AREAS, kind)
    assert float(AREAS @ weights) / AREAS.sum() == pytest.approx(1)
    assert weights[3] == 1


def test_balanced_is_scikit_learns() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    pixels = np.repeat([0, 1, 2], AREAS[:3].astype(int))
    expected = compute_class_weight("balanced", classes=np.arange(3), y=pixels)
    np.testing.assert_allclose(class_weights.of(AREAS, "balanced")[:3], expected, rtol=1e-6)


def test_sqrt_is_the_root_of_it() -> None:
    balanced, root = (class_weights.of(AREAS, kind)[:3] for kind in ("balanced", "sqrt"))
    np.testing.assert_allclose(root / root[0], np.sqrt(balanced / balanced[0]), rtol=1e-6)


def test_without_weights_all_are_one() -> None:
    assert class_weights.of(AREAS, "none").tolist() == [1, 1, 1, 1]


def test_a_class_of_one_pixel_and_no_pixels_at_all() -> None:
    one = class_weights.of(np.array([1e6 - 1, 1.0]), "balanced")
    assert one[1] == pytest.approx(5e5)
    assert class_weights.of(np.zeros(2), "balanced").tolist() == [1, 1]
