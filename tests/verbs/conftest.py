"""A few real emoji, one run fitted on them, and the command line both as a process and as a call."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart import cli

ROOT = Path(__file__).resolve().parents[2]
NOTO = ROOT / "examples" / "emoji" / "noto"
CLASSES = ("animals", "clothing", "vehicles")
EACH = 14
SMALL = ("--image-size", "64")


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON object on standard output."""
        assert self.code == 0, self.err
        assert self.out.count("\n") == 1
        return json.loads(self.out)

    @property
    def complaint(self) -> str:
        """The one sentence on standard error, checked to be one."""
        assert "Traceback" not in self.err
        last = self.err.rstrip("\n").splitlines()[-1]
        assert last.startswith("headstart: "), self.err
        assert last.endswith(".")
        assert self.out == ""
        return last


def run(*words: object, timeout_s: float = 120.0, **environment: str) -> Done:
    """Run ``python -m headstart`` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "headstart", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
        env={**os.environ, **environment},
    )
    return Done(done.returncode, done.stdout, done.stderr)


def inside(*words: object) -> Done:
    """Run a command in this process, for a fixture that many tests share: ``call`` belongs to one test."""
    before = signal.getsignal(signal.SIGTERM)
    out, err = io.StringIO(), io.StringIO()
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = cli.main([str(word) for word in words])
    finally:
        signal.signal(signal.SIGTERM, before)
    return Done(code, out.getvalue(), err.getvalue())


Call = Callable[..., Done]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Iterator[Call]:
    """Return a function that runs a command in this process."""
    before = signal.getsignal(signal.SIGTERM)

    def command(*words: object) -> Done:
        capsys.readouterr()
        code = cli.main([str(word) for word in words])
        told = capsys.readouterr()
        return Done(code, told.out, told.err)

    yield command
    signal.signal(signal.SIGTERM, before)


def told_apart(told: Any, others: Done, own: Done) -> None:
    """Check the figures on inputs of another kind against what ``predict`` says of them and of the tested."""
    other_m, own_n = (
        np.array([json.loads(line)["unlike"] for line in done.out.splitlines()]) for done in (others, own)
    )
    assert (other_m > 0).mean() == pytest.approx(told["ood_rate_against"]["value"])
    assert (own_n > 0).mean() == pytest.approx(told["ood_rate"]["value"])
    wins = (other_m[:, None] > own_n).mean()
    assert wins == pytest.approx(told["ood_auroc"]["value"])


def copy_pictures(target: Path, classes: Sequence[str] = CLASSES, each: int = EACH) -> Path:
    """Copy the first few emoji of some classes into a folder of class folders."""
    for name in classes:
        (target / name).mkdir(parents=True)
        for file in sorted((NOTO / name).glob("*.png"))[:each]:
            shutil.copy(file, target / name)
    return target


@pytest.fixture(scope="session")
def emoji(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty-two emoji in three classes; not to be changed."""
    return copy_pictures(tmp_path_factory.mktemp("data") / "emoji")


@pytest.fixture(scope="session")
def fitted(headstart_home: Path, emoji: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """One run, made by ``python -m headstart fit --json``; copy it before changing it."""
    out = tmp_path_factory.mktemp("runs") / "first"
    return out, run("fit", emoji, "--out", out, *SMALL, "--json")


@pytest.fixture
def finished(fitted: tuple[Path, Done], tmp_path: Path) -> Path:
    """A copy of the run that may be changed."""
    return shutil.copytree(fitted[0], tmp_path / "finished")


@pytest.fixture
def own_home(headstart_home: Path, fitted: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with the converted weights and without any feature."""
    home = tmp_path / "own-home"
    home.mkdir()
    for part in ("weights", "graphs", "engines"):
        shutil.copytree(headstart_home / part, home / part)
    monkeypatch.setenv("HEADSTART_HOME", str(home))
    return home


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return every file below a folder with its modification time and bytes."""
    return {
        file.relative_to(folder).as_posix(): (file.stat().st_mtime_ns, file.read_bytes())
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
