"""A table that holds a document and its summary in each row, as CNN/DailyMail's and most others do.

CSV, TSV, JSON Lines, Parquet or Arrow: one file, a folder with exactly one, or ``train.csv``, ``val.csv``
..., each perhaps in pieces (``train-00000-of-00003.parquet`` ...).
The columns are told by their names (``article`` and ``highlights``, ``document`` and ``summary``,
``description`` and ``synopsis``, ``text`` and ``title`` ...), which the listing's notes say.
"""

from pathlib import Path
from typing import ClassVar, final

from headstart.contracts import Listing, Reader
from headstart.core.errors import UserError
from headstart.data import columns, documents, listing, tables
from headstart.data.rows import SUFFIXES, Rows, read_rows


@final
class SummaryTable(Reader):
    """Reads a table of documents and summaries."""

    name: ClassVar[str] = "summary-table"

    def recognises(self, path: Path) -> bool:
        """Say whether a file is a table of documents and summaries, or a folder holds such tables."""
        try:
            first = next(iter(tables.pieces(path).values()), [])[:1]
        except (UserError, OSError):
            return False
        return any(file.suffix.lower() in SUFFIXES and documents.certain(file) for file in first)

    def read(self, path: Path) -> Listing:
        """List the documents. Raises UserError, with the row, for a table that cannot be trusted."""
        collector = listing.Collector(self.name)
        for split, files in tables.pieces(path).items():
            for file in files:
                table = read_rows(file)
                found = documents.roles(table.columns)
                if found is None:
                    documents.document_column(table, file)
                    raise columns.unclear(table.columns, "summary", documents.SUMMARIES, file)
                for note in table.notes:
                    collector.note(note, file.name)
                documents.note(table.columns, found, file, collector)
                _read_table(table, found, (split, file), collector)
        return collector.listing()


def _read_table(
    table: Rows, found: documents.Roles, source: tuple[str, Path], collector: listing.Collector
) -> None:
    for number, cells in table.rows:
        key = f"{listing.printable(source[1].name)}:{number}"
        split = tables.split_of(cells, found.split, source[0], f"{source[1]}, row {number}")
        if split is None:
            collector.drop(key, "empty split")
        else:
            documents.collect(split, documents.example_of(cells, found, key, source[1]), collector)
