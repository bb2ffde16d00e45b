"""Orange's own tables: ``.tab`` files, separated by tabs, with three header lines (names, types, roles).

One file; a folder with exactly one; or a folder with one whose name says train and one that says test.
Format: https://orangedatamining.com/docs, "Loading your data", the tab-delimited header of three rows.
"""

import csv
import io
import re
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import ClassVar, final

from headstart.contracts import Example, Listing, Reader
from headstart.core.errors import BadExample, UserError
from headstart.data import columns, listing, text
from headstart.data.listing import Collector

_SUFFIX = ".tab"
_HEADER = 3
_STRINGS = ("s", "string", "text")
_TYPES = frozenset((*_STRINGS, "d", "discrete", "c", "continuous", "t", "time", "basket"))
_ROLES = frozenset(("", "c", "class", "m", "meta", "i", "ignore", "w", "weight"))
_LOOKED = 1 << 16
_MAX_CELL = 10_000_000
_REMEDY = "write the file again from Orange"

Cells = list[str]


@final
class OrangeTab(Reader):
    """Reads Orange's tables of texts."""

    name: ClassVar[str] = "orange-tab"

    def recognises(self, path: Path) -> bool:
        """Say whether the file, or the folder's files, have Orange's header with a class and a text."""
        try:
            files = _files(path)
            return bool(files) and all(_is_orange(file) for file in files.values())
        except (UserError, OSError):
            return False

    def read(self, path: Path) -> Listing:
        """List the texts. Raises UserError for a header without class or text, and for ragged rows."""
        collector = Collector(self.name)
        for split, file in _files(path).items():
            _read(split, file, collector)
        return collector.listing()


@dataclass(frozen=True, slots=True)
class _Header:
    """The three header lines, column by column."""

    names: tuple[str, ...]
    types: tuple[str, ...]
    roles: tuple[frozenset[str], ...]

    @classmethod
    def of(cls, lines: list[Cells]) -> "_Header | None":
        """Read the three lines; None where they are no such header."""
        if len(lines) < _HEADER:
            return None
        names, types, roles = zip(*zip_longest(*lines[:_HEADER], fillvalue=""), strict=True)
        flags = tuple(frozenset(role.split()) for role in roles)
        types = tuple(kind.strip().lower() for kind in types)
        known = all(kind in _TYPES or " " in kind for kind in types)  # or the values, spaces between
        if not known or any(
            "=" not in flag and flag.lower() not in _ROLES for role in flags for flag in role
        ):
            return None
        return cls(tuple(name.strip() for name in names), types, flags)

    def label(self, file: Path) -> int:
        """Return the place of the class. Raises UserError unless there is exactly one."""
        found = [place for place, role in enumerate(self.roles) if role & {"c", "class"}]
        if len(found) == 1:
            return found[0]
        listed = ", ".join(repr(self.names[place]) for place in found)
        what = f"has {len(found)} class columns ({listed})" if found else "marks no column as the class"
        raise UserError(f"{file} {what}", "'class' in the third line, once", "mark the column of labels")

    def text(self, file: Path) -> int:
        """Return the place of the text: included, else by name, else the only string. Raises UserError."""
        strings = [
            place
            for place, kind in enumerate(self.types)
            if kind in _STRINGS and not self.roles[place] & {"i", "ignore", "c", "class"}
        ]
        included = [place for place in strings if "include=True" in self.roles[place]]
        named = columns.find([self.names[place] for place in strings], columns.TEXTS)
        if len(included) == 1:
            return included[0]
        if named is not None:
            return strings[named]
        if len(strings) == 1:
            return strings[0]
        raise columns.unclear(self.names, "text", columns.TEXTS, file)


def _files(path: Path) -> dict[str, Path]:
    """Return the file of each split, or the only file as unsplit; empty where that is not clear."""
    if path.is_file():
        return {listing.UNSPLIT: path} if path.suffix.lower() == _SUFFIX else {}
    files = [path / entry.name for entry in listing.entries(path) if entry.name.lower().endswith(_SUFFIX)]
    found: dict[str, Path] = {}
    for file in files:
        words = re.split(r"[^a-z]+", file.stem.lower())
        splits = {listing.SPLIT_NAMES[word] for word in words if word in listing.SPLIT_NAMES}
        if len(splits) != 1 or splits & set(found):
            return {listing.UNSPLIT: file} if len(files) == 1 else {}
        found[splits.pop()] = file
    return found


def _is_orange(file: Path) -> bool:
    with file.open("rb") as opened:
        head = opened.read(_LOOKED)
    lines = head.decode("latin-1").replace("\r\n", "\n").split("\n")[:_HEADER]
    header = _Header.of([line.split("\t") for line in lines])
    if header is None:
        return False
    return header.label(file) >= 0 and header.text(file) >= 0


def _read(split: str, file: Path, collector: Collector) -> None:
    content, notes = _content(file)
    for note in notes:
        collector.note(note, file.name)
    lines = _lines(file, content)
    header = _Header.of([cells for _, cells in lines])
    if header is None:
        raise UserError(
            f"{file} has no header of names, types and roles", "Orange's three header lines", _REMEDY
        )
    label, place = header.label(file), header.text(file)
    collector.note(f"read column {header.names[label]!r} as the label", file.name)
    collector.note(f"read column {header.names[place]!r} as the text", file.name)
    for number, cells in lines[_HEADER:]:
        key = f"{listing.printable(file.name)}:{number}"
        name = cells[label].strip()
        name = "" if name in ("?", ".", "NA") else listing.class_name(name)  # Orange's unknown values
        text.collect(split, Example(key, name, file, text=cells[place].strip()), collector)


def _content(file: Path) -> tuple[str, tuple[str, ...]]:
    try:
        return text.decode(file.read_bytes())
    except BadExample as error:
        raise UserError(f"{file}: {error}", "text", _REMEDY) from None


def _lines(file: Path, content: str) -> list[tuple[int, Cells]]:
    """Return the numbered lines, without empty ones.

    Orange quotes like a spreadsheet, its older files do not quote at all: quotes are taken as such
    where that gives as many rows, or where the lines are ragged otherwise. Raises UserError, with the
    row, where neither way gives a table.
    """
    plain = [line.rstrip("\r").split("\t") for line in content.split("\n")]
    quoted: list[Cells] | None
    try:
        csv.field_size_limit(_MAX_CELL)
        quoted = list(csv.reader(io.StringIO(content, newline=""), "excel-tab", strict=True))
    except csv.Error:
        quoted = None
    plain_rows = _filled(plain)
    quoted_rows = _filled(quoted) if quoted is not None else plain_rows
    ragged = _ragged(plain_rows)
    if ragged is None and len(quoted_rows) != len(plain_rows):
        return plain_rows
    worse = _ragged(quoted_rows)
    if worse is None:
        return quoted_rows
    if ragged is None:
        return plain_rows
    number, width = ragged if quoted is None else worse
    raise UserError(f"{file}, row {number}: {width} cells", "as many as the header has", "mend that row")


def _filled(lines: list[Cells]) -> list[tuple[int, Cells]]:
    numbered = enumerate(lines, 1)
    return [(number, cells) for number, cells in numbered if number <= _HEADER or any(map(str.strip, cells))]


def _ragged(rows: list[tuple[int, Cells]]) -> tuple[int, int] | None:
    """Return the first row whose number of cells is not the first row's."""
    return next(((number, len(cells)) for number, cells in rows if len(cells) != len(rows[0][1])), None)
