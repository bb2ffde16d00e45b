"""A file that lists classes in order, perhaps with their colours: ``classes.txt``, ``palette.txt`` ...

A line is ``NAME``, ``NUMBER NAME``, ``NAME R G B`` or ``R G B NAME``, parted by blanks, tabs, commas or
colons. Lines that begin with ``#`` and a header (``name,r,g,b``) are left out.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.core.errors import UserError
from headstart.data.listing import class_name
from headstart.data.mask import Coding

FILES = (
    *("classes.txt", "class_names.txt", "labels.txt", "names.txt", "palette.txt", "labelmap.txt"),
    *("class_dict.csv", "classes.csv", "palette.csv"),
)
_NUMBERED = re.compile(r"(\d+)\s*[\s:,;]\s*(\D.*)")
_COLOURED = re.compile(r"(.*?)[\s,:;]+(\d{1,3})[\s,;]+(\d{1,3})[\s,;]+(\d{1,3})[:\s]*")
_COLOUR_FIRST = re.compile(r"(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\D.*)")


@dataclass(frozen=True, slots=True)
class ClassList:
    """Classes in order, and what stands for each in a mask: numbers and, where listed, colours."""

    file: str
    names: tuple[str, ...]
    numbers: Coding | None = None
    colours: Coding | None = None


def find(root: Path) -> ClassList | None:
    """Return the list of classes in a folder, None where there is none. Raises UserError for a broken one."""
    for name in FILES:
        file = root / name
        if file.is_file():
            return _read(file)
    return None


def _read(file: Path) -> ClassList:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read", "a text file in UTF-8", "save it again") from error
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if lines and re.fullmatch(r"name[\s,;]+r[\s,;]+g[\s,;]+b.*|classe?s?|names?", lines[0], re.IGNORECASE):
        lines = lines[1:]
    coloured = [_coloured(line) for line in lines]
    if lines and all(coloured):
        return _in_colour(file, [one for one in coloured if one])
    numbered = [_NUMBERED.fullmatch(line) for line in lines]
    if lines and all(numbered):
        by_number = {int(one[1]): class_name(one[2].strip()) for one in numbered if one}
        names = [by_number[number] for number in sorted(by_number)]
    else:
        names = [class_name(line) for line in lines]
        by_number = dict(enumerate(names))
    _check(file, names, len(by_number), len(lines))
    ignored = frozenset({255} - by_number.keys())
    return ClassList(file.name, tuple(names), numbers=Coding(names=by_number, ignored=ignored))


def _coloured(line: str) -> tuple[str, int] | None:
    """Return a line's name and colour."""
    first = _COLOUR_FIRST.fullmatch(line)
    last = _COLOURED.fullmatch(line)
    parts = (first[4], first[1], first[2], first[3]) if first else last.groups() if last else None
    if parts is None or any(int(level) > 255 for level in parts[1:]) or not parts[0]:
        return None
    red, green, blue = (int(level) for level in parts[1:])
    return class_name(str(parts[0]).strip()), red << 16 | green << 8 | blue


def _in_colour(file: Path, pairs: Sequence[tuple[str, int]]) -> ClassList:
    names = [name for name, _ in pairs]
    by_colour = {colour: name for name, colour in pairs}
    _check(file, names, len(by_colour), len(pairs))
    return ClassList(
        file.name,
        tuple(names),
        numbers=Coding(names=dict(enumerate(names)), ignored=frozenset({255} - set(range(len(names))))),
        colours=Coding(names=by_colour, in_colour=True),
    )


def _check(file: Path, names: Sequence[str], kinds: int, lines: int) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or kinds < lines:
        what = f"lists {twice[0]!r} twice" if twice else "gives one number or colour to two classes"
        raise UserError(f"{file} {what}", "each class once", "mend the file")
    if len(names) < 2:
        raise UserError(f"{file} lists {len(names)} classes", "two or more, one a line", "mend the file")
