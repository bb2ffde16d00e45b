"""One factor for all logits."""

import numpy as np
import pytest

from headstart.maths import logistic, softmax, temperature


def test_what_was_shrunk_is_stretched_again() -> None:
    random = np.random.default_rng(0)
    logits_NK = 2 * random.standard_normal((4000, 4))
    y_N = np.array([random.choice(4, p=p_K) for p_K in softmax.probabilities(logits_NK)])
    for factor in (0.3, 1.0, 2.5):
        found = temperature.factor(logits_NK * factor, y_N, softmax.cross_entropy)
        assert found == pytest.approx(1 / factor, rel=0.1)
    y_NK = (random.random(logits_NK.shape) < logistic.probabilities(logits_NK)).astype(np.uint8)
    assert temperature.factor(logits_NK / 2, y_NK, logistic.cross_entropy) == pytest.approx(2, rel=0.1)


def test_a_few_examples_that_come_out_right_ask_for_little() -> None:
    logits_NK, y_N = np.eye(3), np.arange(3)
    assert 1 < temperature.factor(logits_NK, y_N, softmax.cross_entropy) < 3
    before = logits_NK.copy()
    temperature.factor(logits_NK, y_N, softmax.cross_entropy)
    np.testing.assert_array_equal(logits_NK, before)
