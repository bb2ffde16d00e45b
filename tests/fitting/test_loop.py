"""The training loop against plain, slow steps; what it does when memory is short or the loss diverges."""

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from headstart.contracts import Array
from headstart.core.errors import MachineError, UserError
from headstart.fitting.loop import Objective, minimise
from headstart.fitting.recipe import Recipe, parse_seconds
from headstart.fitting.standing import State

torch = pytest.importorskip("torch")
N, D = 24, 5


class Regression(Objective):
    """Squared error of a linear layer behind dropout, each example weighing ``weights_N``."""

    def __init__(self, dropout: float = 0.0, batch: int = 8, most: int = N) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            self.module = torch.nn.Sequential(torch.nn.Dropout(dropout), torch.nn.Linear(D, 1))
            self.x_ND, self.y_N = torch.randn(N, D), torch.randn(N)
            self.weights_N = torch.rand(N) + 0.1
        self.batch, self.most, self.figures = batch, most, list[float]()
        self.sizes = list[int]()
        self.alpha: float | None = None

    def batches(self, epoch: int) -> Sequence[Array]:
        return np.array_split(np.arange(N), N // self.batch)

    def loss(self, places_n: Array, epoch: int) -> tuple[Any, float]:
        self.sizes.append(len(places_n))
        if len(places_n) > self.most:
            raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes")
        w_n = self.weights_N[places_n]
        errors_n = self.module(self.x_ND[places_n])[:, 0] - self.y_N[places_n]
        return (w_n * errors_n**2).sum(), float(w_n.sum())

    def penalty(self) -> Any:
        return None if self.alpha is None else self.alpha * (self.module[1].weight ** 2).sum() / 2

    def validate(self) -> Mapping[str, float]:
        if self.figures:
            return {"error": self.figures.pop(0)}
        with torch.no_grad():
            total, weight = self.loss(np.arange(N), 0) if self.most >= N else (torch.tensor(1.0), 1.0)
        return {"error": float(total) / weight}

    def weights(self) -> Any:
        return self.module[1].weight.detach().clone()


def plain(objective: Regression, rate: float, epochs: int, clip: float = math.inf) -> Any:
    """Return the weights after plain gradient descent on each batch's weighted mean, by autograd."""
    weight, bias = (one.detach().clone().requires_grad_() for one in objective.module[1].parameters())
    for epoch in range(epochs):
        for places in objective.batches(epoch):
            errors = objective.x_ND[places] @ weight[0] + bias - objective.y_N[places]
            loss = (objective.weights_N[places] * errors**2).sum() / objective.weights_N[places].sum()
            gradients = torch.autograd.grad(loss, (weight, bias))
            norm = float(torch.sqrt(sum((one**2).sum() for one in gradients)))
            scale = min(1.0, clip / norm)
            with torch.no_grad():
                for one, gradient in zip((weight, bias), gradients, strict=True):
                    one.sub_(rate * scale * gradient)
    return weight.detach()


def sgd(**changes: Any) -> Recipe:
    # Momentum is the optimizer's; a single step a parameter makes it plain.
    return Recipe(**{"optimizer": "sgd", "learning_rate": 0.05, "epochs": 1, **changes})


@pytest.mark.parametrize("parts", [1, 3])
def test_the_penalty_counts_once_in_however_many_parts(parts: int) -> None:
    objective, plain_one = Regression(batch=N), Regression(batch=N)
    objective.alpha = 0.7
    start = plain_one.weights()
    minimise(objective, sgd(accumulate=parts), "test")
    expected = (
        plain(plain_one, 0.05, 1) - 0.05 * 0.7 * start[0]
    )  # the gradient of half the square is the weight
    assert torch.allclose(objective.weights(), expected, atol=1e-6)


def test_layers_have_rates_of_their_own() -> None:
    objective, still = Regression(batch=N), Regression(batch=N)
    objective.scales = {"1.weight": 0.5, "1.bias": 0.0}
    minimise(objective, sgd(), "test")
    moved, whole = objective.weights() - still.weights(), plain(still, 0.05, 1) - still.weights()
    assert torch.allclose(moved, 0.5 * whole, atol=1e-6)
    assert torch.equal(objective.module[1].bias, still.module[1].bias)


@pytest.mark.parametrize("parts", [1, 2, 3, 8])
def test_a_step_is_the_same_in_however_many_parts(parts: int) -> None:
    objective = Regression(batch=N)
    expected = plain(objective, 0.05, 1)
    minimise(objective, sgd(accumulate=parts), "test")
    assert torch.allclose(objective.weights(), expected, atol=1e-6)


def test_clipping_is_of_the_mean_gradient() -> None:
    objective = Regression(batch=N)
    expected = plain(objective, 0.05, 1, clip=0.1)
    minimise(objective, sgd(clip=0.1, accumulate=3), "test")
    assert torch.allclose(objective.weights(), expected, atol=1e-6)


def test_short_memory_halves_the_parts_and_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    whole, short = Regression(), Regression(most=3)
    caplog.set_level(logging.WARNING)
    short.figures = [1.0]
    minimise(whole, sgd(), "test")
    minimise(short, sgd(), "test")
    assert torch.allclose(short.weights(), whole.weights(), atol=1e-6)
    assert [record.message for record in caplog.records] == [
        "out of memory: each step is taken in 2 parts from here on",
        "out of memory: each step is taken in 4 parts from here on",
    ]
    assert short.sizes[:3] == [8, 4, 2]


def test_one_example_that_does_not_fit_is_told() -> None:
    with pytest.raises(MachineError, match="One example does not fit into memory"):
        minimise(Regression(most=0), sgd(), "test")


def test_other_errors_are_not_taken_for_short_memory() -> None:
    objective = Regression()
    objective.x_ND = objective.x_ND[:, :2]
    with pytest.raises(RuntimeError, match="shapes"):
        minimise(objective, sgd(), "test")


def test_the_best_epoch_is_kept() -> None:
    objective, after_two = Regression(), Regression()
    objective.figures = [3.0, 1.0, 2.0, 2.5]
    minimise(after_two, sgd(epochs=2), "test")
    history = minimise(objective, sgd(epochs=4, schedule="constant"), "test")
    assert [one["epoch"] for one in history] == [1, 2, 3, 4]
    assert torch.equal(objective.weights(), after_two.weights())


def test_weights_that_were_trained_are_kept_where_no_epoch_is_better(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    objective = Regression()
    objective.starts_trained, objective.figures, before = True, [2.0, 3.0, 2.5], objective.weights()
    history = minimise(objective, sgd(epochs=2), "")
    assert torch.equal(objective.weights(), before)
    assert [(one["epoch"], one["error"]) for one in history] == [(0, 2.0), (1, 3.0), (2, 2.5)]
    assert "the start" in caplog.text


def test_weights_that_were_trained_give_way_to_a_better_epoch() -> None:
    objective, plainly = Regression(), Regression()
    objective.starts_trained, objective.figures, plainly.figures = True, [2.0, 1.0], [1.0]
    minimise(objective, sgd(epochs=1), "")
    minimise(plainly, sgd(epochs=1), "")
    assert torch.equal(objective.weights(), plainly.weights())


def test_patience_counts_epochs_without_a_better_one() -> None:
    objective = Regression()
    objective.figures = [3.0, 2.0, 2.5, 2.1, 1.0, 0.5]
    assert len(minimise(objective, sgd(epochs=6, patience=2), "test")) == 4


@pytest.mark.parametrize(("averaged", "kept"), [(0.5, True), (1.5, False)])
def test_an_average_is_kept_only_where_it_is_better(averaged: float, kept: bool) -> None:
    runs = []
    for epochs in (1, 2):
        runs.append(Regression())
        minimise(runs[-1], sgd(epochs=epochs), "test")
    objective = Regression()
    objective.figures = [1.0, 2.0, averaged]
    history = minimise(objective, sgd(epochs=2, average=2), "test")
    expected = (runs[0].weights() + runs[1].weights()) / 2 if kept else runs[0].weights()
    assert torch.allclose(objective.weights(), expected, atol=1e-7)
    assert (history[-1]["averaged"], history[-1]["kept"]) == (2.0, float(kept))


def test_a_loss_that_diverges_at_once_is_refused() -> None:
    with pytest.raises(UserError, match="diverged at step") as told:
        minimise(Regression(), sgd(learning_rate=1e12, epochs=9), "test")
    assert "--learning-rate below 1e+12" in str(told.value)


@pytest.mark.parametrize(
    ("losses", "diverges"),
    [
        ([2.0] * 8 + [9.0] * 8, True),
        ([2.0] * 8 + [9.0] * 7, False),  # a few steps may be bad
        ([2.0] * 8 + [9.0] * 7 + [7.0], False),
        ([0.01] * 8 + [0.8] * 8, False),  # from a solved head, which knows its examples by heart
        ([0.01] * 8 + [4.1] * 8, True),
        ([0.01, math.nan], True),
    ],
)
def test_divergence_is_many_times_where_it_began(losses: list[float], diverges: bool) -> None:
    assert State(losses=losses).diverged() == diverges


def test_a_loss_that_diverges_later_keeps_the_best_weights(caplog: pytest.LogCaptureFixture) -> None:
    class Exploding(Regression):
        def loss(self, places_n: Array, epoch: int) -> tuple[Any, float]:
            total, weight = super().loss(places_n, epoch)
            return (total * math.inf if epoch >= 5 else total), weight

    objective, whole = Exploding(), Regression()
    objective.figures = whole.figures = [5.0, 4.0, 3.0, 2.0, 1.0]
    history = minimise(objective, sgd(epochs=9), "test")
    whole.figures = [5.0, 4.0, 3.0, 2.0, 1.0]
    minimise(whole, sgd(epochs=5), "test")
    assert len(history) == 5
    assert torch.equal(objective.weights(), whole.weights())
    assert "epoch 5's weights are kept" in caplog.text


def test_a_loss_that_diverges_in_the_first_epoch_keeps_a_trained_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Exploding(Regression):
        def loss(self, places_n: Array, epoch: int) -> tuple[Any, float]:
            total, weight = super().loss(places_n, epoch)
            return (total * math.inf if len(self.sizes) >= 12 else total), weight

    objective = Exploding(batch=2)
    objective.starts_trained, objective.figures, before = True, [5.0], objective.weights()
    history = minimise(objective, sgd(), "test")
    assert [one["epoch"] for one in history] == [0]
    assert torch.equal(objective.weights(), before)
    assert "diverged at step 12: training ends" in caplog.text
    assert "the start, which is kept" in caplog.text


def test_what_is_drawn_is_a_function_of_seed_and_step_alone() -> None:
    state = torch.get_rng_state()
    runs = []
    for seed, disturb in ((0, False), (0, True), (1, False)):
        objective = Regression(dropout=0.5)
        if disturb:
            torch.manual_seed(99)
        minimise(objective, sgd(seed=seed, epochs=3), "test")
        runs.append(objective.weights())
        if disturb:
            assert torch.equal(torch.get_rng_state(), torch.manual_seed(99).get_state())
    torch.set_rng_state(state)
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


@pytest.mark.parametrize(
    ("recipe", "step", "share", "rate"),
    [
        (Recipe(learning_rate=2.0), 7, 0.5, 2.0),
        (Recipe(learning_rate=2.0, warmup=10), 4, 0.1, 1.0),
        (Recipe(learning_rate=2.0, schedule="linear"), 7, 0.25, 1.5),
        (Recipe(learning_rate=2.0, schedule="cosine"), 7, 0.5, 1.0),
        (Recipe(learning_rate=2.0, schedule="cosine"), 7, 1.0, 0.0),
        (Recipe(learning_rate=2.0, schedule="inverse-sqrt", warmup=100), 399, 0.9, 1.0),
        (Recipe(learning_rate=2.0, schedule="inverse-sqrt", warmup=100), 49, 0.9, 1.0),
    ],
)
def test_rates(recipe: Recipe, step: int, share: float, rate: float) -> None:
    assert recipe.rate(step, share) == pytest.approx(rate, rel=1e-3)


def test_weight_decay_spares_norms_and_biases() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.LayerNorm(3))
    decayed, spared = Recipe(weight_decay=0.1).build(module, {}).param_groups
    assert [tuple(one.shape) for one in decayed["params"]] == [(3, 3)]
    assert len(spared["params"]) == 3
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("0.5h", 1800)])
def test_budgets(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-3m", "nanm", "infs", "0"])
def test_budgets_that_are_none(text: str) -> None:
    with pytest.raises(UserError, match="--budget"):
        parse_seconds(text)


def test_a_budget_ends_the_training() -> None:
    objective = Regression()
    history = minimise(objective, sgd(epochs=10_000, seconds=0.2), "test")
    assert 0 < len(history) < 10_000


def test_losses_are_rounded_and_weights_are_not() -> None:
    seen = set[torch.dtype]()
    objective = Regression()
    objective.module.register_forward_hook(lambda module, inputs, output: seen.add(output.dtype))
    minimise(objective, Recipe(precision="bfloat16", epochs=1), "test")
    assert torch.bfloat16 in seen
    assert {one.dtype for one in objective.module.parameters()} == {torch.float32}
