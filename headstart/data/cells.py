"""All that tables say of examples: the cells of their rows, also those that the reader left out."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

from headstart.contracts import Example
from headstart.core.errors import UserError
from headstart.data import columns, listing, saved_datasets, tables
from headstart.data.rows import SUFFIXES, read_rows

Cells = Mapping[str, object]
"""A row's cells by the names of their columns."""


def of_tables(path: Path, examples: Sequence[Example]) -> Iterator[tuple[int, Cells]]:
    """Yield each example's place with its row, of data that are tables; nothing of others."""
    place_of = {one.key: place for place, one in enumerate(examples)}
    for file in _files(path):
        # A table that is part of the data was read before; a stray one beside them may well be broken.
        with suppress(UserError, OSError):
            yield from _rows(file, place_of)


def of_saved(path: Path, examples: Sequence[Example]) -> Iterator[tuple[int, Cells]]:
    """Yield each example's place with its row, of a saved Hugging Face data set; nothing of others."""
    place_of = {one.key: place for place, one in enumerate(examples)}
    for folder in saved_datasets.parts(path).values():
        names = tuple(saved_datasets.features(folder))
        for number, (_, cells) in enumerate(saved_datasets.rows(folder, names)):
            place = place_of.get(f"{listing.printable(folder.name)}[{number}]")
            if place is not None:
                yield place, dict(zip(names, cells, strict=True))


def names(path: Path) -> tuple[str, ...]:
    """Return the columns of all tables at a path, each once."""
    found = list[str]()
    for file in _files(path):
        with suppress(UserError, OSError):
            found += tables.look(file).columns
    for folder in saved_datasets.parts(path).values():
        found += saved_datasets.features(folder)
    return tuple(dict.fromkeys(found))


def _rows(file: Path, place_of: Mapping[str, int]) -> Iterator[tuple[int, Cells]]:
    """Yield the rows of a table that are examples. Raises UserError for a broken table."""
    table = read_rows(file)
    paths = columns.find(table.columns, columns.PATHS)
    for number, cells in table.rows:
        place = place_of.get(f"{listing.printable(file.name)}:{number}")
        if place is None and paths is not None and isinstance(cells[paths], str):
            place = place_of.get(os.path.normpath(str(cells[paths]).strip()).replace(os.sep, "/"))
        if place is not None:
            yield place, dict(zip(table.columns, cells, strict=True))


def _files(path: Path) -> list[Path]:
    try:
        found = list(chain.from_iterable(tables.pieces(path).values()))
    except (UserError, OSError):
        return []
    return [file for file in found if file.suffix.lower() in SUFFIXES]
