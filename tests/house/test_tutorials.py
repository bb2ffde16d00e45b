"""Each tutorial's commands run, in order and in one folder, as a reader's shell would run them."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headstart import cli
from tests.house.pages import TUTORIALS, Block, blocks
from tests.house.tree import ROOT


def lines(page: str) -> list[str]:
    """Return what is to be run of a page, a line each; data and models called ``my-...`` are the reader's."""
    shown = "".join(block.text for block in blocks(page) if block.runs).splitlines()
    return [line for line in shown if line and not re.search(r"(?<!\w)my-", line)]


@pytest.fixture
def shell(folder: Path) -> Iterator[dict[str, str]]:
    """Return the environment that finds our commands, for a folder where the examples are at hand."""
    (folder / "runs").mkdir()
    tools = folder / "bin"
    tools.mkdir()
    for name, words in (("headstart", "-W error -m headstart"), ("python", "")):
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (tools / name).chmod(0o755)
    before = signal.getsignal(signal.SIGTERM)
    yield {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    signal.signal(signal.SIGTERM, before)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", TUTORIALS)
def test_the_commands_run(page: str, shell: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """A line that is our command alone runs in this process, which saves its start; any other in bash."""
    ran = set()
    for line in lines(page):
        words = shlex.split(line)
        if words[0] == "headstart" and not re.search(r"[|<>;&]", line):
            assert cli.main(words[1:]) == 0, (line, capsys.readouterr().err[-2000:])
        else:
            done = subprocess.run(
                [shutil.which("bash") or "bash", "-euo", "pipefail", "-c", line],
                env=shell,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, (line, done.stderr[-2000:])
        ran |= {shown[1] for shown in Block(line, runs=True).commands() if shown[0] == "headstart"}
    assert {"fit", "predict", "evaluate"} <= ran


@pytest.mark.parametrize("page", TUTORIALS)
def test_what_takes_too_long_has_a_shorter_form_that_runs(page: str) -> None:
    """What is not run is followed by a block that runs the same verbs, on less or for less long."""
    shown = blocks(page)
    for block, following in zip(shown, [*shown[1:], None], strict=True):
        if not block.runs:
            assert following is not None
            assert following.runs
            assert [words[1] for words in block.commands()] == [words[1] for words in following.commands()]
