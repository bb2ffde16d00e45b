"""Whitening, both detectors and the AUROC against slow references, and what they are for."""

import numpy as np
import pytest
from scipy import stats

from headstart.maths import mahalanobis, neighbours, subspace
from headstart.maths.detection import auroc
from headstart.maths.intervals import Array
from headstart.maths.whitening import whitening


def clusters(random: np.random.Generator, count: int) -> tuple[Array, Array]:
    """Return two elongated classes in five dimensions."""
    labels = np.arange(count) % 2
    spread = np.array([3.0, 2.0, 1.0, 0.3, 0.05])
    return random.normal(size=(count, 5)) * spread + labels[:, None] * np.array([0, 4, 0, 0, 0]), labels


def test_whitened_features_have_no_covariance_and_variance_one() -> None:
    x, _ = clusters(np.random.default_rng(0), 400)
    white = whitening(x)
    z = white.apply(x)
    assert z.T @ z / 400 == pytest.approx(np.eye(5), abs=1e-4)
    assert white.apply(x[:1]) == pytest.approx(z[:1])
    assert whitening(x[:12]).project_DR.shape == (5, 3)  # a quarter of the examples
    assert whitening(np.ones((40, 5))).apply(np.ones((2, 5))) == pytest.approx(0, abs=1e-6)


def test_relative_mahalanobis_by_its_definition() -> None:
    random = np.random.default_rng(1)
    x, labels = clusters(random, 300)
    z = whitening(x).apply(x)
    learnt = mahalanobis.learn(z, labels)
    new = random.normal(size=(7, 5))
    means = [z[labels == k].mean(axis=0) for k in (0, 1)]
    inverse = np.linalg.inv(mahalanobis.shrunk_covariance(z - np.stack(means)[labels]))
    slow = [min((row - m) @ inverse @ (row - m) for m in means) - row @ row for row in new]
    assert mahalanobis.scores(learnt, new) == pytest.approx(slow, rel=1e-4)


def test_shrinkage_is_the_oracle_approximation() -> None:
    random = np.random.default_rng(2)
    for num_rows, width in ((8, 20), (500, 6)):
        x = random.normal(size=(num_rows, width)) * np.linspace(0.2, 2, width)
        sample = x.T @ x / num_rows
        level, squares = np.trace(sample) / width, np.trace(sample @ sample)
        # Chen et al. 2010, eq. 23, with their 2/p terms as in the asymptotic form that is used here.
        above = squares / width**2 + level**2
        below = (num_rows + 1) * (squares / width**2 - level**2 / width)
        share = min(1.0, above / below)
        expected = (1 - share) * sample + share * level * np.eye(width)
        assert mahalanobis.shrunk_covariance(x) == pytest.approx(expected)


def test_neighbours_by_a_loop() -> None:
    random = np.random.default_rng(3)
    z, new = random.normal(size=(30, 4)), random.normal(size=(6, 4))
    learnt = neighbours.learn(z, np.zeros(30))
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    slow = [
        sorted(float(((row / np.linalg.norm(row) - one) ** 2).sum()) for one in unit)[neighbours.K_TH - 1]
        for row in new
    ]
    assert neighbours.scores(learnt, new) == pytest.approx(slow, abs=1e-5)
    assert neighbours.scores(neighbours.learn(z[:2], np.zeros(2)), new).shape == (6,)


def test_the_share_outside_the_subspace_by_its_definition() -> None:
    random = np.random.default_rng(6)
    x = clusters(random, 300)[0] + 7
    learnt = subspace.learn(x)
    assert learnt["directions"].shape == (5, 2)  # half of all
    values, basis = np.linalg.eigh(np.cov(x.T))
    small = basis[:, np.argsort(values)[:3]]
    new = random.normal(size=(6, 5)) * 9
    centred = new - x.mean(axis=0)
    slow = [(small.T @ row) @ (small.T @ row) / (row @ row) for row in centred]
    assert subspace.scores(learnt, new) == pytest.approx(slow, abs=1e-5)
    # How far out a vector lies does not count.
    assert subspace.scores(learnt, centred / 50 + x.mean(axis=0)) == pytest.approx(slow, abs=1e-4)
    assert subspace.learn(x[:8])["directions"].shape == (5, 2)
    assert subspace.learn(x[:4])["directions"].shape == (5, 1)


def test_gaussians_see_a_shift_where_the_data_hardly_varies() -> None:
    random = np.random.default_rng(4)
    x, labels = clusters(random, 400)
    white = whitening(x)
    learnt = mahalanobis.learn(white.apply(x), labels)
    usual, other = clusters(random, 200)[0], clusters(random, 200)[0] + np.array([0, 0, 0, 0, 0.4])
    scores = [mahalanobis.scores(learnt, white.apply(part)) for part in (usual, other)]
    assert auroc(*scores).value > 0.9


def test_neighbours_see_a_direction_that_was_not_there() -> None:
    random = np.random.default_rng(4)
    usual = np.abs(random.normal(size=(300, 6)))
    learnt = neighbours.learn(usual, np.zeros(300))
    other = -np.abs(random.normal(size=(50, 6)))
    assert neighbours.scores(learnt, other).min() > neighbours.scores(learnt, usual).max()


def test_auroc_and_its_interval() -> None:
    random = np.random.default_rng(5)
    usual, other = random.normal(size=40).round(1), random.normal(0.8, 1, size=60).round(1)
    found = auroc(usual, other)
    slow = np.mean([(b > a) + 0.5 * (b == a) for a in usual for b in other])
    assert found.value == pytest.approx(slow)
    assert found.value == pytest.approx(stats.mannwhitneyu(other, usual).statistic / 2400)
    drawn = [auroc(random.choice(usual, 40), random.choice(other, 60)).value for _ in range(1500)]
    assert found.low == pytest.approx(found.value - 1.96 * np.std(drawn), abs=0.015)
    assert found.high == pytest.approx(min(found.value + 1.96 * np.std(drawn), 1), abs=0.015)
    perfect = auroc(np.zeros(5), np.ones(5))
    assert (perfect.value, perfect.low) == (1.0, None)
    assert auroc(np.zeros(1), np.ones(5)).low is None
