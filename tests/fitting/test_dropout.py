"""Dropout from random words is dropout: how many numbers, which mean, which gradient, and when."""

from functools import partial
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

from headstart.fitting.dropout import DropoutOfWords  # noqa: E402


def dropped(x: Any, p: float, seed: int = 0, **more: Any) -> Any:
    with torch.random.fork_rng(devices=[]), DropoutOfWords():
        torch.manual_seed(seed)
        return functional.dropout(x, p, **more)


@pytest.mark.parametrize("p", [0.1, 0.25, 0.5, 0.9])
def test_share_and_mean(p: float) -> None:
    x = torch.full((1000, 1001), 3.0)  # no multiple of four
    found = dropped(x, p)
    zeros = float((found == 0).double().mean())
    assert zeros == pytest.approx(p, abs=5 * (p * (1 - p) / x.numel()) ** 0.5 + 2**-17)
    assert float(found.double().mean()) == pytest.approx(3.0, abs=0.03)
    assert found[found != 0].unique().tolist() == pytest.approx([3 / (1 - p)], rel=1e-4)


def test_numbers_fall_independently_of_their_neighbours() -> None:
    fell = (dropped(torch.ones(2_000_000), 0.3) == 0).double() - 0.3
    for apart in (1, 2, 3, 4, 8):
        assert abs(float((fell[apart:] * fell[:-apart]).mean())) < 5 * 0.21 / len(fell) ** 0.5


def test_the_gradient_is_of_what_was_kept() -> None:
    x = torch.ones(50, 7, requires_grad=True)
    found = dropped(x, 0.4)
    found.sum().backward()
    assert torch.equal(x.grad, found.detach())


def test_it_follows_the_random_state_and_draws_nothing_where_nothing_falls() -> None:
    x = torch.ones(100)
    assert torch.equal(dropped(x, 0.5, seed=1), dropped(x, 0.5, seed=1))
    assert not torch.equal(dropped(x, 0.5, seed=1), dropped(x, 0.5, seed=2))
    for nothing in ({"p": 0.0}, {"p": 0.5, "training": False}):
        assert torch.equal(dropped(x, **nothing), x)
    assert torch.equal(dropped(x, 1.0), torch.zeros(100))


def test_modules_use_it_and_what_is_recomputed_draws_the_same() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(6, 40), torch.nn.Dropout(0.5), torch.nn.Linear(40, 1))
    x, gradients = torch.randn(9, 6), []
    # The mode is off while the gradient goes back: ``recompute`` switches it on for what is computed again.
    again = partial(checkpoint, network, use_reentrant=False, context_fn=lambda: (DropoutOfWords(),) * 2)
    for run in (network, again):
        network.zero_grad()
        with torch.random.fork_rng(devices=[]), DropoutOfWords():
            torch.manual_seed(3)
            run(x).sum().backward()
        gradients.append([one.grad.clone() for one in network.parameters()])
    for plain, recomputed in zip(*gradients, strict=True):
        assert torch.equal(plain, recomputed)
    with torch.random.fork_rng(devices=[]), DropoutOfWords():
        torch.manual_seed(3)
        torch_own = torch.nn.Dropout(0.5)(torch.ones(400))
    assert torch.equal(torch_own, dropped(torch.ones(400), 0.5, seed=3))
