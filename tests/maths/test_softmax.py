"""Softmax regression against scikit-learn, and every short cut against the direct way."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from headstart.maths import softmax
from headstart.maths.softmax import Linear

Array = NDArray[np.float64]


def problem(examples: int, features: int, classes: int, seed: int = 0) -> tuple[Array, NDArray[np.int64]]:
    """Return overlapping classes, so that the unpenalised optimum is finite, in unequal numbers."""
    random = np.random.default_rng(seed)
    y_N = np.minimum(random.integers(0, classes + 1, examples), classes - 1)
    y_N[:classes] = np.arange(classes)
    centres_KD = random.normal(size=(classes, features))
    return (centres_KD[y_N] + 2.0 * random.normal(size=(examples, features))).astype(np.float64), y_N


def direct(x_ND: Array, y_N: NDArray[np.int64], l2: float, tolerance: float = 1e-15) -> Linear:
    shape = (len(x_ND), x_ND.shape[1], int(y_N.max()) + 1)
    return softmax.solve(lambda: [(x_ND, y_N)], shape, l2, tolerance=tolerance)


def objective(head: Linear, x_ND: Array, y_N: NDArray[np.int64], l2: float) -> float:
    """J as the module's first lines write it."""
    log_p_NK = log_softmax(x_ND @ head.weight_DK + head.bias_K, axis=1)
    return float(-log_p_NK[np.arange(len(y_N)), y_N].mean() + l2 / 2 * np.square(head.weight_DK).sum())


def assert_same_logits(first: Array, second: Array, atol: float) -> None:
    """Compare up to a constant per example, which changes no probability."""
    np.testing.assert_allclose(
        first - first.mean(axis=1, keepdims=True), second - second.mean(axis=1, keepdims=True), atol=atol
    )


@pytest.mark.parametrize("l2", [1.0, 1e-1, 1e-2, 1e-3])
@pytest.mark.parametrize(("examples", "features", "classes"), [(300, 5, 3), (200, 4, 2), (150, 20, 6)])
def test_coefficients_are_scikit_learns(l2: float, examples: int, features: int, classes: int) -> None:
    x_ND, y_N = problem(examples, features, classes)
    x_ND += 0.5  # a penalised intercept would show; far from the origin it would take more iterations
    ours = direct(x_ND, y_N, l2)
    # Two classes have two columns here and a single one there: the same problem with three at least.
    if classes == 2:
        doubled = LogisticRegression(C=2 / (l2 * examples), tol=1e-10, max_iter=10_000).fit(x_ND, y_N)
        weight_D = ours.weight_DK[:, 1] - ours.weight_DK[:, 0]
        np.testing.assert_allclose(weight_D, doubled.coef_[0], atol=1e-4)
        np.testing.assert_allclose(ours.bias_K[1] - ours.bias_K[0], doubled.intercept_[0], atol=1e-4)
        return
    theirs = LogisticRegression(C=1 / (l2 * examples), tol=1e-10, max_iter=10_000).fit(x_ND, y_N)
    np.testing.assert_allclose(ours.weight_DK.T, theirs.coef_, atol=1e-4, rtol=1e-4)
    shifted_K = ours.bias_K - ours.bias_K.mean()
    np.testing.assert_allclose(shifted_K, theirs.intercept_ - theirs.intercept_.mean(), atol=3e-4)


def test_the_bias_is_not_penalised() -> None:
    x_ND, y_N = problem(400, 3, 3)
    head = direct(x_ND, y_N, 1e4)  # weights vanish: what remains is how common each class is
    np.testing.assert_allclose(head.weight_DK, 0, atol=1e-3)
    expected_K = np.bincount(y_N) / len(y_N)
    np.testing.assert_allclose(softmax.probabilities(head.bias_K[None])[0], expected_K, atol=1e-4)


def test_nothing_near_the_answer_is_better() -> None:
    x_ND, y_N = problem(120, 6, 4)
    head = direct(x_ND, y_N, 0.01)
    best = objective(head, x_ND, y_N, 0.01)
    random = np.random.default_rng(1)
    for _ in range(50):
        other = Linear(
            head.weight_DK + 1e-2 * random.normal(size=head.weight_DK.shape),
            head.bias_K + 1e-2 * random.normal(size=head.bias_K.shape),
        )
        assert objective(other, x_ND, y_N, 0.01) > best


def test_a_warm_start_leads_to_the_same_answer() -> None:
    x_ND, y_N = problem(200, 8, 3)
    start = direct(x_ND, y_N, 1.0)
    warm = softmax.solve(lambda: [(x_ND, y_N)], (200, 8, 3), 0.01, start, tolerance=1e-15)
    np.testing.assert_allclose(warm.weight_DK, direct(x_ND, y_N, 0.01).weight_DK, atol=1e-4)


@pytest.mark.parametrize("sizes", [(1,) * 90, (7, 40, 43), (89, 1)])
def test_chunks_are_the_whole(sizes: tuple[int, ...]) -> None:
    x_ND, y_N = problem(90, 12, 3)
    edges = np.cumsum((0, *sizes))

    def chunks() -> list[tuple[Array, NDArray[np.int64]]]:
        return [(x_ND[a:b], y_N[a:b]) for a, b in pairwise(edges)]

    in_parts = softmax.solve(chunks, (90, 12, 3), 0.01, tolerance=1e-15)
    np.testing.assert_allclose(in_parts.weight_DK, direct(x_ND, y_N, 0.01).weight_DK, atol=1e-5)


@pytest.mark.parametrize(("examples", "features"), [(40, 300), (40, 41), (60, 60), (60, 8)])
@pytest.mark.parametrize("l2", [1e-1, 1e-3])
def test_the_reduced_problem_has_the_same_logits(examples: int, features: int, l2: float) -> None:
    x_ND, y_N = problem(examples, features, 3)
    scaling = softmax.scaling([x_ND])
    z_ND = scaling.apply(x_ND)
    others_ND = scaling.apply(problem(25, features, 3, seed=9)[0])
    reduced = softmax.reduce(z_ND)
    rank = reduced.z_NR.shape[1]
    assert rank == min(examples, features)
    small = softmax.solve(lambda: [(reduced.z_NR, y_N)], (examples, rank, 3), l2, tolerance=1e-14)
    expected = direct(z_ND.astype(np.float64), y_N, l2, tolerance=1e-14)
    for x, coordinates in ((z_ND, reduced.z_NR), (others_ND, reduced.project(others_ND))):
        assert_same_logits(small.logits(coordinates), expected.logits(x), atol=2e-2)
        assert_same_logits(reduced.expand(small).logits(x), small.logits(coordinates), atol=1e-3)
    widened = objective(reduced.expand(small), z_ND.astype(np.float64), y_N, l2)
    assert widened == pytest.approx(objective(expected, z_ND.astype(np.float64), y_N, l2), abs=1e-4)


def test_repeated_rows_are_no_trouble() -> None:
    x_ND, y_N = problem(30, 200, 3)
    scaling = softmax.scaling([x_ND])
    once = scaling.apply(x_ND)
    x_ND, y_N = np.concatenate([once, once, once]), np.concatenate([y_N, y_N, y_N])
    reduced = softmax.reduce(x_ND)
    assert np.isfinite(reduced.z_NR).all()
    shape = (90, reduced.z_NR.shape[1], 3)
    small = softmax.solve(lambda: [(reduced.z_NR, y_N)], shape, 1e-2, tolerance=1e-14)
    # Three times the same examples is the same mean: the same answer as once.
    expected = direct(once.astype(np.float64), y_N[:30], 1e-2)
    assert_same_logits(small.logits(reduced.z_NR)[:30], expected.logits(once), atol=2e-2)


def test_sparse_features_are_as_dense_ones() -> None:
    x_ND, y_N = problem(50, 120, 3)
    x_ND[np.random.default_rng(3).random(x_ND.shape) < 0.8] = 0
    scaling = softmax.Scaling.none(120)
    rows = sparse.csr_matrix(x_ND)
    reduced, dense = softmax.reduce(scaling.apply(rows)), softmax.reduce(scaling.apply(x_ND))
    np.testing.assert_allclose(reduced.z_NR, dense.z_NR, atol=1e-4)
    np.testing.assert_allclose(reduced.project(rows[:7]), dense.project(x_ND[:7]), atol=1e-3)
    head = softmax.solve(lambda: [(reduced.z_NR, y_N)], (50, reduced.z_NR.shape[1], 3), 1e-2)
    assert_same_logits(np.asarray(reduced.expand(head).logits(rows)), head.logits(reduced.z_NR), atol=1e-3)


def test_examples_that_nearly_repeat_each_other_are_factored() -> None:
    """As a document's sentences do: float32 makes their Gram matrix indefinite by more than a little."""
    random = np.random.default_rng(0)
    gram_NN = (few := random.normal(size=(400, 3))) @ few.T
    gram_NN -= 5e-5 * np.trace(gram_NN) / 400 * np.eye(400)
    factor_NN = softmax._factor(gram_NN)
    assert np.abs(factor_NN @ factor_NN.T - gram_NN).max() < 2e-4 * np.trace(gram_NN) / 400
    with pytest.raises(np.linalg.LinAlgError):
        softmax._factor(-np.eye(3) + 2)


@pytest.mark.parametrize("sizes", [(100,), (1,) * 100, (30, 69, 1)])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_scaling_is_numpys(sizes: tuple[int, ...], kind: type) -> None:
    random = np.random.default_rng(0)
    x_ND = (random.normal(size=(100, 7)) * 10.0 ** np.arange(-3, 4) + np.arange(7)).astype(kind)
    x_ND[:, 4] = 3.7  # constant: carries nothing, and must not be divided by its rounding
    edges = np.cumsum((0, *sizes))
    found = softmax.scaling(x_ND[a:b] for a, b in pairwise(edges))
    wide_ND = x_ND.astype(np.float64)
    np.testing.assert_allclose(found.mean_D, wide_ND.mean(axis=0), rtol=1e-5, atol=1e-6)
    varies_D = np.arange(7) != 4
    np.testing.assert_allclose(
        found.gain_D[varies_D], 1 / wide_ND.std(axis=0)[varies_D] / np.sqrt(6), rtol=1e-4
    )
    assert found.gain_D[4] == 0
    scaled_ND = found.apply(x_ND)
    assert scaled_ND.dtype == np.float32
    assert np.square(scaled_ND).sum(axis=1).mean() == pytest.approx(1.0, rel=1e-3)
    assert (scaled_ND[:, 4] == 0).all()


def test_a_dead_feature_is_not_made_as_large_as_the_others() -> None:
    """MiniLM has one: it varies by 1e-9, and got a weight of 2.7e7."""
    random = np.random.default_rng(0)
    x_ND = random.normal(size=(500, 4)).astype(np.float32)
    x_ND[:, 2] = 1e-7 + 1e-9 * random.normal(size=500)
    assert softmax.scaling([x_ND]).gain_D[2] == 0


def test_a_large_mean_does_not_hide_a_small_spread() -> None:
    random = np.random.default_rng(0)
    x_ND = (1000.0 + random.normal(size=(500, 3))).astype(np.float32)
    found = softmax.scaling([x_ND[:200], x_ND[200:]])
    np.testing.assert_allclose(found.gain_D, 1 / x_ND.std(axis=0, dtype=np.float64) / np.sqrt(3), rtol=1e-3)


def test_constant_and_single_rows_are_no_trouble() -> None:
    for x_ND in (
        np.full((20, 3), 0.1, np.float32),
        np.zeros((4, 3), np.float32),
        np.ones((1, 3), np.float32),
    ):
        found = softmax.scaling([x_ND])
        np.testing.assert_array_equal(found.gain_D, 0)
        np.testing.assert_array_equal(found.apply(x_ND), 0)


def test_folding_keeps_the_logits() -> None:
    random = np.random.default_rng(0)
    x_ND = (random.normal(size=(60, 9)) * 10.0 ** random.integers(-2, 3, 9) + 5).astype(np.float32)
    x_ND[:, 2] = 4.0
    scaling = softmax.scaling([x_ND])
    head = Linear(random.normal(size=(9, 4)), random.normal(size=4))
    folded = scaling.fold(head)
    np.testing.assert_allclose(
        folded.logits(x_ND.astype(np.float64)), head.logits(scaling.apply(x_ND)), atol=1e-4
    )
    assert (folded.weight_DK[2] == 0).all()


def test_probabilities_of_any_size_of_logit() -> None:
    logits_NK = np.array([[0, 0, 0], [1e4, 0, -1e4], [-1e4, -1e4, -1e4]], np.float32)
    p_NK = softmax.probabilities(logits_NK)
    assert p_NK.dtype == np.float64
    np.testing.assert_allclose(p_NK, [[1 / 3] * 3, [1, 0, 0], [1 / 3] * 3])


def test_large_features_do_not_overflow() -> None:
    x_ND, y_N = problem(60, 5, 3)
    head = direct((x_ND * 1e4).astype(np.float32).astype(np.float64), y_N, 1e-6)
    assert np.isfinite(head.weight_DK).all()
    assert objective(head, x_ND * 1e4, y_N, 1e-6) < np.log(3)
