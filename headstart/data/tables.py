"""Which tables a path holds, and whether they list pictures or texts: both are the same kinds of file."""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Literal

from headstart.contracts import Example
from headstart.core.errors import UserError
from headstart.data import columns, listing
from headstart.data.columns import PICTURE_NAME
from headstart.data.rows import SUFFIXES, Rows, cell_text, read_rows
from headstart.data.signature import HEAD_BYTES, picture_format

_SHARD = re.compile(r"-(\d+)-of-(\d+)$")
_AFTER_NAME = re.compile(r".*[-_.]")
_LOOKED_BYTES, _LOOKED_ROWS, _LOOKED_FILES = 1 << 18, 200, 8

log = logging.getLogger(__name__)


def tables(path: Path) -> dict[str, Path]:
    """Return a file as unsplit; of a folder the table of each split, else its only table as unsplit.

    Empty where a split is in several pieces.
    """
    found = pieces(path)
    return (
        {split: files[0] for split, files in found.items()}
        if all(len(f) == 1 for f in found.values())
        else {}
    )


def pieces(path: Path) -> dict[str, list[Path]]:
    """Return the tables of each split, in order: ``train.csv``, ``train-00000-of-00002.parquet`` ...

    Where no table is called after a split, their names may end so (``wmt14-train.arrow``); else an only table
    is unsplit. Raises UserError where two tables are one split's and no pieces of it, or where pieces lack.
    """
    if path.is_file():
        return {listing.UNSPLIT: [path]}
    entries = [entry for entry in listing.entries(path) if not listing.is_hidden(entry.name)]
    saved = any(entry.name == "state.json" for entry in entries)  # a saved data set, whose reader knows more
    files = [
        path / entry.name
        for entry in entries
        if entry.name.lower().endswith(SUFFIXES)
        and not (saved and entry.name.endswith(".arrow"))
        and entry.is_file()
    ]
    stems = {file: _SHARD.sub("", file.stem.strip().lower()) for file in files}
    splits = {file: listing.SPLIT_NAMES.get(stem) for file, stem in stems.items()}
    if not any(splits.values()):
        splits = {file: listing.SPLIT_NAMES.get(_AFTER_NAME.sub("", stem)) for file, stem in stems.items()}
    by_split = {
        name: [file for file in files if splits[file] == name]
        for name in listing.SPLITS
        if name in splits.values()
    }
    for split, together in by_split.items():
        _check_pieces(split, together)
    return by_split or ({listing.UNSPLIT: files} if len(files) == 1 else {})


def _check_pieces(split: str, files: Sequence[Path]) -> None:
    """Raise UserError unless the files are one table, or all pieces of one."""
    shards = [_SHARD.search(file.stem.strip()) for file in files]
    if len(files) == 1 and shards[0] is None:
        return
    if any(shard is None for shard in shards):
        pair = f"{files[0].name} and {files[1].name} both name the {split} split"
        raise UserError(pair, "one table per split", "remove one of them")
    numbers = sorted((int(shard[1]), int(shard[2])) for shard in shards if shard is not None)
    if numbers != [(place, len(files)) for place in range(len(files))]:
        found = f"the {split} split has {len(files)} of {numbers[0][1]} pieces ({files[0].name} ...)"
        raise UserError(found, "all of them, each once", "fetch those that lack")


def split_of(cells: Sequence[object], place: int | None, split: str, row: str) -> str | None:
    """Return a row's split: the table's, else the one that its cell names; None where that is empty.

    Raises UserError, naming the row, for a cell that names none.
    """
    if split != listing.UNSPLIT or place is None:
        return split
    value = cell_text(cells[place], f"{row}, split")
    return split_name(value, row) if value else None


def texts(file: Path) -> Iterator[Example]:
    """Yield each row's text, without a label. Raises UserError, with the row, for a broken table."""
    table = read_rows(file)
    for note in table.notes:
        log.info("%s: %s", file, note)
    place = columns.text(table.columns, lambda: head(look(file)), file)
    log.info("%s: read column %r as the text", file, table.columns[place])
    for number, cells in table.rows:
        text = cell_text(cells[place], f"{file}, row {number}, text")
        yield Example(key=f"{file}:{number}", label="", path=file, text=text)


def split_name(value: str, row: str) -> str:
    """Return which split a cell means. Raises UserError, naming the row."""
    split = listing.SPLIT_NAMES.get(value.lower())
    if split is None:
        raise UserError(f"{row}: the split {value!r}", "train, val or test", "rename it")
    return split


def kind(file: Path) -> Literal["pictures", "texts"] | None:
    """Say what a table certainly lists, by its header and first rows; None where that is not certain."""
    if file.suffix.lower() not in SUFFIXES:
        return None
    try:
        table = look(file)
    except (UserError, OSError):
        return None
    rows = head(table)
    path, labels = (columns.find(table.columns, names) for names in (columns.PATHS, columns.PICTURE_LABELS))
    if path is not None and labels is not None and _name_pictures(rows, path, file.parent):
        return "pictures"
    try:
        columns.choose(table.columns, lambda: rows, file)
    except UserError:
        return None
    return "texts"


def look(file: Path) -> Rows:
    """Open a table for a look at its first rows. Raises UserError for what is none."""
    return read_rows(file, _LOOKED_BYTES)


def head(table: Rows) -> list[Sequence[object]]:
    """Return the cells of the first rows that are whole: the end of what was read may lie inside one."""
    rows: list[Sequence[object]] = []
    with suppress(UserError, OSError):  # a broken row is for the reader to report
        rows.extend(cells for _, cells in islice(table.rows, _LOOKED_ROWS))
    return rows


def _name_pictures(rows: Sequence[Sequence[object]], place: int, folder: Path) -> bool:
    values = [cells[place] for cells in rows]
    texts = [value.strip() for value in values if isinstance(value, str) and value.strip()]
    named = sum(PICTURE_NAME.fullmatch(value) is not None for value in texts)
    return (
        not rows
        or named * 2 > len(texts)
        or any(_is_picture(folder, value) for value in texts[:_LOOKED_FILES])
    )


def _is_picture(folder: Path, value: str) -> bool:
    """Say whether a cell names a picture file without a picture's suffix."""
    try:
        with (folder / value).open("rb") as file:
            return picture_format(file.read(HEAD_BYTES)) is not None
    except (OSError, ValueError):
        return False
