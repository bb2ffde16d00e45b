"""A table that holds a text, its label and perhaps its split in each row.

CSV, TSV, JSON Lines or Parquet: one file, a folder with exactly one, or ``train.csv``, ``val.csv`` ...
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, final

from headstart.contracts import Example, Listing, Reader
from headstart.core.errors import UserError
from headstart.data import columns, listing, pair_columns, tables, text
from headstart.data.columns import Roles
from headstart.data.rows import Rows, cell_text, read_rows

_JOINTS = ("|", ";")


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
        names: tuple[str, str] | None = None
        for split, file in tables.tables(path).items():
            table = read_rows(file)
            roles = _roles(table, names, file)
            if roles is None:
                collector.note("table left out: it has no label column", file.name)
                continue
            names = table.columns[roles.text], table.columns[roles.label]
            _note(table, roles, file, collector)
            _read_table(table, roles, (split, file), collector)
        return collector.listing()


def _roles(table: Rows, names: tuple[str, str] | None, file: Path) -> Roles | None:
    if names is not None:
        return columns.again(table.columns, names, file)
    return columns.choose(table.columns, lambda: _cells(file), file)


def _cells(file: Path) -> Iterator[Sequence[object]]:
    return (cells for _, cells in read_rows(file).rows)


def _note(table: Rows, roles: Roles, file: Path, collector: listing.Collector) -> None:
    """Say how the table was read, and what of it was not."""
    for note in table.notes:
        collector.note(note, file.name)
    places = {"text": roles.text, "label": roles.label, "split": roles.split}
    for part, place in places.items():
        if place is not None:
            how = ", guessed from its content" if part in roles.guessed else ""
            collector.note(f"read column {table.columns[place]!r} as the {part}{how}", file.name)
    for place, column in enumerate(table.columns):
        if place not in places.values():
            collector.note("columns left out", column or f"column {place + 1}, without a name")


def _read_table(table: Rows, roles: Roles, source: tuple[str, Path], collector: listing.Collector) -> None:
    split, file = source
    shown = listing.printable(file.name)
    several = columns.folded(table.columns[roles.label]) in columns.MANY
    by_row = split == listing.UNSPLIT and roles.split is not None
    for number, cells in table.rows:
        key, row = f"{shown}:{number}", f"{file}, row {number}"
        label = _label(cells[roles.label], row, several)
        example = Example(key, label, file, text=cell_text(cells[roles.text], f"{row}, text"))
        if by_row and roles.split is not None:
            value = cell_text(cells[roles.split], f"{row}, split")
            if not value:
                collector.drop(key, "empty split")
                continue
            split = tables.split_name(value, row)
        text.collect(split, example, collector)


def _label(cell: object, row: str, several: bool) -> str:
    """Return the class. Raises UserError where a cell holds several."""
    if isinstance(cell, list) or (several and isinstance(cell, str) and any(map(cell.__contains__, _JOINTS))):
        found = f"{row}: several labels ({cell!r:.60})"
        raise UserError(
            found,
            "one label per text",
            "name one column of single labels: multi-label tables are not read yet",
        )
    return listing.class_name(cell_text(cell, f"{row}, label"))
