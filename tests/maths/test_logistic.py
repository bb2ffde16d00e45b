"""One against the rest, and the threshold, against scikit-learn and slow searches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from headstart.maths import logistic, softmax

N, D, K, L2 = 120, 5, 3, 1e-2


def data(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    x_ND = random.standard_normal((N, D)).astype(np.float32)
    logits_NK = x_ND @ random.standard_normal((D, K)) + np.array([0.0, -2.0, 1.0])
    return x_ND, (random.random((N, K)) < logistic.probabilities(logits_NK)).astype(np.uint8)


def test_the_labels_are_solved_as_scikit_learn_solves_each_of_them() -> None:
    x_ND, y_NK = data()
    head = softmax.solve(
        lambda: [(x_ND[:50], y_NK[:50]), (x_ND[50:], y_NK[50:])],
        (N, D, K),
        L2,
        tolerance=1e-12,
        loss=logistic.cross_entropy,
    )
    for k in range(K):
        theirs = LogisticRegression(C=1 / (L2 * N), tol=1e-10, max_iter=5000).fit(
            x_ND.astype(np.float64), y_NK[:, k]
        )
        np.testing.assert_allclose(head.weight_DK[:, k], theirs.coef_[0], atol=2e-4)
        np.testing.assert_allclose(head.bias_K[k], theirs.intercept_[0], atol=2e-4)


def test_the_gradient_is_the_loss_s() -> None:
    random = np.random.default_rng(1)
    logits_nK, y_nK = 30 * random.standard_normal((4, K)), random.integers(0, 2, (4, K))
    loss, gradient_nK = logistic.cross_entropy(logits_nK.copy(), y_nK)
    p_nK = 1 / (1 + np.exp(-logits_nK))
    assert loss == pytest.approx(-np.log(np.where(y_nK, p_nK, 1 - p_nK)).sum())
    step = 1e-5
    for place in np.ndindex(4, K):
        moved = logits_nK.copy()
        moved[place] += step
        slope = (logistic.cross_entropy(moved, y_nK)[0] - loss) / step
        assert gradient_nK[place] == pytest.approx(slope, abs=1e-4)


def test_a_label_that_nothing_or_everything_has_is_no_trouble() -> None:
    x_ND, y_NK = data()
    y_NK[:, 0], y_NK[:, 1] = 0, 1
    head = softmax.solve(lambda: [(x_ND, y_NK)], (N, D, K), L2, loss=logistic.cross_entropy)
    p_NK = logistic.probabilities(head.logits(x_ND))
    assert p_NK[:, 0].max() < 1e-3
    assert p_NK[:, 1].min() > 1 - 1e-3


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=24))
def test_no_threshold_gives_a_higher_f1(pairs: list[tuple[int, bool]]) -> None:
    p_NK = np.array([[p / 6] for p, _ in pairs])
    y_NK = np.array([[y] for _, y in pairs])
    found = logistic.threshold(p_NK, y_NK)
    if not y_NK.any():
        assert found == logistic.DEFAULT_THRESHOLD
        return

    def f1(threshold: float) -> float:
        given_NK = p_NK >= threshold
        return float(2 * (given_NK & y_NK).sum() / (given_NK.sum() + y_NK.sum()))

    assert f1(found) == pytest.approx(max(f1(one / 12) for one in range(14)))


def test_a_threshold_lies_between_two_probabilities() -> None:
    p_NK, y_NK = np.array([[0.9, 0.4], [0.2, 0.1]]), np.array([[1, 1], [0, 0]])
    assert logistic.threshold(p_NK, y_NK) == pytest.approx(0.3)
