"""Batches by length and budget, and what happens where memory is short."""

import logging
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from headstart.contracts import Array, Compiled, Floats, Inputs, Prepared
from headstart.core.errors import MachineError
from headstart.core.memory import memory_watched
from headstart.model import batches
from headstart.model.batches import Runner, Waiting
from headstart.model.fastest import Choice
from headstart.model.trunk import FrozenModel


class Trunk:
    """A compiled trunk: sums of the tokens; it fails where a batch has more cells than it can hold."""

    def __init__(self, most: float = np.inf, error: Exception | None = None) -> None:
        self.most, self.error = most, error or MemoryError()
        self.seen: list[tuple[int, ...]] = []

    def __call__(self, batch: Inputs) -> Floats:
        ids = batch["input_ids"]
        if ids.size > self.most:
            raise self.error
        self.seen.append(ids.shape)
        return ids.sum(axis=1, keepdims=True).astype(np.float32)


def runner(trunk: Trunk, monkeypatch: pytest.MonkeyPatch) -> Runner:
    def rows(features: Floats, inputs: Sequence[Mapping[str, Array]]) -> list[Floats]:
        return list(features[:, None])

    def fastest(*_: object) -> tuple[Choice, Compiled]:
        return Choice(name="x", examples_per_s={}, left_out={}, remembered=False), trunk

    monkeypatch.setattr(batches, "fastest", fastest)
    model = SimpleNamespace(trunk=lambda: None, modality=SimpleNamespace(rows=rows))
    return Runner(cast(FrozenModel, model), None, lambda choice: None)


def waiting(*lengths: int, varies: bool = True) -> list[Waiting]:
    return [
        Waiting(
            Prepared(inputs={"input_ids": np.full(length, place + 1)}, length=length if varies else 0),
            f"text {place}",
        )
        for place, length in enumerate(lengths)
    ]


def run(made: Runner, units: list[Waiting]) -> list[float]:
    made.waiting = units
    return [float(one.item()) for one in made.run()]


def expected(lengths: Sequence[int]) -> list[float]:
    return [float((place + 1) * length) for place, length in enumerate(lengths)]


def test_units_of_like_length_share_batches_of_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = np.random.default_rng(0).integers(1, 500, 256).tolist()
    trunk = Trunk()
    assert run(runner(trunk, monkeypatch), waiting(*lengths)) == expected(lengths)
    cells = [rows * width for rows, width in trunk.seen]
    assert max(cells) <= 2048
    assert sum(cells) < 1.05 * sum(lengths)  # hardly any padding
    assert len(trunk.seen) < 1.3 * sum(lengths) / 2048 + 8


def test_a_unit_longer_than_the_budget_is_alone_and_short_ones_are_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trunk = Trunk()
    run(runner(trunk, monkeypatch), waiting(4000, *[2] * 100))
    assert sorted(trunk.seen) == [(1, 4000), (36, 2), (64, 2)]


def test_units_of_one_size_share_batches_of_sixteen(monkeypatch: pytest.MonkeyPatch) -> None:
    trunk = Trunk()
    run(runner(trunk, monkeypatch), waiting(*[50] * 20, varies=False))
    assert sorted(trunk.seen) == [(4, 50), (16, 50)]


SHORT = (
    MemoryError(),
    RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("std::bad_alloc"),
    ValueError("[ONNXRuntimeError] : 6 : Failed to allocate memory for requested buffer of size 4"),
)


@pytest.mark.parametrize("error", SHORT)
def test_where_memory_is_short_the_batch_is_halved_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    lengths = [100] * 60
    trunk = Trunk(600, error)
    made = runner(trunk, monkeypatch)
    with caplog.at_level(logging.WARNING):
        assert run(made, waiting(*lengths)) == expected(lengths)
    assert {rows for rows, _ in trunk.seen} <= {1, 2, 5}
    told = [record.message for record in caplog.records]
    assert told == [
        "out of memory on 20 at once: 10 from here on",
        "out of memory on 10 at once: 5 from here on",
    ]
    caplog.clear()
    assert run(made, waiting(*lengths)) == expected(lengths)
    assert not caplog.records  # it was learnt


def test_an_example_that_does_not_fit_alone_is_named_with_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    made = runner(Trunk(400), monkeypatch)
    with pytest.raises(MachineError, match=r"text 1 alone does not fit .*input_ids of 401.*--max-length"):
        run(made, waiting(300, 401, 200))


def test_another_error_is_no_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    trunk = Trunk(0, ValueError("shapes do not agree"))
    with pytest.raises(ValueError, match="shapes do not agree"):
        run(runner(trunk, monkeypatch), waiting(3, 4))
    with pytest.raises(KeyError, match="memory"), memory_watched():
        raise KeyError("memory")


def test_nothing_of_a_failed_batch_is_held_while_the_next_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    held: list[Any] = []

    class Watching(Trunk):
        def __call__(self, batch: Inputs) -> Floats:
            held.append(sys.exc_info()[1])
            return super().__call__(batch)

    run(runner(Watching(100), monkeypatch), waiting(*[60] * 4))
    assert held.count(None) == len(held) > 4
