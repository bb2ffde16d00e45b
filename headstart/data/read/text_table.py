"""A table that holds a text, its label or labels and perhaps its split in each row.

CSV, TSV, JSON Lines or Parquet: one file, a folder with exactly one, or ``train.csv``, ``val.csv`` ...
Several labels stand in one cell (``data.labels``) or in a column of 0 and 1 each.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, final

from headstart.contracts import Listing, Reader
from headstart.core.errors import UserError
from headstart.data import columns, labels, listing, pair_columns, tables
from headstart.data.columns import Roles
from headstart.data.labels import Row
from headstart.data.rows import Rows, cell_text, read_rows


@final
class TextTable(Reader):
    """Reads a table of texts."""

    name: ClassVar[str] = "text-table"

    def recognises(self, path: Path) -> bool:
        """Say whether a file is a table of texts and labels, or a folder holds such tables."""
        try:
            first = next(iter(tables.tables(path).values()), None)
            return first is not None and tables.kind(first) == "texts" and not pair_columns.certain(first)
        except (UserError, OSError):
            return False

    def read(self, path: Path) -> Listing:
        """List the texts. Raises UserError, with the row, for a table that cannot be trusted."""
        collector = listing.Collector(self.name)
        names: tuple[str, ...] = ()
        rows: list[Row] = []
        for split, file in tables.tables(path).items():
            table = read_rows(file)
            roles = _roles(table, names, file)
            if roles is None:
                collector.note("table left out: it has no label column", file.name)
                continue
            names = tuple(table.columns[place] for place in (roles.text, *roles.labels))
            _note(table, roles, file, collector)
            rows += _read_table(table, roles, (split, file), collector)
        labels.collect(rows, ", ".join(names[1:]), collector)
        declared = names[1:] if len(names) > 2 else ()
        return collector.listing(map(listing.class_name, declared))


def _roles(table: Rows, names: Sequence[str], file: Path) -> Roles | None:
    if names:
        return columns.again(table.columns, names, file)
    return columns.choose(table.columns, lambda: _cells(file), file)


def _cells(file: Path) -> Iterator[Sequence[object]]:
    return (cells for _, cells in read_rows(file).rows)


def _note(table: Rows, roles: Roles, file: Path, collector: listing.Collector) -> None:
    """Say how the table was read, and what of it was not."""
    for note in table.notes:
        collector.note(note, file.name)
    parts = {roles.text: "text", **dict.fromkeys(roles.labels, "label")}
    if roles.split is not None:
        parts[roles.split] = "split"
    for place, column in enumerate(table.columns):
        if place not in parts:
            collector.note("columns left out", column or f"column {place + 1}, without a name")
    if len(roles.labels) > 1:
        named = ", ".join(table.columns[place] for place in roles.labels)
        collector.note(f"read {len(roles.labels)} columns of 0 and 1 as a label each: {named}", file.name)
    for place, part in parts.items():
        if part != "label" or len(roles.labels) == 1:
            how = ", guessed from its content" if part in roles.guessed else ""
            collector.note(f"read column {table.columns[place]!r} as the {part}{how}", file.name)


def _read_table(
    table: Rows, roles: Roles, source: tuple[str, Path], collector: listing.Collector
) -> Iterator[Row]:
    split, file = source
    shown = listing.printable(file.name)
    by_row = split == listing.UNSPLIT and roles.split is not None
    for number, cells in table.rows:
        key, row = f"{shown}:{number}", f"{file}, row {number}"
        if by_row and roles.split is not None:
            value = cell_text(cells[roles.split], f"{row}, split")
            if not value:
                collector.drop(key, "empty split")
                continue
            split = tables.split_name(value, row)
        text = cell_text(cells[roles.text], f"{row}, text")
        yield Row(split, key, row, file, text, _label(table, cells, roles.labels, row))


def _label(table: Rows, cells: Sequence[object], places: Sequence[int], row: str) -> object:
    """Return the label cell, or the names of the columns that say yes; None where one of them says nothing.

    Raises UserError for another value in a column of 0 and 1.
    """
    if len(places) == 1:
        return cells[places[0]]
    given = []
    for place in places:
        value = cell_text(cells[place], f"{row}, {table.columns[place]}").casefold()
        if not value:
            return None
        if value not in columns.FLAGS:
            raise UserError(f"{row}: {value!r} in column {table.columns[place]!r}", "0 or 1", "mend that row")
        if columns.FLAGS[value]:
            given.append(table.columns[place])
    return given
