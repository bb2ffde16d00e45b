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

_SHARD = re.compile(r"-0+-of-0*1$")
_LOOKED_BYTES, _LOOKED_ROWS, _LOOKED_FILES = 1 << 18, 200, 8

log = logging.getLogger(__name__)


def tables(path: Path) -> dict[str, Path]:
    """Return a file as unsplit; of a folder the table of each split, else its only table as unsplit."""
    if path.is_file():
        return {listing.UNSPLIT: path}
    files = [
        path / entry.name
        for entry in listing.entries(path)
        if not listing.is_hidden(entry.name) and entry.name.lower().endswith(SUFFIXES) and entry.is_file()
    ]
    by_split: dict[str, Path] = {}
    for file in files:
        split = listing.SPLIT_NAMES.get(_SHARD.sub("", file.stem.strip().lower()))
        if split in by_split:
            pair = f"{by_split[split].name} and {file.name} both name the {split} split"
            raise UserError(pair, "one table per split", "remove one of them")
        if split is not None:
            by_split[split] = file
    in_order = {split: by_split[split] for split in listing.SPLITS if split in by_split}
    return in_order or ({listing.UNSPLIT: files[0]} if len(files) == 1 else {})


def texts(file: Path) -> Iterator[Example]:
    """Yield each row's text, without a label. Raises UserError, with the row, for a broken table."""
    table = read_rows(file)
    for note in table.notes:
        log.info("%s: %s", file, note)
    place = columns.text(table.columns, lambda: _first(read_rows(file, _LOOKED_BYTES)), file)
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
        table = read_rows(file, _LOOKED_BYTES)
    except (UserError, OSError):
        return None
    rows = _first(table)
    path, labels = (columns.find(table.columns, names) for names in (columns.PATHS, columns.PICTURE_LABELS))
    if path is not None and labels is not None and _name_pictures(rows, path, file.parent):
        return "pictures"
    try:
        columns.choose(table.columns, lambda: rows, file)
    except UserError:
        return None
    return "texts"


def _first(table: Rows) -> list[Sequence[object]]:
    """Return the first rows that are whole: the end of the head may lie inside one."""
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
