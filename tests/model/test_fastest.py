"""The fastest engine is taken only where its numbers are torch's, and is found once."""

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from headstart.contracts import Compiled, Engine, Floats, Inputs, Trunk
from headstart.core.errors import EngineUnavailable
from headstart.model import fastest

BATCH = {"x": np.arange(12, dtype=np.float32).reshape(4, 3)}
TRUNK = Trunk(key="abc", inputs=("x",), module=nn.Identity, graph=lambda: Path("none"))


def exact(x_ND: Floats) -> Floats:
    return 2 * x_ND


class Fake(Engine):
    """An engine that computes anything, at any speed, and counts what is asked of it."""

    def __init__(self, name: str, compute: Callable[[Floats], Floats], pause_s: float = 0.0) -> None:
        self.called, self.compute, self.pause_s = name, compute, pause_s
        self.counts: Counter[str] = Counter()

    name = "fake"

    def version(self) -> str:
        return "1.0"

    def compile(self, trunk: Trunk) -> Compiled:
        self.counts["compiled"] += 1

        def run(batch: Inputs) -> Floats:
            self.counts["run"] += 1
            time.sleep(self.pause_s)
            return self.compute(batch["x"])

        return run


class Absent(Fake):
    def compile(self, trunk: Trunk) -> Compiled:
        self.counts["compiled"] += 1
        raise EngineUnavailable(f"{self.called} is not installed")


class FailsWhenRun(Fake):
    def compile(self, trunk: Trunk) -> Compiled:
        def run(batch: Inputs) -> Floats:
            raise EngineUnavailable("no kernel for this operation")

        return run


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Fake]]:
    """Return a function that replaces the engines there are, and their versions."""
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path))
    monkeypatch.setattr(fastest, "_MEASURE_S", 0.05)

    def install(*engines: Fake, versions: str = "1.0") -> dict[str, Fake]:
        found = {one.called: one for one in engines}
        monkeypatch.setattr(fastest.plugins, "names", lambda kind: tuple(sorted(found)))
        monkeypatch.setattr(fastest.plugins, "load", lambda kind, name: found[name])
        monkeypatch.setattr(fastest, "_versions", lambda: dict.fromkeys(found, versions))
        return found

    return install


def notes(home: Path) -> Sequence[Path]:
    return sorted((home / "engines").glob("*.json"))


def slow_torch() -> Fake:
    return Fake("torch", exact, pause_s=0.01)


def test_the_fastest_faithful_engine_is_taken(machine: Callable[..., Any]) -> None:
    machine(slow_torch(), Fake("quick", exact), Fake("slow", exact, pause_s=0.02))
    choice, run = fastest.fastest(TRUNK, BATCH)
    assert choice.name == "quick"
    assert set(choice.examples_per_s) == {"torch", "quick", "slow"}
    assert choice.examples_per_s["quick"] > choice.examples_per_s["torch"] > choice.examples_per_s["slow"]
    assert choice.left_out == {}
    np.testing.assert_array_equal(run(BATCH), exact(BATCH["x"]))


@pytest.mark.parametrize(
    ("compute", "reason"),
    [
        (lambda x: exact(x) * np.float32(1.001), "differs from torch by 1.0e-03"),
        (lambda x: exact(x) + np.float32(0.01), "differs from torch"),
        (lambda x: exact(x)[::-1], "differs from torch"),
        (lambda x: exact(x)[:, :2], "differs from torch"),
        (lambda x: np.where(x == 5, np.float32("nan"), exact(x)), "differs from torch"),
        (lambda x: np.where(x == 5, np.float32("inf"), exact(x)), "differs from torch"),
    ],
    ids=["scaled", "shifted", "rows swapped", "a feature short", "nan", "inf"],
)
def test_a_wrong_engine_is_left_out_with_its_reason(
    compute: Callable[[Floats], Floats], reason: str, machine: Callable[..., Any]
) -> None:
    machine(slow_torch(), Fake("wrong", compute))
    choice, _ = fastest.fastest(TRUNK, BATCH)
    assert choice.name == "torch"
    assert set(choice.examples_per_s) == {"torch"}
    assert reason in choice.left_out["wrong"]


def test_rounding_is_no_reason(machine: Callable[..., Any]) -> None:
    machine(slow_torch(), Fake("quick", lambda x: exact(x) * np.float32(1 + 2e-6)))
    assert fastest.fastest(TRUNK, BATCH)[0].name == "quick"


@pytest.mark.parametrize("kind", [Absent, FailsWhenRun])
def test_an_engine_that_cannot_run_is_listed(kind: type[Fake], machine: Callable[..., Any]) -> None:
    machine(slow_torch(), kind("absent", exact))
    choice, _ = fastest.fastest(TRUNK, BATCH)
    assert choice.name == "torch"
    assert choice.left_out["absent"] in ("absent is not installed", "no kernel for this operation")


def test_the_choice_is_remembered(machine: Callable[..., Any], tmp_path: Path) -> None:
    engines = machine(slow_torch(), Fake("quick", exact), Fake("wrong", lambda x: x))
    first, _ = fastest.fastest(TRUNK, BATCH)
    assert not first.remembered
    for engine in engines.values():
        engine.counts.clear()
    second, _ = fastest.fastest(TRUNK, BATCH)
    assert second.remembered
    assert (second.name, second.examples_per_s, second.left_out) == (
        *("quick", first.examples_per_s, first.left_out),
    )
    assert engines["quick"].counts == {"compiled": 1}
    assert not engines["torch"].counts
    assert not engines["wrong"].counts
    assert len(notes(tmp_path)) == 1


def test_another_trunk_is_measured_by_itself(machine: Callable[..., Any]) -> None:
    machine(slow_torch(), Fake("quick", exact))
    fastest.fastest(TRUNK, BATCH)
    other = Trunk(key="def", inputs=("x",), module=nn.Identity, graph=lambda: Path("none"))
    assert not fastest.fastest(other, BATCH)[0].remembered


def test_another_version_is_measured_again(machine: Callable[..., Any]) -> None:
    machine(slow_torch(), Fake("quick", exact))
    assert fastest.fastest(TRUNK, BATCH)[0].name == "quick"
    machine(slow_torch(), Fake("quick", lambda x: x), versions="1.1")
    choice, _ = fastest.fastest(TRUNK, BATCH)
    assert not choice.remembered
    assert choice.name == "torch"
    assert "differs" in choice.left_out["quick"]


def test_an_engine_that_went_away_is_measured_again(machine: Callable[..., Any]) -> None:
    machine(slow_torch(), Fake("quick", exact))
    fastest.fastest(TRUNK, BATCH)
    # The same versions as far as the note can tell, and yet it cannot be loaded any more.
    machine(slow_torch(), Absent("quick", exact))
    choice, _ = fastest.fastest(TRUNK, BATCH)
    assert (choice.name, choice.remembered) == ("torch", False)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[]", b"null", b"7", b"\xff\xfe\x00", b'{"name": "gone"}', b'{"name": 3}'),
        *(b'{"name": "quick"}', b'{"name": "quick", "examples_per_s": {}, "left_out": {}, "more": 1}'),
        b'{"name": ["quick"], "examples_per_s": {}, "left_out": {}}',
    ],
    ids=repr,
)
def test_a_damaged_note_is_measured_again(
    content: bytes, machine: Callable[..., Any], tmp_path: Path
) -> None:
    machine(slow_torch(), Fake("quick", exact))
    fastest.fastest(TRUNK, BATCH)
    (note,) = notes(tmp_path)
    note.write_bytes(content)
    choice, _ = fastest.fastest(TRUNK, BATCH)
    assert (choice.name, choice.remembered) == ("quick", False)
    assert json.loads(note.read_bytes())["name"] == "quick"


def test_a_wanted_engine_is_taken_unmeasured(machine: Callable[..., Any], tmp_path: Path) -> None:
    engines = machine(slow_torch(), Fake("quick", exact))
    choice, _ = fastest.fastest(TRUNK, BATCH, wanted="torch")
    assert (choice.name, choice.examples_per_s) == ("torch", {})
    assert engines["torch"].counts["run"] == 0
    assert notes(tmp_path) == []


def test_a_wanted_engine_that_cannot_run_is_an_error(machine: Callable[..., Any]) -> None:
    machine(slow_torch(), Absent("quick", exact))
    with pytest.raises(EngineUnavailable, match="not installed"):
        fastest.fastest(TRUNK, BATCH, wanted="quick")


def test_rounded_numbers_are_held_against_float32(machine: Callable[..., Any]) -> None:
    rounded = replace(TRUNK, key="rounded", precision="bfloat16")
    coarse = Fake("coarse", lambda x: exact(x) * np.float32(1.01))
    machine(slow_torch(), coarse, Fake("wrong", lambda x: exact(x) * np.float32(1.2)))
    assert "coarse" in fastest.fastest(TRUNK, BATCH)[0].left_out
    choice, _ = fastest.fastest(rounded, BATCH)
    assert (choice.name, set(choice.left_out)) == ("coarse", {"wrong"})
