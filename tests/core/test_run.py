"""A run folder appears whole or not at all, and belongs to one process at a time."""

import errno
import fcntl
import json
import multiprocessing
import os
import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from headstart.core.errors import MachineError, UserError
from headstart.core.run import claim, count_look, read_run

RECORD = {"task": "a", "base": "b", "strategy": "c", "command": "d", "split": {}, "spec": {}}


def test_a_run_appears_when_it_is_whole(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "one"
    with claim(run) as staging:
        (staging / "run.json").write_text(json.dumps(RECORD))
        assert not run.exists()
    assert read_run(run) == RECORD
    assert [file.name for file in run.parent.iterdir()] == ["one"]


def test_a_record_without_what_commands_rely_on_is_refused(tmp_path: Path) -> None:
    for name in RECORD:
        for edited in ({**RECORD, name: 7}, {key: RECORD[key] for key in RECORD if key != name}):
            (tmp_path / "run.json").write_text(json.dumps(edited))
            with pytest.raises(MachineError, match=f"damaged: .*'{name}'"):
                read_run(tmp_path)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), UserError("a", "b", "c"), SystemExit()], ids=repr)
def test_a_run_that_fails_leaves_nothing(error: BaseException, tmp_path: Path) -> None:
    def fail() -> None:
        with claim(tmp_path / "run") as staging:
            (staging / "half").write_text("x")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_cleared(tmp_path: Path) -> None:
    (tmp_path / ".run.partial").mkdir()
    (tmp_path / ".run.partial" / "half").write_text("x")
    (tmp_path / ".run.lock").write_text("")
    with claim(tmp_path / "run") as staging:
        assert list(staging.iterdir()) == []
    assert [file.name for file in tmp_path.iterdir()] == ["run"]


def test_what_is_there_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    with pytest.raises(UserError, match="exists already"), claim(tmp_path / "run"):
        pass
    assert (tmp_path / "run").read_text() == "mine"


def test_the_second_is_told_why(tmp_path: Path) -> None:
    with claim(tmp_path / "run") as staging:
        (staging / "mine").write_text("x")
        with pytest.raises(UserError, match="another headstart process"), claim(tmp_path / "run"):
            pass
        assert (staging / "mine").exists()


def test_a_lock_that_was_removed_meanwhile_locks_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One opens the lock, its holder fails and removes it, a third makes a new one: two may not go on."""
    run, third = tmp_path / "run", ExitStack()
    holder = ExitStack()
    holder.enter_context(claim(run))
    flock = fcntl.flock

    def late(handle: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        with pytest.raises(KeyboardInterrupt), holder:
            raise KeyboardInterrupt
        staging = third.enter_context(claim(run))
        (staging / "thirds").write_text("x")
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with third:
        with pytest.raises(UserError, match="another headstart process"), claim(run):
            pass
        assert (tmp_path / ".run.partial" / "thirds").exists()


RACES, RACERS = 100, 3


def _race(folder: Path, number: int, start: Any, told: Any) -> None:
    for attempt in range(RACES):
        start.wait()
        why = ""
        try:
            with claim(folder / str(attempt)) as staging:
                for place in range(20):
                    (staging / str(place)).write_text(str(number))
        except UserError as error:
            why = str(error)
        told.put((attempt, number, why))


def test_races(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """Of three that begin at once one wins, the others say why; half of the folders have a stale lock."""
    context = multiprocessing.get_context("spawn")
    start, told = context.Barrier(RACERS), context.Queue()
    for attempt in range(0, RACES, 2):
        (tmp_path / f".{attempt}.partial").mkdir()
        (tmp_path / f".{attempt}.partial" / "half").write_text("x")
        (tmp_path / f".{attempt}.lock").write_text("")
    racers = [context.Process(target=_race, args=(tmp_path, n, start, told)) for n in range(RACERS)]
    for racer in racers:
        racer.start()
    said = [told.get(timeout=60) for _ in range(RACES * RACERS)]
    for racer in racers:
        racer.join()
    reasons = re.compile("another headstart process is writing|was finished by another|exists already")
    for attempt in range(RACES):
        run, why = tmp_path / str(attempt), {number: one for at, number, one in said if at == attempt}
        (winner,) = [number for number in why if not why[number]]
        assert all(reasons.search(one) and str(run) in one for one in why.values() if one)
        assert {file.name: file.read_text() for file in run.iterdir()} == dict.fromkeys(
            map(str, range(20)), str(winner)
        )
    assert len(list(tmp_path.iterdir())) == RACES
    record_property("count", RACES)


def test_no_folder_can_be_made_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(MachineError, match="file"), claim(tmp_path / "file" / "run"):
        pass


def test_looks_are_counted_by_data(tmp_path: Path) -> None:
    assert [count_look(tmp_path, "test", data) for data in ("a", "a", "b", "a")] == [1, 2, 1, 3]


@pytest.mark.parametrize("error", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_look_that_can_not_be_counted_is_the_users_to_mend(
    error: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(UserError, match=r"looks.jsonl can't be written to .*; copy the run to a place"):
        count_look(tmp_path, "test", "0")
