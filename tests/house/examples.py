"""The examples as the pages' commands find them: whole, or a share of each that takes seconds."""

import shutil
from pathlib import Path

from tests.house.tree import ROOT

EXAMPLES = ROOT / "examples"
_PICTURES = {"noto": 5, "fluent": 3}
"""Of the sorted files of a class every so many-th is taken."""
_LINES = {"mail/mails.csv": 8, "docstrings/pairs.jsonl": 7, "translation/pairs.jsonl": 60}
"""Of the lines behind the first every so many-th is taken."""
_NAMED = ("noto/animals/cat.png", "fluent/animals/crab.png")  # by commands of the pages
_MAKES = "segmentation/make.py"
_COUNTS = {"0.6, 150)": "0.6, 24)", "0.8, 40)": "0.8, 8)", "1.0, 80)": "1.0, 12)"}


def whole(folder: Path) -> Path:
    """Lay all examples into a folder, for commands that run there."""
    (folder / "examples").symlink_to(EXAMPLES)
    return folder / "examples"


def share(folder: Path) -> Path:
    """Lay a share of each example into a folder, every file in its own place and form."""
    target = folder / "examples"
    for style, every in _PICTURES.items():
        for source in sorted((EXAMPLES / "emoji" / style).iterdir()):
            (target / "emoji" / style / source.name).mkdir(parents=True)
            for file in sorted(source.glob("*.png"))[::every]:
                shutil.copy(file, target / "emoji" / style / source.name)
    for name in _NAMED:
        shutil.copy(EXAMPLES / "emoji" / name, target / "emoji" / name)
    for name, every in _LINES.items():
        first, *lines = (EXAMPLES / name).read_text(encoding="utf-8").splitlines(keepends=True)
        (target / name).parent.mkdir()
        (target / name).write_text("".join([first, *lines[::every]]), encoding="utf-8")
    program = (EXAMPLES / _MAKES).read_text(encoding="utf-8")
    for count, fewer in _COUNTS.items():
        assert program.count(count) == 1, count
        program = program.replace(count, fewer)
    (target / _MAKES).parent.mkdir()
    (target / _MAKES).write_text(program, encoding="utf-8")
    return target
