"""Each tutorial's commands run, in order and in one folder, by the shell that a reader has."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.pages import TUTORIALS, blocks
from tests.house.tree import ROOT


def script(page: str) -> str:
    """Return what is to be run of a page; data and models called ``my-...`` are the reader's own."""
    lines = "".join(block.text for block in blocks(page) if block.runs).splitlines()
    return "\n".join(line for line in lines if not re.search(r"(?<!\w)my-", line))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", TUTORIALS)
def test_the_commands_run(page: str, tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, words in (("headstart", "-W error -m headstart"), ("python", "")):
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (tools / name).chmod(0o755)
    done = subprocess.run(
        [shutil.which("bash") or "bash", "-euxo", "pipefail", "-c", script(page)],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "headstart fit" in done.stderr


@pytest.mark.parametrize("page", TUTORIALS)
def test_what_takes_too_long_has_a_shorter_form_that_runs(page: str) -> None:
    """What is not run is followed by a block that runs the same verbs, on less or for less long."""
    shown = blocks(page)
    for block, following in zip(shown, [*shown[1:], None], strict=True):
        if not block.runs:
            assert following is not None
            assert following.runs
            assert [words[1] for words in block.commands()] == [words[1] for words in following.commands()]
