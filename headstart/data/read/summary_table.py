"""A table that holds a document and its summary in each row, as CNN/DailyMail's and most others do.

CSV, TSV, JSON Lines or Parquet: one file, a folder with exactly one, or ``train.csv``, ``val.csv`` ...
The columns are told by their names (``article`` and ``highlights``, ``document`` and ``summary``,
``description`` and ``synopsis``, ``text`` and ``title`` ...), which the listing's notes say.
"""

from pathlib import Path
from typing import ClassVar, final

from headstart.contracts import Listing, Reader
from headstart.core.errors import UserError
from headstart.data import columns, documents, listing, tables
from headstart.data.rows import SUFFIXES, Rows, cell_text, read_rows


@final
class SummaryTable(Reader):
    """Reads a table of documents and summaries."""

    name: ClassVar[str] = "summary-table"

    def recognises(self, path: Path) -> bool:
        """Say whether a file is a table of documents and summaries, or a folder holds such tables."""
        try:
            first = next(iter(tables.tables(path).values()), None)
        except (UserError, OSError):
            return False
        return first is not None and first.suffix.lower() in SUFFIXES and documents.certain(first)

    def read(self, path: Path) -> Listing:
        """List the documents. Raises UserError, with the row, for a table that cannot be trusted."""
        collector = listing.Collector(self.name)
        for split, file in tables.tables(path).items():
            table = read_rows(file)
            found = documents.roles(table.columns)
            if found is None:
                documents.document_column(table, file)
                raise columns.unclear(table.columns, "summary", documents.SUMMARIES, file)
            _note(table, found, file, collector)
            _read_table(table, found, (split, file), collector)
        return collector.listing()


def _note(table: Rows, found: documents.Roles, file: Path, collector: listing.Collector) -> None:
    """Say how the table was read, and what of it was not."""
    for note in table.notes:
        collector.note(note, file.name)
    places = {
        "document": found.document,
        "summary": found.summary,
        "title": found.title,
        "split": found.split,
    }
    for part, place in places.items():
        if place is not None:
            collector.note(f"read column {table.columns[place]!r} as the {part}", file.name)
    for place, column in enumerate(table.columns):
        if place not in places.values():
            collector.note("columns left out", column or f"column {place + 1}, without a name")


def _read_table(
    table: Rows, found: documents.Roles, source: tuple[str, Path], collector: listing.Collector
) -> None:
    split, file = source
    by_row = split == listing.UNSPLIT and found.split is not None
    for number, cells in table.rows:
        key = f"{listing.printable(file.name)}:{number}"
        if by_row and found.split is not None:
            value = cell_text(cells[found.split], f"{file}, row {number}, split")
            if not value:
                collector.drop(key, "empty split")
                continue
            split = tables.split_name(value, f"{file}, row {number}")
        documents.collect(split, documents.example_of(cells, found, key, file), collector)
