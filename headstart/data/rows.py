"""Rows of text out of CSV, TSV, JSON Lines, Parquet and Arrow; what is wrong is told with its row.

A row's number is the one a spreadsheet or editor shows: the header of a CSV file is row 1.
"""

import codecs
import csv
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.core.errors import UserError

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".arrow")
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_DELIMITERS = ",;\t|"
_MAX_CELL = 10_000_000
"""Characters in a cell; the csv module's own limit, 128 KiB, is less than a long document."""
_BATCH = 1_024
_ROW = re.compile(r"[^\n]*\n|[^\n]+")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


@dataclass(frozen=True, slots=True)
class Rows:
    """A table: its column names without surrounding spaces, its numbered rows, and how it was read.

    Cells are text, or whatever JSON and Parquet hold: ``cell_text`` makes text of them.
    """

    columns: tuple[str, ...]
    rows: Iterator[tuple[int, Sequence[object]]]
    notes: tuple[str, ...] = ()


def read_rows(file: Path, head_bytes: int | None = None) -> Rows:
    """Open a table; its rows are checked as they are taken.

    ``head_bytes`` bounds what is read of a text file, up to the last whole line in it: for a first
    look, since the end may then lie inside a cell. Parquet and Arrow are always read piece by piece.
    Raises UserError, with the row where there is one, for an unreadable encoding, NUL bytes, a ragged
    row, a column named twice, and whatever is no table.
    """
    suffix = file.suffix.lower()
    if suffix == ".parquet":
        return _parquet(file)
    if suffix == ".arrow":
        return _arrow(file)
    text, notes = _text(file, head_bytes)
    if suffix in (".jsonl", ".ndjson"):
        return _json_lines(file, text, notes)
    return _delimited(file, text, "\t" if suffix == ".tsv" else _delimiter(text), notes)


def cell_text(value: object, where: str) -> str:
    """Return a cell as a CSV file would hold it, without surrounding spaces; absent and NaN are empty.

    Raises UserError, naming ``where``, for a list, a struct or bytes.
    """
    if value is None or value != value:  # noqa: PLR0124 - only NaN differs from itself
        return ""
    if isinstance(value, list | dict | bytes):
        raise UserError(f"{where}: a {type(value).__name__}", "a text or a number", "flatten that column")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # 3.0 is how tables write the class 3 in a column with gaps
    return str(value).strip()


def _text(file: Path, head_bytes: int | None) -> tuple[str, tuple[str, ...]]:
    with file.open("rb") as opened:
        content = opened.read() if head_bytes is None else opened.read(head_bytes)
        whole = head_bytes is None or not opened.read(1)
    encoding = next((name for bom, name in _BOMS if content.startswith(bom)), "utf-8")
    notes: tuple[str, ...] = ()
    try:
        text = _decoded(content, encoding, whole)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise UserError(
                f"{file} is damaged UTF-16 text ({error.reason})", "whole characters", "save it again"
            ) from None
        try:
            text, notes = _decoded(content, "cp1252", whole), ("table is not UTF-8, read as Windows-1252",)
        except UnicodeDecodeError as error:
            found = f"{file} is neither UTF-8 nor Windows-1252 (byte {error.start:,})"
            raise UserError(found, "text", "save it as UTF-8") from None
    if "\0" in text:
        row = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(f"{file}, row {row}: a NUL byte", "text", "save the table as UTF-8")
    if not text or text.isspace():
        raise UserError(f"{file} is empty", "a header and rows", "name another file")
    return text, notes


def _decoded(content: bytes, encoding: str, whole: bool) -> str:
    if whole:
        return content.decode(encoding)
    text = codecs.getincrementaldecoder(encoding)().decode(content)  # the end may lie inside a character
    return text[: text.rindex("\n") + 1] if "\n" in text else text


def _delimiter(text: str) -> str:
    header = re.search(r"\S[^\n]*", text)
    return max(_DELIMITERS, key=header[0].count if header else "".count)


def _delimited(file: Path, text: str, delimiter: str, notes: tuple[str, ...]) -> Rows:
    if delimiter != "," and file.suffix.lower() == ".csv":
        notes += (f"columns of the table are separated by {delimiter!r}",)
    csv.field_size_limit(_MAX_CELL)
    numbered = _records(file, csv.reader(_lines(text), delimiter=delimiter, strict=True))
    header = next(numbered)[1]
    return Rows(_columns(file, header), _even(file, numbered, len(header)), notes)


def _lines(text: str) -> Iterator[str]:
    """Yield lines with their ends, of any system: ``io.StringIO`` would hold four bytes a character."""
    return (line[0] for line in _LINE.finditer(text))


def _records(file: Path, reader: Any) -> Iterator[tuple[int, list[str]]]:
    row = 0
    try:
        for row, record in enumerate(reader, 1):
            if record:
                yield row, record
    except csv.Error as error:
        raise UserError(f"{file}, row {row + 1}: {error}", "well-formed quoting", "mend that row") from None


def _even(
    file: Path, numbered: Iterator[tuple[int, list[str]]], width: int
) -> Iterator[tuple[int, list[str]]]:
    for row, record in numbered:
        if len(record) != width:
            found = f"{file}, row {row}: {len(record)} cells"
            raise UserError(
                found, f"{width}, as in the header", "mend that row (quote a cell with a separator)"
            )
        yield row, record


def _columns(file: Path, header: Sequence[str]) -> tuple[str, ...]:
    names = tuple(name.strip() for name in header)
    counts = Counter(name.casefold() for name in names if name)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise UserError(
            f"{file} has {counts[twice[0]]} columns named {twice[0]!r}", "each once", "rename one of them"
        )
    return names


def _json_lines(file: Path, text: str, notes: tuple[str, ...]) -> Rows:
    lines = ((number, line[0]) for number, line in enumerate(_ROW.finditer(text), 1) if line[0].strip())
    first = next(lines)
    keys = tuple(_object(file, *first))
    records = ((number, _object(file, number, line)) for number, line in itertools.chain([first], lines))
    rows = ((number, [record.get(key) for key in keys]) for number, record in records)
    return Rows(_columns(file, keys), rows, notes)


def _object(file: Path, number: int, line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}, row {number}: {error}", "one JSON object a line", "mend that row") from None
    if not isinstance(value, dict):
        raise UserError(f"{file}, row {number}: a JSON {type(value).__name__}", "an object", "mend that row")
    return value


def _parquet(file: Path) -> Rows:
    import pyarrow
    from pyarrow import parquet

    try:
        opened = parquet.ParquetFile(file)
        names = tuple(opened.schema_arrow.names)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0][:120]
        raise UserError(
            f"{file} is no readable Parquet file ({reason})", "a Parquet table", "write it again"
        ) from None
    return Rows(_columns(file, names), _parquet_rows(file, opened))


def _parquet_rows(file: Path, opened: Any) -> Iterator[tuple[int, Sequence[object]]]:
    import pyarrow

    number = 0
    try:
        for batch in opened.iter_batches(_BATCH):
            for record in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                number += 1
                yield number, record
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0][:120]
        raise UserError(
            f"{file} is damaged after row {number} ({reason})", "a whole file", "write it again"
        ) from None


def arrow_batches(file: Path, remedy: str = "write it again") -> Iterator[Any]:
    """Yield the record batches of an Arrow file, be it a stream or not, one in memory at a time.

    Raises UserError for a file that is no Arrow, and where it is damaged.
    """
    import pyarrow

    try:
        with pyarrow.OSFile(str(file)) as source:
            if source.read(6) == b"ARROW1":
                opened = pyarrow.ipc.open_file(source)
                yield from (opened.get_batch(place) for place in range(opened.num_record_batches))
            else:
                source.seek(0)
                yield from pyarrow.ipc.open_stream(source)
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0][:120]
        raise UserError(f"{file} is no readable Arrow stream ({reason})", "a whole file", remedy) from None


def _arrow(file: Path) -> Rows:
    batches = arrow_batches(file)
    first = next(batches, None)
    if first is None:
        raise UserError(f"{file} is empty", "rows", "name another file")
    records = (
        record
        for batch in itertools.chain([first], batches)
        for record in zip(*(column.to_pylist() for column in batch.columns), strict=True)
    )
    return Rows(_columns(file, tuple(first.schema.names)), enumerate(records, 1))
