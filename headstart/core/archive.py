"""ZIP archives, looked at whole before any library opens one.

A ZIP names its members twice, before each of them and in a directory at its end, and may hold bytes that
neither names: libraries that believe different places read different files. Only archives that leave no
choice are let through. Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

import os
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from headstart.core.errors import UserError

MAGIC = b"PK\x03\x04"
"""The first bytes of every archive with a member."""
_LARGEST_DIRECTORY, _MOST = 16 << 20, 100_000
_END, _LOCATOR, _LONG_END, _ENTRY, _HEADER, _DESCRIPTOR = 22, 20, 56, 46, 30, 24
_ENCRYPTED, _DESCRIBED_BEHIND, _UTF_8 = 0x2041, 0x0008, 0x0800
_STORED, _DEFLATED, _ELSEWHERE, _LONG = 0, 8, 0xFFFFFFFF, 1
_KIND, _FILE, _FOLDER = 0o170000, 0o100000, 0o040000
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Member:
    """A member as the directory tells of it; sizes in bytes, ``start`` is where its header begins."""

    raw: bytes
    name: str
    flags: int
    method: int
    packed: int
    size: int
    start: int
    kind: int


def check(path: Path, names: "re.Pattern[str]", times: int = 1, comment: bytes = b"") -> dict[str, int]:
    """Return each member's size unpacked, in bytes; nothing is unpacked.

    ``names`` is what a member may be called; together they may unpack to ``times`` the archive's size, where
    once means that nothing is packed. It may end with one ``comment``. Raises UserError for an archive that
    is damaged, names anything twice or outside itself, has bytes that no member owns, or holds links,
    passwords or more than it may.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            start, length, count = _directory(file, size, comment)
            file.seek(start)
            members = list(_members(file.read(length), count))
            _check_together(members, size, times)
            for member in members:
                _check_one(member, names, times)
            _check_places(file, members, start)
    except (ValueError, struct.error, OSError) as error:
        raise UserError(
            f"{path} is no archive that can be trusted ({error})",
            "a whole ZIP archive as the library that it is for writes it",
            "get it again from its publisher, or another form of it",
        ) from None
    return {member.name: member.size for member in members}


def _directory(file: IO[bytes], size: int, comment: bytes) -> tuple[int, int, int]:
    """Return where the directory begins, its length and how many members it names."""
    if comment:
        file.seek(max(0, size - len(comment) - 2))
        if file.read() == struct.pack("<H", len(comment)) + comment:
            size -= len(comment)
        else:
            comment = b""
    first = max(0, size - _END - _LOCATOR - _LONG_END)
    file.seek(first)
    tail = file.read(size - first)
    end, before = tail[-_END:], size - _END
    if end[:4] != b"PK\x05\x06":
        raise ValueError("it does not end as a ZIP archive does")
    disk, first, here, count, length, start, commented = struct.unpack("<4x4H2IH", end)
    if commented != len(comment) or disk or first or here != count:
        raise ValueError("it has a comment or several parts")
    if tail[-_END - _LOCATOR :][:4] == b"PK\x06\x07":
        before -= _LOCATOR + _LONG_END
        (place,) = struct.unpack("<8xQ4x", tail[-_END - _LOCATOR : -_END])
        if place != before or tail[:4] != b"PK\x06\x06":
            raise ValueError("its ends disagree")
        short = (count, length, start)
        here, count, length, start = struct.unpack("<24x4Q", tail[:_LONG_END])
        wide = zip(short, (count, length, start), (0xFFFF, _ELSEWHERE, _ELSEWHERE), strict=True)
        if here != count or any(one not in (other, mark) for one, other, mark in wide):
            raise ValueError("its ends disagree")
    if start + length != before:
        raise ValueError("its directory is not where its end says")
    if count > _MOST or length > _LARGEST_DIRECTORY:
        raise ValueError(f"it names {count:,} members, more than {_MOST:,}, or takes too long over them")
    return start, length, count


def _members(content: bytes, count: int) -> Iterator[_Member]:
    at = 0
    for _ in range(count):
        if content[at : at + 4] != b"PK\x01\x02":
            raise ValueError("its directory is damaged")
        flags, method, packed, size, named, more, comment, attributes, start = struct.unpack(
            "<8x2H8x2I3H4x2I", content[at : at + _ENTRY]
        )
        raw = content[at + _ENTRY : at + _ENTRY + named]
        extra = content[at + _ENTRY + named :][:more]
        size, packed, start = _widened(extra, (size, packed, start))
        name = raw.decode("utf-8" if flags & _UTF_8 else "ascii")
        yield _Member(raw, name, flags, method, packed, size, start, attributes >> 16 & _KIND)
        at += _ENTRY + named + more + comment
    if at != len(content):
        raise ValueError("its directory names more members than its end counts")


def _widened(extra: bytes, values: Sequence[int]) -> Sequence[int]:
    """Return sizes and place of a member, those too large for 32 bits from its extra field."""
    if _ELSEWHERE not in values:
        return values
    while len(extra) >= 4:
        kind, length = struct.unpack("<2H", extra[:4])
        if kind == _LONG:
            wide = iter(struct.unpack(f"<{length // 8}Q", extra[4 : 4 + length // 8 * 8]))
            return [next(wide, value) if value == _ELSEWHERE else value for value in values]
        extra = extra[4 + length :]
    return values


def _check_together(members: Sequence[_Member], size: int, times: int) -> None:
    whole = sum(member.size for member in members)
    if whole > times * size:
        raise ValueError(f"it unpacks to {whole:,} bytes, from {size:,}")
    found = [member.name.casefold() for member in members]
    if len(set(found)) < len(found):
        raise ValueError("it names a member twice")


def _check_one(member: _Member, names: "re.Pattern[str]", times: int) -> None:
    parts = member.name.removesuffix("/").split("/")
    if (
        "\\" in member.name
        or ":" in member.name
        or not member.name.isprintable()
        or any(part in ("", ".", "..") or _DEVICES.fullmatch(part) for part in parts)
    ):
        raise ValueError(f"a member is called {member.name[:60]!r}")
    if not names.fullmatch(member.name):
        raise ValueError(f"it holds {member.name[:60]!r}, which does not belong there")
    if member.kind not in (0, _FOLDER if member.name.endswith("/") else _FILE):
        raise ValueError(f"{member.name[:60]!r} is a link or no file")
    if member.flags & _ENCRYPTED:
        raise ValueError(f"{member.name[:60]!r} is encrypted")
    packed = member.method == _DEFLATED and times > 1
    if not packed and (member.method != _STORED or member.packed != member.size):
        raise ValueError(f"{member.name[:60]!r} is packed, or of a size that lies")


def _check_places(file: IO[bytes], members: Sequence[_Member], stop: int) -> None:
    """Compare each member's own header with the directory's; members must lie one behind the other."""
    at = 0
    for member in sorted(members, key=lambda one: one.start):
        if not at <= member.start <= at + (_DESCRIPTOR if at else 0):
            raise ValueError(f"{member.name[:60]!r} lies where another does, or behind bytes of none")
        file.seek(member.start)
        header = file.read(_HEADER)
        if header[:4] != MAGIC:
            raise ValueError(f"{member.name[:60]!r} has no header")
        flags, method, packed, size, named, more = struct.unpack("<6x2H8x2I2H", header)
        described = flags & _DESCRIBED_BEHIND or _ELSEWHERE in (packed, size)
        same = (flags, method, file.read(named)) == (member.flags, member.method, member.raw)
        if not same or not (described or (packed, size) == (member.packed, member.size)):
            raise ValueError(f"{member.name[:60]!r} has a header that the directory contradicts")
        at = member.start + _HEADER + named + more + member.packed
    if not at <= stop <= at + _DESCRIPTOR:
        raise ValueError("its last member ends where the directory does not begin")
