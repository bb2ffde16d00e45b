"""Every estimator against a slow, obvious reference of its paper's equation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.covariance import ledoit_wolf
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from headstart.contracts import Estimator, Evidence, Fold
from headstart.core import plugins
from headstart.data.split import folds
from headstart.estimators import knn
from headstart.estimators.hscore import ledoit_wolf as shrinkage_of
from headstart.fitting.evidence import held_out

CLASSES = 3


def evidence(
    num: int = 60, width: int = 8, apart: float = 1.0, seed: int = 0, source: bool = True
) -> Evidence:
    """Return rows of three classes whose means lie ``apart``, and a model with five labels of its own."""
    random = np.random.default_rng(seed)
    targets = np.arange(num) % CLASSES
    x_MD = random.normal(size=(num, width)) + apart * random.normal(size=(CLASSES, width))[targets]
    q_MZ = random.dirichlet(np.ones(5), size=num) + apart * np.eye(5)[targets]
    return Evidence(
        views={"last": x_MD.astype(np.float32), "all": np.hstack([x_MD, x_MD**2]).astype(np.float32)},
        targets=targets,
        num_classes=CLASSES,
        folds=folds(targets, 0),
        measure="accuracy",
        source_MZ=q_MZ / q_MZ.sum(axis=1, keepdims=True) if source else None,
    )


def several(one: Evidence) -> Evidence:
    """Return the same rows with two labels each may have: the first class, and the first or the second."""
    targets_MK = np.stack([one.targets == 0, one.targets < 2], axis=1).astype(np.uint8)
    return Evidence(
        views=one.views,
        targets=targets_MK,
        num_classes=2,
        folds=one.folds,
        measure="f1_micro",
        source_MZ=one.source_MZ,
    )


def estimate(name: str, given: Evidence) -> float | None:
    found: Estimator = plugins.load("estimator", name)
    return found.estimate(replace(given, held_out=held_out(given)))


def slow_knn(one: Evidence) -> float:
    x_MD = one.views["last"] - one.views["last"].mean(axis=0)
    right = 0
    for place, x_D in enumerate(x_MD):
        alike = [
            (-float(x_D @ other_D) / float(np.linalg.norm(x_D) * np.linalg.norm(other_D)), rank)
            for rank, other_D in enumerate(x_MD)
            if rank != place
        ]
        votes = [one.targets[rank] for _, rank in sorted(alike)[:5]]
        counts = [votes.count(k) for k in range(CLASSES)]
        tied = [k for k in range(CLASSES) if counts[k] == max(counts)]
        # Of a tie, the class whose voters are nearer in sum of ranks wins.
        ranks = [sum(rank for rank, vote in enumerate(votes) if vote == k) for k in tied]
        right += tied[int(np.argmin(ranks))] == one.targets[place]
    return right / len(x_MD)


def slow_probe(one: Evidence) -> float:
    logits_mK, rows_m = slow_held_out(one)
    return float((logits_mK.argmax(axis=1) == one.targets[rows_m]).mean())


def slow_brier(one: Evidence) -> float:
    logits_mK, rows_m = slow_held_out(one)
    _, factor = at_best_factor(logits_mK, one.targets[rows_m])
    found = []
    for logits_K, row in zip(logits_mK * factor, rows_m, strict=True):
        p_K = np.exp(logits_K) / np.exp(logits_K).sum()
        found.append(sum((p_K[k] - (one.targets[row] == k)) ** 2 for k in range(CLASSES)))
    return -float(np.mean(found))


def slow_held_out(one: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """Try all on the first fold, the best four on all: the logits of the one with the least log loss."""
    tried = [(layers, l2) for layers in one.views for l2 in (1e-1, 1e-2, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5)]
    first = sorted(tried, key=lambda pair: slow_loss(one, pair, one.folds[:1]))[:4]
    best = min(first, key=lambda pair: slow_loss(one, pair, one.folds))
    logits = [slow_logits(one, best, fold) for fold in one.folds]
    return np.concatenate(logits), np.concatenate([validate for _, validate in one.folds])


def slow_loss(one: Evidence, pair: tuple[str, float], used: Sequence[Fold]) -> float:
    """Return mean log loss, at the factor that suits each fold."""
    return float(
        np.mean([at_best_factor(slow_logits(one, pair, fold), one.targets[fold[1]])[0] for fold in used])
    )


def slow_logits(one: Evidence, pair: tuple[str, float], fold: Fold) -> np.ndarray:
    """Return what scikit-learn's regression says of what a fold holds out."""
    x_MD, (fit, validate) = one.views[pair[0]], fold
    scaler = StandardScaler().fit(x_MD[fit])
    seen = [scaler.transform(x_MD[part]) / np.sqrt(x_MD.shape[1]) for part in (fit, validate)]
    head = LogisticRegression(C=1 / (pair[1] * len(fit)), max_iter=3000, tol=1e-8)
    return np.asarray(head.fit(seen[0], one.targets[fit]).decision_function(seen[1]))


def at_best_factor(logits_mK: np.ndarray, targets_m: np.ndarray) -> tuple[float, float]:
    """Return the mean log loss at the factor that suits best, far ones being unlikely, and that factor."""
    own, factors = (np.arange(len(targets_m)), targets_m), np.exp(np.linspace(-3, 3, 301))
    losses = [(np.log(np.exp(logits_mK * t).sum(axis=1)) - (logits_mK * t)[own]).sum() for t in factors]
    best = int(np.argmin(np.array(losses) + np.log(factors) ** 2 / 2))
    return float(losses[best] / len(targets_m)), float(factors[best])


def slow_logme(one: Evidence) -> float:
    f_MD = one.views["last"].astype(np.float64)
    num = len(f_MD)
    found = []
    for k in range(CLASSES):
        y_M = (one.targets == k).astype(np.float64)

        def minus(logs: np.ndarray, y_M: np.ndarray = y_M) -> float:
            # The marginal likelihood itself: y is normal with covariance I / b + F F^T / a.
            a, b = np.exp(logs)
            covariance_MM = np.eye(num) / b + f_MD @ f_MD.T / a
            _, log_det = np.linalg.slogdet(covariance_MM)
            quadratic = y_M @ np.linalg.solve(covariance_MM, y_M)
            return float(num * np.log(2 * np.pi) + log_det + quadratic) / 2

        best = min(minimize(minus, [start, 2.0], method="Nelder-Mead").fun for start in (0.0, 3.0))
        found.append(-best / num)
    return float(np.mean(found))


def slow_hscore(one: Evidence) -> float:
    x_MD = one.views["last"].astype(np.float64)
    x_MD = x_MD - x_MD.mean(axis=0)
    covariance, shrinkage = ledoit_wolf(x_MD, assume_centered=True)
    means_MD = np.stack([x_MD[one.targets == y].mean(axis=0) for y in one.targets])
    between = means_MD.T @ means_MD / len(x_MD)
    return float((1 - shrinkage) * np.trace(np.linalg.inv(covariance) @ between))


def slow_leep(one: Evidence) -> float:
    q_MZ, total = one.source_MZ, 0.0
    assert q_MZ is not None
    for i, y in enumerate(one.targets):
        likelihood = 0.0
        for z in range(q_MZ.shape[1]):
            given = sum(q_MZ[j, z] for j in range(len(q_MZ)) if one.targets[j] == y) / q_MZ[:, z].sum()
            likelihood += given * q_MZ[i, z]
        total += np.log(likelihood)
    return float(total / len(q_MZ))


def slow_nce(one: Evidence) -> float:
    assert one.source_MZ is not None
    said = one.source_MZ.argmax(axis=1)
    return float(
        np.mean(
            [np.log(np.mean(one.targets[said == z] == y)) for z, y in zip(said, one.targets, strict=True)]
        )
    )


SLOW: Mapping[str, tuple[Callable[[Evidence], float], float]] = {
    "knn": (slow_knn, 1e-9),
    "probe": (slow_probe, 0.02),  # one row of sixty may lie on the border of two classes
    "brier": (slow_brier, 2e-3),  # the reference's factors are 2% apart
    "logme": (slow_logme, 1e-4),
    "hscore": (slow_hscore, 1e-6),
    "leep": (slow_leep, 1e-9),
    "nce": (slow_nce, 1e-9),
}


def test_every_estimator_has_a_reference() -> None:
    assert set(SLOW) == set(plugins.names("estimator"))


@pytest.mark.parametrize("name", SLOW)
@pytest.mark.parametrize(("num", "width"), [(60, 8), (60, 40)], ids=["narrow", "wide"])
def test_it_is_what_the_paper_says(name: str, num: int, width: int) -> None:
    slow, within = SLOW[name]
    given = evidence(num, width, apart=0.7, seed=3)
    assert estimate(name, given) == pytest.approx(slow(given), abs=within)


def test_neighbours_are_found_in_pieces_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    given = evidence(60, 8, apart=0.7, seed=3)
    monkeypatch.setattr(knn, "_CELLS", 7 * 60)  # the last piece is a smaller one
    assert estimate("knn", given) == pytest.approx(slow_knn(given))
    assert knn._votes(given.views["last"], given.indicators_MK).sum(axis=1) == pytest.approx(1.0)


def test_the_shrinkage_is_ledoit_and_wolfs_with_more_features_than_rows() -> None:
    x_MD = np.random.default_rng(1).normal(size=(20, 50)) * np.linspace(1, 3, 50)
    x_MD -= x_MD.mean(axis=0)
    assert shrinkage_of(x_MD) == pytest.approx(ledoit_wolf(x_MD, assume_centered=True)[1], abs=1e-9)


@pytest.mark.parametrize("name", SLOW)
def test_it_prefers_features_that_part_the_classes(name: str) -> None:
    alone, apart = (estimate(name, evidence(apart=distance)) for distance in (0.0, 3.0))
    assert alone is not None
    assert apart is not None
    assert apart > alone


@pytest.mark.parametrize("name", ["knn", "probe", "brier", "logme", "hscore"])
def test_several_labels_are_told_apart_too(name: str) -> None:
    alone, apart = (estimate(name, several(evidence(apart=distance))) for distance in (0.0, 3.0))
    assert alone is not None
    assert apart is not None
    assert apart > alone


@pytest.mark.parametrize("name", ["leep", "nce"])
def test_without_source_labels_there_is_no_estimate(name: str) -> None:
    assert estimate(name, evidence(source=False)) is None
    assert estimate(name, several(evidence())) is None


def test_features_that_say_nothing_are_no_reason_to_fail() -> None:
    given = evidence()
    same = Evidence(
        views={"last": np.ones((60, 4), np.float32)},
        targets=given.targets,
        num_classes=3,
        folds=given.folds,
        measure="x",
    )
    assert estimate("hscore", same) is None
    assert 0.0 <= (estimate("probe", same) or 0.0) <= 0.5
    assert np.isfinite(estimate("logme", same) or 0.0)


@pytest.mark.parametrize("name", ["probe", "brier"])
def test_where_nothing_is_held_out_the_head_has_no_estimate(name: str) -> None:
    assert estimate(name, replace(evidence(), folds=[])) is None


def test_the_score_of_several_labels_is_a_sum_over_labels() -> None:
    given = several(evidence(apart=1.0))
    found = held_out(given)
    assert found is not None
    p_mK = 1 / (1 + np.exp(-found[0]))
    slow = -np.mean(((p_mK - given.targets[found[1]]) ** 2).sum(axis=1))
    assert estimate("brier", given) == pytest.approx(slow)
