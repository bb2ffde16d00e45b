"""Prediction sets by their definition, and their guarantee where examples are exchangeable."""

import math

import numpy as np
import pytest

from headstart.maths import conformal
from headstart.maths.intervals import Array


def world(random: np.random.Generator, count: int) -> tuple[Array, Array]:
    """Return probabilities of a model that is too sure of itself, and the truth."""
    logits = random.normal(size=(count, 4)) * 1.5
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    targets = np.array([random.choice(4, p=row) for row in true])
    sure = np.exp(3 * logits)
    return sure / sure.sum(axis=1, keepdims=True), targets


def test_sets_hold_the_truth_as_often_as_wanted_though_the_model_is_too_sure() -> None:
    random = np.random.default_rng(0)
    held = []
    for _ in range(150):
        p, y = world(random, 99)
        q = conformal.threshold(conformal.scores(p, y), 0.9)
        p, y = world(random, 60)
        held.append(conformal.sets(p, q)[np.arange(60), y].mean())
    assert 0.89 <= np.mean(held) <= 0.93
    p, y = world(random, 20_000)
    assert (np.sort(p, axis=1)[:, ::-1].cumsum(axis=1)[:, 0] >= 0.9).mean() > 0.4  # it claims 90% alone
    assert (p.argmax(axis=1) == y).mean() < 0.8


def test_the_threshold_is_the_ceiling_of_n_plus_one_times_the_coverage() -> None:
    scores = np.arange(1, 20) / 20  # n = 19
    assert conformal.threshold(scores, 0.9) == scores[17]  # 20 * 0.9 = 18
    assert conformal.threshold(scores, 0.95) == scores[18]  # 20 * 0.95 = 19, whatever the rounding
    assert conformal.threshold(scores, 0.96) == math.inf
    assert conformal.threshold(np.empty(0), 0.5) == math.inf


def test_sets_by_a_loop_and_never_empty() -> None:
    p, _ = world(np.random.default_rng(1), 50)
    for q in (0.05, 0.4, 0.9, math.inf):
        for row, inside in zip(p, conformal.sets(p, q), strict=True):
            slow = {k for k in range(4) if 1 - row[k] <= q} or {int(row.argmax())}
            assert set(np.flatnonzero(inside)) == slow
    assert conformal.scores(p, np.zeros(50, int)) == pytest.approx(sorted(1 - p[:, 0]))
