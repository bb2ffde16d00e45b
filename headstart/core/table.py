"""One table of the feature store, open: find rows by digest, read them, append to them.

Row numbers stay valid while the table is open: a segment is checked before the first of its rows is
given out, and what is appended or set aside later never renumbers another.
Shape letters: N rows, D features, d chosen features.
"""

import os
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np

from headstart.core.errors import MachineError, machine_error
from headstart.core.segment import (
    SUFFIX,
    Damaged,
    DigestIndex,
    Floats,
    Ints,
    Notes,
    Segment,
    check_rows,
    gather,
    pack_digests,
    read_header,
    write_segment,
)

Columns = tuple[tuple[str, int, int], ...]
"""Name, first and one past the last feature of each group of features."""

_SCRATCH_BYTES = 4 << 20


class Table:
    """The rows of one trunk function, open until closed; made by ``Store.table`` and ``Store.create``.

    ``columns`` and ``about`` are what the creator said, ``width`` is D, and ``repairs`` tells in
    sentences what was found damaged and set aside since the table was opened. Not for several
    threads at once.
    """

    def __init__(self, folder: Path, lock: IO[bytes], columns: Columns, about: Mapping[str, Any]) -> None:
        self.folder, self.columns, self.about = folder, columns, about
        self.width = max(stop for _, _, stop in columns)
        self.repairs: list[str] = []
        self._lock = lock
        self._seen: set[str] = set()
        self._segments: list[Segment] = []
        self._starts: list[int] = []
        self._unchecked: set[int] = set()
        self._end = 0
        self._index = DigestIndex()
        self.refresh()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the table, so that it may be pruned; closing twice is harmless."""
        self._lock.close()

    def refresh(self) -> None:
        """Take in the segments that were appended since, here or by other processes.

        Raises MachineError where one may not be read.
        """
        self._require_open()
        try:
            names = {name for name in os.listdir(self.folder) if name.endswith(SUFFIX)}
        except OSError as error:
            raise machine_error(error, "Reading") from error
        self._take(sorted(names - self._seen))

    def _take(self, names: Sequence[str]) -> None:
        digests, rows = [], []
        for name in names:
            self._seen.add(name)
            try:
                segment, digests_N = read_header(self.folder / name, self.width)
            except Damaged as reason:
                self._set_aside(self.folder / name, reason)
                continue
            digests.append(digests_N)
            rows.append(np.arange(self._end, self._end + segment.rows, dtype=np.int64))
            self._unchecked.add(len(self._segments))
            self._segments.append(segment)
            self._starts.append(self._end)
            self._end += segment.rows
        if digests:
            self._index.add(np.concatenate(digests), np.concatenate(rows))

    def append(self, digests: Sequence[bytes], rows_ND: Floats, notes: Sequence[Notes] = ()) -> None:
        """Publish float32 rows under their 32-byte digests, with a tuple of notes each (or none at all).

        When it returns, the rows survive a power cut, and every process finds them after ``refresh``.
        Raises ValueError on a wrong shape, type or a row that is not finite; MachineError where the
        machine refuses, and then nothing was appended.
        """
        self._require_open()
        if rows_ND.shape != (len(digests), self.width) or rows_ND.dtype != np.float32:
            raise ValueError(
                f"rows are {rows_ND.dtype} {rows_ND.shape}; expected float32 {(len(digests), self.width)}"
            )
        if notes and len(notes) != len(digests):
            raise ValueError(f"there are {len(notes)} notes for {len(digests)} rows")
        finite_N = np.isfinite(rows_ND).all(axis=1)
        if not finite_N.all():
            raise ValueError(f"row {int(np.argmin(finite_N))} has a feature that is not finite")
        packed = pack_digests(digests)
        if len(packed):
            sparse = {row: tuple(note) for row, note in enumerate(notes) if note}
            name = f"{uuid.uuid4().hex}{SUFFIX}"
            write_segment(self.folder / name, packed, rows_ND, sparse)
            self._take([name])

    def find(self, digests: Sequence[bytes]) -> Ints:
        """Return the row number of each digest, -1 where absent; valid until the table is closed.

        The segments it points into are checked first, once each; a damaged one is set aside, its
        rows are absent, and ``repairs`` says so. Raises MachineError where one may not be read.
        """
        self._require_open()
        packed = pack_digests(digests)
        while True:
            rows_N = self._index.find(packed)
            places = set(np.unique(self._segment_of(rows_N[rows_N >= 0])).tolist()) & self._unchecked
            if not places:
                return rows_N
            for place in sorted(places):
                self._check(place)

    def notes(self, rows_N: Ints) -> list[Notes]:
        """Return the notes of each row. Raises IndexError on a row that ``find`` did not give."""
        rows_N = self._valid(rows_N)
        pairs = zip(rows_N.tolist(), self._segment_of(rows_N).tolist(), strict=True)
        return [self._segments[place].notes.get(row - self._starts[place], ()) for row, place in pairs]

    def read(self, rows_N: Ints, columns: slice | Ints | None = None, out: Floats | None = None) -> Floats:
        """Return features [N, d] of the rows, in their order, in a fresh array or in ``out``.

        ``columns`` are a slice or the numbers of the d features wanted, None for all D. Beyond the
        result it takes a few MiB, whatever N is. Raises IndexError on a row that ``find`` did not
        give or a column that is not there, ValueError where ``out`` is not C-contiguous float32
        [N, d], MachineError where a file may no longer be read.
        """
        self._require_open()
        rows_N = self._valid(rows_N)
        wanted_d = self._wanted(columns)
        shape = (len(rows_N), len(wanted_d))
        out = np.empty(shape, dtype=np.float32) if out is None else out
        if out.shape != shape or out.dtype != np.float32 or not out.flags.c_contiguous:
            raise ValueError(f"out is {out.dtype} {out.shape}; expected C-contiguous float32 {shape}")
        if out.size == 0:
            return out
        first, stop = int(wanted_d.min()), int(wanted_d.max()) + 1
        if len(wanted_d) == stop - first and bool((np.diff(wanted_d) == 1).all()):
            self._gather(rows_N, first, out)
            return out
        block = max(1, _SCRATCH_BYTES // (4 * (stop - first)))
        scratch = np.empty((min(block, len(rows_N)), stop - first), dtype=np.float32)
        for begin in range(0, len(rows_N), block):
            part_N = rows_N[begin : begin + block]
            self._gather(part_N, first, scratch[: len(part_N)])
            out[begin : begin + block] = scratch[: len(part_N), wanted_d - first]
        return out

    def _gather(self, rows_N: Ints, first_column: int, target_Nd: Floats) -> None:
        places_N = self._segment_of(rows_N)
        order_N = np.argsort(places_N, kind="stable")
        places, begins = np.unique(places_N[order_N], return_index=True)
        for place, targets in zip(places.tolist(), np.split(order_N, begins[1:]), strict=True):
            segment = self._segments[place]
            if place in self._unchecked:
                raise IndexError(f"{segment.path} holds rows that find() has not given out")
            try:
                gather(segment, rows_N[targets] - self._starts[place], targets, first_column, target_Nd)
            except Damaged as reason:
                raise MachineError(
                    f"{segment.path} changed while it was in use: {reason}; run again."
                ) from None

    def _segment_of(self, rows_N: Ints) -> Ints:
        return np.searchsorted(np.array(self._starts, dtype=np.int64), rows_N, side="right") - 1

    def _valid(self, rows_N: Ints) -> Ints:
        rows_N = np.asarray(rows_N, dtype=np.int64)
        if rows_N.size and not 0 <= rows_N.min() <= rows_N.max() < self._end:
            raise IndexError(f"rows {rows_N.min()} to {rows_N.max()} are asked for; there are {self._end}")
        return rows_N

    def _wanted(self, columns: slice | Ints | None) -> Ints:
        everything = np.arange(self.width, dtype=np.int64)
        if columns is None or isinstance(columns, slice):
            return everything[columns or slice(None)]
        return everything[np.asarray(columns, dtype=np.int64)]

    def _check(self, place: int) -> None:
        segment = self._segments[place]
        try:
            check_rows(segment)
        except Damaged as reason:
            self._index.remove(self._starts[place], self._starts[place] + segment.rows)
            self._set_aside(segment.path, reason)
        self._unchecked.discard(place)

    def _set_aside(self, path: Path, reason: Damaged) -> None:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        self.repairs.append(f"{path}: {reason}; its features are computed anew.")

    def _require_open(self) -> None:
        if self._lock.closed:
            raise ValueError(f"the table {self.folder} is closed")
