"""One segment of a feature table: a file that is written once, checked by CRC, and never changed.

Layout, little-endian; a new layout takes a new suffix, so that older versions leave it alone:

    magic (8 bytes) | bytes before the rows (u64) | bytes of JSON (u32) | CRC-32 of all before the rows (u32)
    JSON {rows, width, dtype, crc32 of the rows, notes {row: [...]}} | digests, 32 bytes a row
    zeros up to a multiple of 64 | float32 rows

Files are read with ``pread``, not mapped: a mapped file that shrinks kills the process with SIGBUS,
mapped pages count as resident memory, and page faults made streaming 1 GB in order take 2.4 s, not
0.2 [measured, 2 virtual cores]. Shape letters: N rows, D features, M rows of a target.
"""

import errno
import fcntl
import json
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.core.errors import machine_error
from headstart.core.files import atomic_file

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Digests = NDArray[np.bytes_]
Notes = tuple[str, ...]

SUFFIX = ".seg"
DIGEST_BYTES = 32
_MAGIC = b"HSTSEG1\n"
_PREFIX = struct.Struct("<8sQI")
_CRC = struct.Struct("<I")
_START = _PREFIX.size + _CRC.size
_ALIGNMENT = 64
_PIECE = 1 << 20


class Damaged(Exception):
    """A segment that cannot be trusted; the message is the reason. Never leaves the store."""


@dataclass(frozen=True, slots=True)
class Segment:
    """What a segment's header says: N ``rows`` of ``width`` float32 from byte ``start`` of the file."""

    path: Path
    rows: int
    width: int
    start: int
    rows_crc: int
    notes: dict[int, Notes]


def pack_digests(digests: Sequence[bytes]) -> Digests:
    """Return digests as an array [N]. Raises ValueError where one is not 32 bytes long."""
    for row, digest in enumerate(digests):
        if len(digest) != DIGEST_BYTES:
            raise ValueError(f"digest {row} has {len(digest)} bytes; expected {DIGEST_BYTES}")
    # NumPy drops trailing zeros only when it hands out a single item, and compares as if they were there.
    return np.frombuffer(b"".join(digests), dtype=f"S{DIGEST_BYTES}")


def write_segment(path: Path, digests_N: Digests, rows_ND: Floats, notes: dict[int, Notes]) -> None:
    """Publish a segment, whole or not at all. Raises MachineError where the machine refuses."""
    rows = np.ascontiguousarray(rows_ND, dtype="<f4").data.cast("B")
    count, width = rows_ND.shape
    head = {"rows": count, "width": width, "dtype": "<f4", "crc32": zlib.crc32(rows), "notes": notes}
    text = json.dumps(head, separators=(",", ":")).encode()
    start = -(-(_START + len(text) + digests_N.nbytes) // _ALIGNMENT) * _ALIGNMENT
    prefix = _PREFIX.pack(_MAGIC, start, len(text))
    body = (text + digests_N.tobytes()).ljust(start - _START, b"\0")
    with atomic_file(path, start + len(rows)) as file:
        # The lock tells a live writer's file from one that a killed writer left behind.
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        file.write(prefix + _CRC.pack(zlib.crc32(body, zlib.crc32(prefix))) + body)
        file.write(rows)


def read_header(path: Path, width: int) -> tuple[Segment, Digests]:
    """Read and check everything before the rows, and the file's size.

    Raises Damaged where any of it is wrong, MachineError where the file may not be read.
    """
    with _reading(path) as handle:
        prefix = _exactly(handle, _START, 0)
        magic, start, json_bytes = _PREFIX.unpack_from(prefix)
        size = os.fstat(handle).st_size
        if magic != _MAGIC or not _START + json_bytes <= start <= size:
            raise Damaged("its header is garbled or cut short")
        body = _exactly(handle, start - _START, _START)
    if _CRC.unpack_from(prefix, _PREFIX.size)[0] != zlib.crc32(body, zlib.crc32(prefix[: _PREFIX.size])):
        raise Damaged("its header fails its checksum")
    head = json.loads(body[:json_bytes])
    count = int(head["rows"])
    if (head["width"], head["dtype"]) != (width, "<f4"):
        raise Damaged(f"its rows are {head['width']} × {head['dtype']}, the table's {width} × <f4")
    if size != start + 4 * count * width:
        raise Damaged(f"it has {size:,} bytes, expected {start + 4 * count * width:,}")
    notes = {int(row): tuple(texts) for row, texts in head["notes"].items()}
    digests = np.frombuffer(body, dtype=f"S{DIGEST_BYTES}", count=count, offset=json_bytes)
    return Segment(path, count, width, start, int(head["crc32"]), notes), digests.copy()


def check_rows(segment: Segment) -> None:
    """Compare the rows with their CRC-32, in pieces. Raises Damaged, MachineError."""
    piece = memoryview(bytearray(_PIECE))
    crc, offset, stop = 0, segment.start, segment.start + 4 * segment.rows * segment.width
    with _reading(segment.path) as handle:
        while offset < stop:
            part = piece[: min(_PIECE, stop - offset)]
            _fill(handle, part, offset)
            crc = zlib.crc32(part, crc)
            offset += len(part)
    if crc != segment.rows_crc:
        raise Damaged("its rows fail their checksum")


def gather(segment: Segment, rows_N: Ints, places_N: Ints, first_column: int, target_MD: Floats) -> None:
    """Copy rows into ``target_MD[places]``, columns ``first_column`` onwards, as many as it has.

    Neighbouring rows that go to neighbouring places are read in one call. ``target_MD`` is
    C-contiguous. Raises Damaged where the file has shrunk, MachineError where it may not be read.
    """
    columns = target_MD.shape[1]
    apart = (np.diff(rows_N) != 1) | (np.diff(places_N) != 1) | (columns != segment.width)
    edges = np.concatenate(([0], np.flatnonzero(apart) + 1, [len(rows_N)]))
    offsets = segment.start + 4 * (rows_N[edges[:-1]] * segment.width + first_column)
    begins = 4 * columns * places_N[edges[:-1]]
    ends = begins + 4 * columns * np.diff(edges)
    target = target_MD.data.cast("B")
    with _reading(segment.path) as handle:
        for offset, begin, end in zip(offsets.tolist(), begins.tolist(), ends.tolist(), strict=True):
            _fill(handle, target[begin:end], offset)


def count_rows(path: Path) -> int:
    """Return how many rows a segment says it has, without checking it; 0 where it says nothing."""
    try:
        with path.open("rb") as file:
            _, _, json_bytes = _PREFIX.unpack_from(file.read(_START))
            return int(json.loads(file.read(json_bytes))["rows"])
    except (OSError, struct.error, ValueError, KeyError, TypeError, MemoryError):
        return 0


class DigestIndex:
    """Finds row numbers by digest: a few sorted runs, each over twice as long as the next.

    Adding n digests a little at a time therefore costs O(n log² n), and memory is 40 bytes a digest.
    """

    def __init__(self) -> None:
        self._runs: list[tuple[Digests, Ints]] = []

    def add(self, digests_N: Digests, rows_N: Ints) -> None:
        """Add digests with their row numbers; of equal digests the earliest added is found."""
        if not len(digests_N):
            return
        while self._runs and len(self._runs[-1][0]) <= 2 * len(digests_N):
            earlier_digests, earlier_rows = self._runs.pop()
            digests_N = np.concatenate((earlier_digests, digests_N))
            rows_N = np.concatenate((earlier_rows, rows_N))
        order = np.argsort(digests_N, kind="stable")
        self._runs.append((digests_N[order], rows_N[order]))

    def remove(self, start: int, stop: int) -> None:
        """Forget row numbers from ``start`` up to ``stop``."""
        kept = [(rows < start) | (rows >= stop) for _, rows in self._runs]
        pairs = zip(self._runs, kept, strict=True)
        self._runs = [(digests[keep], rows[keep]) for (digests, rows), keep in pairs if keep.any()]

    def find(self, digests_N: Digests) -> Ints:
        """Return a row number per digest, -1 where absent."""
        found = np.full(len(digests_N), -1, dtype=np.int64)
        for digests, rows in reversed(self._runs):
            place = np.minimum(np.searchsorted(digests, digests_N), len(digests) - 1)
            hit = digests[place] == digests_N
            found[hit] = rows[place[hit]]
        return found


@contextmanager
def _reading(path: Path) -> Iterator[int]:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield handle
        finally:
            os.close(handle)
    except FileNotFoundError:
        raise Damaged("it is gone") from None
    except OSError as error:
        # The medium is at fault here and the rows can be computed anew; any other refusal may pass.
        if error.errno == errno.EIO:
            raise Damaged("the disk cannot read it") from error
        error.filename = error.filename or str(path)
        raise machine_error(error, "Reading") from error


def _fill(handle: int, target: memoryview, offset: int) -> None:
    while target:
        got = os.preadv(handle, [target], offset)
        if not got:
            raise Damaged("it is cut short")
        target, offset = target[got:], offset + got


def _exactly(handle: int, count: int, offset: int) -> bytes:
    if count > os.fstat(handle).st_size:
        raise Damaged("it is cut short")
    content = bytearray(count)
    _fill(handle, memoryview(content), offset)
    return bytes(content)
