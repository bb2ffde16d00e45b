"""A table that holds a text and its translation in each row.

CSV, TSV, JSON Lines, Parquet or Arrow: one file, a folder with exactly one, or ``train.csv``, ``val.csv``
..., each perhaps in pieces. Columns are called after languages (``en`` and ``fr``), ``source`` and
``target``, ``src`` and ``tgt`` ...; or a column ``translation`` holds objects such as
``{"en": ..., "fr": ...}``. The first language is translated into the second unless the user says otherwise.
"""

from pathlib import Path
from typing import ClassVar, final

from headstart.contracts import Languages, Listing, PairReader
from headstart.core.errors import UserError
from headstart.data import columns, languages, listing, pair_columns, tables
from headstart.data.bitext import Pairs
from headstart.data.rows import read_rows


@final
class PairTable(PairReader):
    """Reads a table of texts and translations."""

    name: ClassVar[str] = "pair-table"

    def recognises(self, path: Path) -> bool:
        """Say whether a file is a table of texts and translations, or a folder holds such tables."""
        try:
            return any(map(pair_columns.certain, next(iter(tables.pieces(path).values()), [])[:1]))
        except (UserError, OSError):
            return False

    def read_pairs(self, path: Path, wanted: Languages) -> Listing:
        """List the pairs. Raises UserError, with the row, for a table that cannot be trusted."""
        wanted, pairs = languages.check(wanted), Pairs(("", ""), listing.Collector(self.name))
        for split, files in tables.pieces(path).items():
            for file in files:
                _read_table(file, split, wanted, pairs)
        return pairs.listing()


def _read_table(file: Path, split: str, wanted: Languages, pairs: Pairs) -> None:
    table = read_rows(file)
    sides = pair_columns.choose(table.columns, tables.head(tables.look(file)), wanted, file)
    if sides is None:
        raise pair_columns.lacking(table.columns, file)
    pairs.begin(sides.languages, file)
    by_row = columns.find(table.columns, columns.SPLITS)
    for note in table.notes:
        pairs.collector.note(note, file.name)
    sides.note(table.columns, file.name, pairs.collector, by_row)
    for number, cells in table.rows:
        key, row = f"{listing.printable(file.name)}:{number}", f"{file}, row {number}"
        role = tables.split_of(cells, by_row, split, row)
        if role is None:
            pairs.collector.drop(key, "empty split")
        else:
            pairs.add(role, key, file, sides.of(cells, row))
