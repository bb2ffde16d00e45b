"""A reader's folder, where the examples are at hand: a share of them, or all, which takes minutes."""

from pathlib import Path

import pytest

from tests.house import examples


@pytest.fixture(params=["share", pytest.param("whole", marks=pytest.mark.long)])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Enter a folder with ``examples``."""
    {"share": examples.share, "whole": examples.whole}[request.param](tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path
