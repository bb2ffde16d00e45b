"""A clone of a repository, read without running git, which runs what a repository configures."""

import re
from pathlib import Path

from headstart.model.transformers.folder import licence_of as card_licence

_COMMIT = re.compile(r"[0-9a-f]{40}")
_LICENCES = (
    ("Apache License", "apache-2.0"),
    ("MIT License", "mit"),
    ("BSD 3-Clause", "bsd-3-clause"),
    ("BSD 2-Clause", "bsd-2-clause"),
    ("GNU AFFERO GENERAL PUBLIC LICENSE", "agpl"),
    ("GNU LESSER GENERAL PUBLIC LICENSE", "lgpl"),
    ("GNU GENERAL PUBLIC LICENSE", "gpl"),
    ("Attribution-NonCommercial", "cc-by-nc"),
)


def head_of(folder: Path) -> str:
    """Return the commit that is checked out in a clone; empty where that cannot be told."""
    inside = folder / ".git"
    said = _line(inside / "HEAD")
    name = said.removeprefix("ref: ")
    if name != said and not Path(name).is_absolute() and ".." not in Path(name).parts:
        said = _line(inside / name) or _packed(inside, name)
    return said if _COMMIT.fullmatch(said) else ""


def licence_of(folder: Path) -> str:
    """Return the licence that the model card or the beginning of a licence file states."""
    stated = card_licence(folder)
    if stated != "not stated":
        return stated
    files = sorted(one for one in folder.glob("LICEN[CS]E*") if one.is_file())
    text = files[0].read_text(errors="replace")[:500].casefold() if files else ""
    return next((short for title, short in _LICENCES if title.casefold() in text), stated)


def _packed(inside: Path, name: str) -> str:
    try:
        lines = (inside / "packed-refs").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(" ")[0] for line in lines if line.endswith(f" {name}")), "")


def _line(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""
