"""A table that names a picture, its label and perhaps its split in each row.

CSV, TSV, JSON Lines or Parquet: one file, a folder with exactly one, or ``train.csv``, ``val.csv`` ...
Paths are relative to the table's folder and must stay inside it.
"""

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, final

from headstart.contracts import Example, Listing, Reader
from headstart.core.errors import UserError
from headstart.data import listing, tables
from headstart.data.columns import PATHS, PICTURE_LABELS, SPLITS, find
from headstart.data.rows import Rows, cell_text, read_rows
from headstart.data.tables import split_name


@final
class ImageTable(Reader):
    """Reads a table of pictures."""

    name: ClassVar[str] = "image-table"

    def recognises(self, path: Path) -> bool:
        """Say whether a file is a table of pictures and labels, or a folder holds such tables."""
        try:
            found = tables.tables(path).values()
            return bool(found) and all(tables.kind(file) == "pictures" for file in found)
        except (UserError, OSError):
            return False

    def read(self, path: Path) -> Listing:
        """List the pictures. Raises UserError, with the row, for a table that cannot be trusted."""
        collector = listing.Collector(self.name)
        root = path.parent if path.is_file() else path
        where = _Where(root)
        for split, file in tables.tables(path).items():
            _read_table(file, split, where, collector)
        return collector.listing()


@dataclass(slots=True)
class _Where:
    """Turns a row's text into a file inside the table's folder."""

    root: Path
    seen: dict[str, tuple[str, str]] = field(default_factory=dict)
    _inside: dict[str, bool] = field(default_factory=dict)

    def key(self, value: str, row: str) -> str:
        """Return the path relative to the folder. Raises UserError, naming the row, where it leaves it."""
        if "\0" in value or listing.printable(value) != value:
            raise UserError(f"{row}: {value!r} is no file name", "a path", "mend that row")
        absolute = os.path.normpath(os.path.join(os.path.abspath(self.root), value))
        folder = os.path.dirname(absolute)
        if folder not in self._inside:
            self._inside[folder] = self._holds(folder)
        # Only a link can still lead out of a folder that is inside.
        if not self._inside[folder] or (os.path.islink(absolute) and not self._holds(absolute)):
            raise UserError(
                f"{row}: {value!r} leads out of {self.root}", "paths inside it", "copy the pictures there"
            )
        return os.path.relpath(absolute, os.path.abspath(self.root)).replace(os.sep, "/")

    def _holds(self, absolute: str) -> bool:
        root = os.path.realpath(self.root)
        lexical = os.path.commonpath([absolute, os.path.abspath(self.root)]) == os.path.abspath(self.root)
        return lexical and os.path.commonpath([os.path.realpath(absolute), root]) == root


def _require(columns: Sequence[str], names: Sequence[str], file: Path, what: str) -> int:
    place = find(columns, names)
    if place is None:
        found = f"{file} has no {what} column (it has {', '.join(map(repr, columns))})"
        raise UserError(
            found, f"one named {', '.join(names[:4])} ...", f"rename the column that holds the {what}"
        )
    return place


def _read_table(file: Path, split: str, where: _Where, collector: listing.Collector) -> None:
    table = read_rows(file)
    places = _places(table, file, split, collector)
    for note in table.notes:
        collector.note(note, file.name)
    for number, cells in table.rows:
        row = f"{file}, row {number}"
        values = {role: cell_text(cells[place], f"{row}, {role}") for role, place in places.items()}
        _read_row(values, split, row, where, collector)


def _places(table: Rows, file: Path, split: str, collector: listing.Collector) -> dict[str, int]:
    """Return which column is the path, the label and, where there is one, the split."""
    places = {
        "path": _require(table.columns, PATHS, file, "path"),
        "label": _require(table.columns, PICTURE_LABELS, file, "label"),
    }
    column = find(table.columns, SPLITS)
    if split == listing.UNSPLIT and column is not None:
        places["split"] = column
    for role, place in places.items():
        collector.note(f"read column {table.columns[place]!r} as the {role}", file.name)
    return places


def _read_row(
    values: Mapping[str, str], split: str, row: str, where: _Where, collector: listing.Collector
) -> None:
    path, label = values["path"], listing.class_name(values["label"])
    if not path:
        collector.drop(row, "no path")
        return
    key = where.key(path, row)
    split = split_name(values["split"], row) if values.get("split") else split
    if not label:
        collector.drop(key, "empty label")
    elif "split" in values and not values["split"]:
        collector.drop(key, "empty split")
    elif (reason := _not_a_file(where.root / key)) is not None:
        collector.drop(key, reason)
    elif key not in where.seen:
        where.seen[key] = label, row
        collector.add(split, Example(key, label, where.root / key))
    elif where.seen[key][0] == label:
        collector.drop(key, f"listed before ({where.seen[key][1]})")
    else:
        before, other = where.seen[key]
        found = f"{row}: {path!r} is {label!r} here and {before!r} in {other}"
        raise UserError(found, "one label per picture", "remove one of the rows")


def _not_a_file(path: Path) -> str | None:
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        return "missing file" if missing else f"cannot be read ({error})"
    return None if stat.S_ISREG(mode) else "not a regular file"
