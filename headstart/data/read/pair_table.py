"""A table that holds a text and its translation in each row.

CSV, TSV, JSON Lines, Parquet or Arrow: one file, a folder with exactly one, or ``train.csv``, ``val.csv`` ...,
each perhaps in pieces. Columns are called after languages (``en`` and ``fr``), ``source`` and ``target``,
``src`` and ``tgt`` ...; or one column ``translation`` holds objects such as ``{"en": ..., "fr": ...}``. The
first language is translated into the second unless the user says otherwise.
"""

from pathlib import Path
from typing import ClassVar, final

from headstart.contracts import Languages, Listing, PairReader
from headstart.core.errors import UserError
from headstart.data import columns, languages, listing, pair_columns, tables
from headstart.data.bitext import Pairs
from headstart.data.pair_columns import Sides
from headstart.data.rows import Rows, read_rows


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
        wanted, pairs = languages.check(wanted), None
        for split, files in tables.pieces(path).items():
            for file in files:
                sides = _sides(file, wanted)
                pairs = pairs or Pairs(sides.languages, listing.Collector(self.name))
                if sides.languages != pairs.languages:
                    raise _changed(file, sides, pairs)
                table = read_rows(file)
                place = columns.find(table.columns, columns.SPLITS)
                _note(table, sides, place, (file, pairs))
                _read_table(table, sides, place, (split, file), pairs)
        return (pairs or Pairs(wanted, listing.Collector(self.name))).listing()


def _sides(file: Path, wanted: Languages) -> Sides:
    table = read_rows(file)
    found = pair_columns.choose(table.columns, tables.head(table), wanted, file)
    if found is None:
        raise UserError(
            f"{file} has no two columns of texts (it has {', '.join(map(repr, table.columns))})",
            "two called after languages (en, fr), or source and target",
            "rename the columns that hold the text and its translation",
        )
    return found


def _changed(file: Path, sides: Sides, pairs: Pairs) -> UserError:
    here, before = (" to ".join(one) for one in (sides.languages, pairs.languages))
    return UserError(
        f"{file} goes from {here}, another table from {before}", "one direction", "put them apart"
    )


def _note(table: Rows, sides: Sides, split: int | None, where: tuple[Path, Pairs]) -> None:
    """Say how the table was read, and what of it was not."""
    file, pairs = where
    for note in table.notes:
        pairs.collector.note(note, file.name)
    parts = ["source", "target"]
    for part, place, key in zip(parts, sides.places, sides.keys or ("", ""), strict=True):
        column = table.columns[place] + (f".{key}" if key else "")
        pairs.collector.note(f"read column {column!r} as the {part}", file.name)
    if split is not None:
        pairs.collector.note(f"read column {table.columns[split]!r} as the split", file.name)
    for place, column in enumerate(table.columns):
        if place not in (*sides.places, split):
            pairs.collector.note("columns left out", column or f"column {place + 1}, without a name")


def _read_table(table: Rows, sides: Sides, place: int | None, source: tuple[str, Path], pairs: Pairs) -> None:
    for number, cells in table.rows:
        key, row = f"{listing.printable(source[1].name)}:{number}", f"{source[1]}, row {number}"
        split = tables.split_of(cells, place, source[0], row)
        if split is None:
            pairs.collector.drop(key, "empty split")
        else:
            pairs.add(split, key, source[1], sides.of(cells, row))
