"""A table that says which examples of some data to use, and in which split: as ``audit --fix`` writes it.

A row an example: the data's path, relative to the table's folder; the layout they are read with; the
example's name; its split, empty where it is left out; and the reason for that. The data stay as they are.
"""

import codecs
import csv
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

from headstart.contracts import Example, Listing
from headstart.core.errors import UserError
from headstart.core.files import write_bytes
from headstart.core.records import Dropped, Note
from headstart.data.listing import SPLIT_NAMES, in_order
from headstart.data.rows import cell_text, read_rows

COLUMNS = ("data", "layout", "example", "split", "reason")
SUFFIX = ".csv"
LEFT_OUT = "left out by the manifest"


@dataclass(frozen=True, slots=True)
class Row:
    """What is to be done with an example: the split it plays, or why it is left out."""

    split: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """Data, the layout they are read with, and what is to be done with each example by its name."""

    data: Path
    layout: str
    rows: Mapping[str, Row]


def recognises(path: Path) -> bool:
    """Say whether a file is such a table, from its first line; never raises."""
    try:
        if path.suffix.lower() != SUFFIX or not path.is_file():
            return False
        with path.open("rb") as file:
            return file.readline(200).removeprefix(codecs.BOM_UTF8).strip() == ",".join(COLUMNS).encode()
    except OSError:
        return False


def check_name(path: Path) -> None:
    """Raise UserError for a name that is no such table's."""
    if path.suffix.lower() != SUFFIX:
        raise UserError(f"a manifest called {path}", f"a name that ends in {SUFFIX}", f"give {path}{SUFFIX}")


def layout(path: Path) -> str:
    """Return the layout that a manifest names. Raises UserError where it has no row."""
    row = next(iter(read_rows(path).rows), None)
    if row is None:
        raise UserError(f"{path} has no row", "a row for each example", "write it again with audit --fix")
    return cell_text(row[1][1], f"{path}, row {row[0]}, layout")


def read(path: Path) -> Manifest:
    """Read a manifest. Raises UserError, with the row, where it contradicts itself."""
    rows: dict[str, Row] = {}
    named: tuple[str, str] | None = None
    for number, cells in read_rows(path).rows:
        where = f"{path}, row {number}"
        data, name, _, split, reason = (cell_text(cell, where) for cell in cells)
        example = str(cells[2])  # a file's name may begin or end with a space
        if (data, name) != (named or (data, name)):
            raise UserError(f"{where}: other data than in the rows before", "one data set", "mend that row")
        if example in rows:
            raise UserError(
                f"{where}: {example!r} a second time", "each example once", "remove one of the rows"
            )
        if split and SPLIT_NAMES.get(split) != split:
            raise UserError(f"{where}: the split {split!r}", "train, val, test, or nothing", "mend that row")
        named = data, name
        rows[example] = Row(split, reason)
    if named is None:
        raise UserError(f"{path} has no row", "a row for each example", "write it again with audit --fix")
    return Manifest(path.parent / named[0], named[1], rows)


def apply(manifest: Manifest, listing: Listing) -> Listing:
    """Return the examples that a manifest keeps, in its splits; the others are dropped with its reasons.

    Raises UserError where it keeps none.
    """
    splits: dict[str, list[Example]] = {"train": [], "val": [], "test": []}
    left_out, unknown = list[Dropped](), set(manifest.rows)
    for examples in listing.splits.values():
        for one in examples:
            row = manifest.rows.get(one.key)
            unknown.discard(one.key)
            if row is None or not row.split:
                reason = "not named" if row is None else row.reason or "without a split"
                left_out.append(Dropped(file=one.key, reason=f"{LEFT_OUT}: {reason}"))
            else:
                splits[row.split].append(one)
    kept = {name: sorted(some, key=lambda one: one.key) for name, some in splits.items() if some}
    if not kept:
        raise UserError(
            "a manifest that keeps no example of its data", "examples with a split", "write it again"
        )
    unknown -= {one.file for one in listing.dropped}
    notes = list(listing.notes)
    if unknown:
        what = "examples of the manifest that the data lack"
        notes.append(Note(what=what, count=len(unknown), examples=tuple(sorted(unknown)[:5])))
    labels = in_order(name for some in kept.values() for one in some for name in one.names())
    return replace(
        listing,
        splits=kept,
        classes=labels or listing.classes,
        dropped=(*listing.dropped, *left_out),
        notes=tuple(notes),
    )


def write(path: Path, data: Path, layout: str, rows: Iterable[tuple[str, Row]]) -> None:
    """Write a manifest. Raises MachineError where the machine refuses."""
    where = os.path.relpath(data.resolve(), path.parent.resolve()).replace(os.sep, "/")
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((where, layout, key, row.split, row.reason) for key, row in rows)
    write_bytes(path, text.getvalue().encode("utf-8", "backslashreplace"))
