"""A whole ``fit`` that is killed, or refused, at the calls that make its run.

A few of the calls in the suite; every one of them with HEADSTART_TEST_EVERY_CALL=1, as ``make torture`` does.
"""

import errno
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fitting.test_saves import ERRORS, mounted
from tests.verbs.conftest import ROOT

SAVER = """
import hashlib, json, os, shutil, sys
from pathlib import Path
from headstart import cli
from headstart.core.frameworks import prepare_torch
from tests.core.faults import Disk, disorder, forked, met
prepare_torch()
import headstart.terminal, headstart.verbs.fit, headstart.tasks.image_classification, timm

data, work = sys.argv[1], Path(sys.argv[2])

def fit(folder, disk):
    def child():
        os.dup2(os.open(folder.with_suffix(".said"), os.O_CREAT | os.O_WRONLY | os.O_TRUNC), 2)
        os.dup2(2, 1)
        with met(disk):
            words = ["--out", str(folder / "run"), "--image-size", "64", "--engine", "torch"]
            code = cli.main(["fit", data, *words])
        return json.dumps([code, disk.calls])

    folder.mkdir(exist_ok=True)
    status, told = forked(child)
    code, calls = json.loads(told) if status == 0 else (status, [])
    files = {str(one.relative_to(folder)): hashlib.sha256(one.read_bytes()).hexdigest()
             for one in folder.rglob("*") if one.is_file()}
    return {"code": code, "calls": calls, "said": folder.with_suffix(".said").read_text(), "files": files}

whole = fit(work / "whole", Disk(work / "whole"))
print(json.dumps({**whole, "disorder": disorder(whole["calls"])}), flush=True)
for line in sys.stdin:
    at, error, lasting = json.loads(line)
    first = fit(work / "some", Disk(work / "some", at, error, lasting))
    print(json.dumps([first, fit(work / "some", Disk(work / "some"))]), flush=True)
    shutil.rmtree(work / "some")
"""
EQUAL = ("run/model/head.safetensors", "run/model/model.safetensors", "run/evaluation.json", "run/split.json")
Fault = tuple[int, int | None, bool]


@pytest.fixture(scope="module")
def saver(headstart_home: Path, emoji: Path, fitted: object, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A process that has imported everything, and forks for each fit that it is asked for."""
    work = tmp_path_factory.mktemp("saver")
    with subprocess.Popen(
        [sys.executable, "-c", SAVER, str(emoji), str(work)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline()), ask(process), work / "some"
        assert process.stdin is not None
        process.stdin.close()


def ask(process: "subprocess.Popen[str]") -> Callable[[Fault], Any]:
    def asked(fault: Fault) -> Any:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(fault) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    return asked


def some(count: int, few: int) -> list[int]:
    """Return calls, from 1: all of them where that is asked for, else a few, others each time."""
    if os.environ.get("HEADSTART_TEST_EVERY_CALL"):
        return list(range(1, count + 1))
    return sorted(random.SystemRandom().sample(range(1, count + 1), few))


def same(found: Any, whole: Any) -> None:
    """Assert that nothing is there but the run, and that it is the one that was not disturbed."""
    assert found["code"] == 0, found["said"]
    assert found["files"].keys() == whole["files"].keys()
    assert {name: found["files"][name] for name in EQUAL} == {name: whole["files"][name] for name in EQUAL}


def whole_or_absent(first: Any, whole: Any) -> None:
    named = {name for name in first["files"] if name.startswith("run/")}
    assert not named or named == whole["files"].keys()
    assert "Traceback" not in first["said"]


def test_what_a_run_is_made_of_is_synced_in_order(saver: Any) -> None:
    whole = saver[0]
    assert whole["code"] == 0, whole["said"]
    assert whole["disorder"] == []
    assert ["rename", ".run.partial"] in whole["calls"]
    assert len(whole["calls"]) >= 100


def test_killed_at_calls(saver: Any, record_property: Callable[[str, object], None]) -> None:
    whole, ask_for, _ = saver
    calls = some(len(whole["calls"]), 3)
    for at in calls:
        first, again = ask_for((at, None, False))
        assert first["code"] == -signal.SIGKILL
        whole_or_absent(first, whole)
        same(again, whole)
    record_property("count", len(calls))


def test_refused_at_calls(saver: Any, record_property: Callable[[str, object], None]) -> None:
    """Each call by one of the errors in turn; every second time the disk refuses from then on."""
    whole, ask_for, folder = saver
    calls = some(len(whole["calls"]), 4)
    for number, at in enumerate(calls):
        error = ERRORS[number % len(ERRORS)]
        first, again = ask_for((at, error, number % 2 == 1))
        met = whole["calls"][at - 1]
        whole_or_absent(first, whole)
        if first["code"]:
            sentence = first["said"].rstrip("\n").splitlines()[-1]
            assert first["code"] == 1, first["said"]
            assert sentence.startswith("headstart: "), (met, first["said"])
            assert str(folder) in sentence, met
            assert os.strerror(error).lower() in sentence, met
            assert "bytes needed)" in sentence or met[0] != "write", (met, sentence)
        else:  # what it refused was to remove what is no longer needed, or to make again what is there
            assert met[0] in ("open", "unlink", "rmdir", "mkdir"), (met, first["said"])
            assert "run/run.json" in first["files"]
        same(again, whole)
    record_property("count", len(calls))


def test_a_small_disk_is_too_small_for_a_run(emoji: Path, fitted: object, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    if mounted(tmp_path / "disk", "64k", ["-c", ""]).returncode:
        pytest.skip("this machine lets no user mount a disk of his own")
    out = str(tmp_path / "disk" / "run")
    script = (
        "import os, sys; from headstart import cli; code = cli.main(sys.argv[2:]); "
        "print(os.listdir(sys.argv[1])); sys.exit(code)"
    )
    words = ["fit", str(emoji), "--out", out, "--image-size", "64", "--engine", "torch"]
    done = mounted(tmp_path / "disk", "4m", ["-c", script, str(tmp_path / "disk"), *words])
    assert done.returncode == 1, done.stderr
    sentence = done.stderr.rstrip("\n").splitlines()[-1]
    assert sentence.startswith(f"headstart: Writing '{tmp_path}/disk/.run.partial/model/")
    assert os.strerror(errno.ENOSPC).lower() in sentence
    assert "bytes needed)" in sentence
    assert done.stdout == "[]\n"
