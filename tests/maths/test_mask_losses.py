"""Losses of masks against slow references, pixel by pixel."""

import math
from typing import Any

import numpy as np
import pytest

from headstart.maths.mask_losses import GAMMA, LOSSES, cross_entropy, dice, focal

torch = pytest.importorskip("torch")
N, K, SIDE = 3, 4, 5
WEIGHTS = np.array([0.5, 1.0, 2.0, 4.0])


@pytest.fixture
def logits() -> Any:
    return torch.from_numpy(np.random.default_rng(0).normal(size=(N, K, SIDE, SIDE)) * 2).requires_grad_()


@pytest.fixture
def shares() -> Any:
    """Cells that classes share, some of them ignored in part, some altogether; no picture shows class 3."""
    random = np.random.default_rng(1)
    found = random.dirichlet(np.full(K, 0.3), (N, SIDE, SIDE)) * random.choice(
        [0, 0.5, 1], (N, SIDE, SIDE, 1)
    )
    found[..., 3] = 0
    return torch.from_numpy(found.transpose(0, 3, 1, 2).copy())


def probabilities(logits: Any) -> np.ndarray:
    raised = np.exp(logits.detach().numpy())
    return raised / raised.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("loss", "gamma"), [(cross_entropy, 0.0), (focal, GAMMA)])
def test_losses_of_pixels(loss: Any, gamma: float, logits: Any, shares: Any) -> None:
    p = probabilities(logits)
    for n, found in enumerate(loss(logits, shares, torch.from_numpy(WEIGHTS))):
        expected = 0.0
        for r in range(SIDE):
            for c in range(SIDE):
                for k in range(K):
                    of_k = p[n, k, r, c]
                    expected -= WEIGHTS[k] * float(shares[n, k, r, c]) * (1 - of_k) ** gamma * math.log(of_k)
        assert found.item() == pytest.approx(expected)


def test_dice(logits: Any, shares: Any) -> None:
    p, a = probabilities(logits), shares.numpy()
    for n, found in enumerate(dice(logits, shares, torch.from_numpy(WEIGHTS))):
        each, weights = [], []
        for k in range(K):
            if a[n, k].sum() == 0:
                continue
            both = said = true = 0.0
            for r in range(SIDE):
                for c in range(SIDE):
                    q = p[n, k, r, c] * a[n, :, r, c].sum()
                    both, said, true = both + q * a[n, k, r, c], said + q**2, true + a[n, k, r, c] ** 2
            each.append(2 * both / (said + true))
            weights.append(WEIGHTS[k])
        assert len(each) == 3
        expected = a[n].sum() * (1 - np.average(each, weights=weights))
        assert found.item() == pytest.approx(expected)


@pytest.mark.parametrize("name", LOSSES)
def test_what_is_ignored_teaches_nothing(name: str, logits: Any, shares: Any) -> None:
    total = sum(one(logits, shares, torch.ones(K)).sum() for one in LOSSES[name])
    (gradient,) = torch.autograd.grad(total, logits)
    ignored = (shares.sum(dim=1) == 0)[:, None].expand_as(gradient)
    assert ignored.any()
    assert not gradient[ignored].any()
    assert gradient[~ignored].any()


@pytest.mark.parametrize("name", LOSSES)
def test_a_picture_that_is_all_ignored_costs_nothing(name: str, logits: Any) -> None:
    total = sum(one(logits, torch.zeros(N, K, SIDE, SIDE), torch.ones(K)).sum() for one in LOSSES[name])
    (gradient,) = torch.autograd.grad(total, logits)
    assert total.item() == 0
    assert not gradient.any()


@pytest.mark.parametrize("name", LOSSES)
def test_pictures_add_up(name: str, logits: Any, shares: Any) -> None:
    for one in LOSSES[name]:
        whole = one(logits, shares, torch.ones(K))
        parts = [one(logits[n : n + 1], shares[n : n + 1], torch.ones(K)) for n in range(N)]
        assert torch.allclose(whole, torch.cat(parts))


@pytest.mark.parametrize("name", LOSSES)
def test_the_truth_costs_less_than_anything_else(name: str) -> None:
    truth = torch.nn.functional.one_hot(torch.arange(SIDE**2).reshape(1, SIDE, SIDE) % K, K)
    shares = truth.permute(0, 3, 1, 2).double()
    sure, wrong = (sum(one(s * 20, shares, torch.ones(K)) for one in LOSSES[name]) for s in (shares, -shares))
    assert float(sure) == pytest.approx(0, abs=1e-6)
    assert float(wrong) > SIDE**2 / 2
