"""Training that was stopped goes on to the same bits; damage and full disks cost no finished work."""

import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.contracts import Array
from headstart.fitting import checkpoints, loop
from headstart.fitting.checkpoints import Checkpoints
from headstart.fitting.loop import minimise, shuffled
from headstart.fitting.recipe import Recipe
from tests.fitting.test_loop import D, N, Regression

torch = pytest.importorskip("torch")

RECIPES = [
    Recipe(learning_rate=0.01, epochs=4, average=2, accumulate=3, schedule="cosine", warmup=3),
    Recipe(optimizer="sgd", learning_rate=0.02, epochs=5, patience=2, clip=0.5),
    Recipe(optimizer="rmsprop", learning_rate=0.01, epochs=4, seed=3),
]


class Stopped(Exception):
    pass


class Stopping(Regression):
    """Dropout, an order drawn anew each epoch, and a stop in the midst of some step."""

    def __init__(self, at: int | None = None, deadly: bool = True) -> None:
        super().__init__(dropout=0.3)
        self.at, self.deadly, self.calls = at, deadly, 0

    def batches(self, epoch: int) -> Sequence[Array]:
        return np.array_split(shuffled(np.arange(N), (0, epoch)), 3)

    def loss(self, places_n: Array, epoch: int) -> tuple[Any, float]:
        self.calls += self.module.training
        if self.calls == self.at and self.module.training:
            if self.deadly:
                raise Stopped
            os.kill(os.getpid(), signal.SIGINT)
        return super().loss(places_n, epoch)


@pytest.fixture(autouse=True)
def each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "_EVERY_S", -1.0)
    monkeypatch.setattr(checkpoints, "_SHARE", 0.0)


def bits(objective: Regression, history: Sequence[dict[str, float]]) -> tuple[bytes, list[dict[str, float]]]:
    weights = b"".join(one.numpy().tobytes() for one in objective.module.state_dict().values())
    return weights, [{k: v for k, v in one.items() if k != "seconds"} for one in history]


def whole(recipe: Recipe) -> tuple[bytes, list[dict[str, float]]]:
    objective = Stopping()
    return bits(objective, minimise(objective, recipe, "test"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda one: one.optimizer)
def test_stopped_at_any_step_it_goes_on_to_the_same_bits(recipe: Recipe, tmp_path: Path) -> None:
    unstopped = Stopping()
    expected = bits(unstopped, minimise(unstopped, recipe, "test"))
    for at in range(2, unstopped.calls + 1, 4):
        folder = tmp_path / str(at)
        with pytest.raises(Stopped):
            minimise(Stopping(at), recipe, "test", Checkpoints(folder))
        objective = Stopping()
        history = minimise(objective, recipe, "test", Checkpoints(folder))
        assert bits(objective, history) == expected, at
        assert objective.calls < unstopped.calls or at <= recipe.accumulate


def test_stopped_again_and_again(tmp_path: Path) -> None:
    recipe, expected = RECIPES[0], whole(RECIPES[0])
    for _ in range(60):
        objective = Stopping(4)
        try:
            history = minimise(objective, recipe, "test", Checkpoints(tmp_path))
        except Stopped:
            continue
        assert bits(objective, history) == expected
        return
    pytest.fail("it never came to an end")


def test_ctrl_c_finishes_the_step_and_saves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "_EVERY_S", 1e9)
    before, recipe = signal.getsignal(signal.SIGINT), RECIPES[0]
    with pytest.raises(KeyboardInterrupt):
        minimise(Stopping(7, deadly=False), recipe, "test", Checkpoints(tmp_path))
    assert signal.getsignal(signal.SIGINT) is before
    assert [one.name for one in tmp_path.iterdir()] == ["step-00000003"]  # call 7 is in step 3 of three parts
    objective = Stopping()
    history = minimise(objective, recipe, "test", Checkpoints(tmp_path))
    assert bits(objective, history) == whole(recipe)


def test_two_are_kept(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        minimise(Stopping(18), RECIPES[0], "test", Checkpoints(tmp_path))
    assert len(list(tmp_path.iterdir())) == 2


def spoil(file: Path, how: str) -> None:
    content = bytearray(file.read_bytes())
    if how == "flipped":
        content[len(content) // 2] ^= 4
    file.unlink() if how == "missing" else file.write_bytes(
        content[: len(content) // 2 if how == "cut" else None]
    )


@pytest.mark.parametrize("name", [checkpoints.TENSORS, checkpoints.STATE, checkpoints.MANIFEST])
@pytest.mark.parametrize("how", ["flipped", "cut", "missing"])
def test_a_damaged_one_is_told_and_the_one_before_is_used(
    name: str, how: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = RECIPES[0]
    with pytest.raises(Stopped):
        minimise(Stopping(18), recipe, "test", Checkpoints(tmp_path))
    newest = max(tmp_path.iterdir())
    spoil(newest / name, how)
    objective = Stopping()
    history = minimise(objective, recipe, "test", Checkpoints(tmp_path))
    assert bits(objective, history) == whole(recipe)
    assert f"{newest} is damaged" in caplog.text


class Reading(Stopping):
    """Inputs augmented by (seed, epoch, place), read by threads, ahead of their step."""

    def __init__(self, pool: ThreadPoolExecutor, at: int | None = None) -> None:
        super().__init__(at)
        self.pool, self.orders = pool, list[bytes]()

    def loss(self, places_n: Array, epoch: int) -> tuple[Any, float]:
        def augmented(place: int) -> Any:
            return torch.from_numpy(np.random.default_rng((0, epoch, place)).normal(size=D)).float()

        if not self.module.training:
            return super().loss(places_n, epoch)
        self.orders.append(places_n.tobytes())
        plain, self.x_ND = self.x_ND, self.x_ND.clone()
        self.x_ND[places_n] = torch.stack(list(self.pool.map(augmented, map(int, places_n))))
        found = super().loss(places_n, epoch)
        self.x_ND = plain
        return found


SCHEDULES = [{"schedule": name, "warmup": 4} for name in ("constant", "linear", "cosine", "inverse-sqrt")]
STEPS = 3
"""Steps an epoch."""


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("patience", [None, 1])
@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("instant", ["mid", "end"])
def test_the_resume_matrix(
    instant: str,
    parts: int,
    patience: int | None,
    workers: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    """Rates, order, metrics, best so far and weights are those of a training that was not stopped."""
    rates: list[float] = []
    set_rate = loop._set_rate

    def noted(optimizer: Any, rate: float) -> None:
        rates.append(rate)
        set_rate(optimizer, rate)

    monkeypatch.setattr(loop, "_set_rate", noted)
    done = 2 * STEPS - (1 if instant == "mid" else 0)  # steps before the stop, in the second of four epochs
    for number, schedule in enumerate(SCHEDULES):
        with ThreadPoolExecutor(workers) as pool:
            recipe = Recipe(epochs=4, accumulate=parts, patience=patience, average=2, **schedule)
            unstopped = Reading(pool)
            expected = bits(unstopped, minimise(unstopped, recipe, "test"))
            all_rates, all_orders = rates.copy(), unstopped.orders.copy()
            rates.clear()
            folder = tmp_path / str(number)
            with pytest.raises(Stopped):
                minimise(Reading(pool, parts * done + 1), recipe, "test", Checkpoints(folder))
            assert max(folder.iterdir()).name == f"step-{done:08d}"
            rates.clear()
            resumed = Reading(pool)
            history = minimise(resumed, recipe, "test", Checkpoints(folder))
            assert rates == all_rates[done:]
            assert resumed.orders == all_orders[parts * done :]
            assert bits(resumed, history) == expected
            rates.clear()
    record_property("count", len(SCHEDULES))
