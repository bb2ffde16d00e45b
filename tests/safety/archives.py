"""ZIP archives and packed files that lead elsewhere, unpack to more than they are worth, or lie."""

import gzip
import io
import re
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headstart.core import archive
from headstart.data.read.idx import Idx
from tests.safety.attacks import Attack

NAMES = re.compile(r"m/.*|config\.json|model\.weights\.h5")
TIMES = 20


def packed(*members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """Return an archive of members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, content in members:
            file.writestr(name, content)
    return buffer.getvalue()


HONEST = packed(("config.json", b"{}"), ("model.weights.h5", b"\x89HDF" + bytes(60)), ("m/a", b"b" * 50))
_SPARE = (("config.json", b"x" * 4_000),)


def _link(target: bytes) -> bytes:
    entry = zipfile.ZipInfo("m/link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return packed((entry, target), *_SPARE)


def _named(name: str) -> bytes:
    return packed(("m/" + "q" * (len(name.encode()) - 2), b"x"), *_SPARE).replace(
        b"m/" + b"q" * (len(name.encode()) - 2), name.encode()
    )


def _patched(content: bytes, mark: bytes, offset: int, value: bytes) -> bytes:
    at = content.rindex(mark) + offset
    return content[:at] + value + content[at + len(value) :]


def _overlapping(count: int) -> bytes:
    """Return an archive whose many members are one and the same bytes (D. Fifield, WOOT 2019)."""
    body = packed(("m/000", b"x" * 10_000))
    start = body.index(b"PK\x01\x02")
    entry = body[start : body.index(b"PK\x05\x06")]
    entries = b"".join(entry.replace(b"m/000", b"m/%03d" % place) for place in range(count))
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, len(entries), start, 0)
    return body[:start] + entries + end


def files() -> dict[str, bytes]:
    """Return archives by what is wrong with them."""
    end, entry, header = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"
    bomb = packed(("config.json", bytes(8 << 20)), method=zipfile.ZIP_DEFLATED)
    hidden = packed(("config.json", b'{"a": 1}'))
    other = hidden[: hidden.index(entry)].replace(b"config.json", b"CONFIG.JSON")
    return {
        "a name that leads up": _named("../../../tmp/ran"),
        "a name that leads up, later": _named("m/../../ran"),
        "an absolute name": _named("/tmp/ran-absolute"),
        "a drive": _named("C:/ran.txt"),
        "backslashes": _named("m\\..\\..\\ran"),
        "a device": _named("m/NUL"),
        "a device with a suffix": _named("m/com1.txt"),
        "a stream": _named("m/a:stream"),
        "a name with a line's end": _named("m/a\nb"),
        "an empty part": _named("m//a"),
        "a name nobody asked for": _named("setup.py"),
        "a name that is no text": packed(("m/qqqq", b"x"), *_SPARE).replace(b"m/qqqq", b"m/\xff\xfe\xfd\xfc"),
        "a link": _link(b"/etc/passwd"),
        "a link that leads up": _link(b"../../ran"),
        "a name twice": packed(("m/a", b"x"), ("m/b", b"y"), *_SPARE).replace(b"m/b", b"m/a"),
        "a name twice but for its case": packed(("m/a", b"x"), ("m/A", b"y"), *_SPARE),
        "a bomb": bomb,
        "a bomb in a bomb": packed(("config.json", bomb * 3), method=zipfile.ZIP_DEFLATED),
        "the same bytes under 500 names": _overlapping(500),
        "250,000 members": _patched(HONEST, end, 8, struct.pack("<2H", 65_000, 65_000)),
        "fewer members than there are": _patched(HONEST, end, 8, struct.pack("<2H", 2, 2)),
        "a directory elsewhere": _patched(HONEST, end, 16, struct.pack("<I", 0)),
        "a directory of four gigabytes": _patched(HONEST, end, 12, struct.pack("<I", 0xFFFFFFFE)),
        "several parts": _patched(HONEST, end, 4, struct.pack("<H", 1)),
        "a size that lies": _patched(HONEST, entry, 24, struct.pack("<I", 10)),
        "a size that lies by four gigabytes": _patched(HONEST, entry, 24, struct.pack("<I", 0xFFFFFFFF)),
        "encrypted": _patched(HONEST, entry, 8, struct.pack("<H", 1)),
        "a way of packing that nobody knows": _patched(HONEST, entry, 10, struct.pack("<H", 99)),
        "a header that says another name": _patched(HONEST, header, 30, b"n"),
        "a header that says another size": _patched(HONEST, header, 18, struct.pack("<2I", 9, 9)),
        "a member that begins inside another": _patched(HONEST, entry, 42, struct.pack("<I", 3)),
        "something before": b"#!/bin/sh\n" + HONEST,
        "something behind": HONEST + b"\0",
        "a comment": HONEST[:-2] + struct.pack("<H", 22) + HONEST[-22:],
        "two archives, one behind the other": HONEST + HONEST,
        "a member that the directory hides": other
        + _patched(hidden, end, 16, struct.pack("<I", len(other) + hidden.index(entry))),
        "cut short": HONEST[:-30],
        "no archive": b"PK\x03\x04" + bytes(100),
        "nothing": b"",
    }


def _idx(shape: tuple[int, ...], content: bytes) -> bytes:
    return bytes((0, 0, 8, len(shape))) + struct.pack(f">{len(shape)}I", *shape) + content


def packed_pictures() -> dict[str, bytes]:
    """Return packed pictures of MNIST's format that are bombs or no GZIP."""
    honest = gzip.compress(_idx((2, 28, 28), bytes(2 * 784)))
    return {
        "4 GB of zeros, packed": gzip.compress(_idx((5_000_000, 28, 28), b""))
        + gzip.compress(bytes(64 << 20)),
        "64 MB of zeros, packed": gzip.compress(_idx((85_598, 28, 28), bytes(85_598 * 784))),
        "a thousand billion pictures": gzip.compress(_idx((1 << 31, 1 << 20, 1 << 20), bytes(100))),
        "more than it says": gzip.compress(_idx((2, 28, 28), bytes(60 << 20))),
        "less than it says": gzip.compress(_idx((20, 28, 28), bytes(9))),
        "packed and cut": honest[:-12],
        "packed with a wrong sum": honest[:-8] + bytes(8),
        "a ZIP that is called gz": HONEST,
    }


def attacks(folder: Path) -> dict[str, Attack]:
    """Return what checks and reads each of them."""
    found = {name: _checking(folder, content) for name, content in files().items()}
    return found | {name: _listing(folder, content) for name, content in packed_pictures().items()}


def _checking(folder: Path, content: bytes) -> Callable[[], Any]:
    path = folder / f"{hash(content):x}.zip"
    path.write_bytes(content)
    return lambda: archive.check(path, NAMES, TIMES)


def _listing(folder: Path, content: bytes) -> Callable[[], Any]:
    data = folder / f"{hash(content):x}"
    data.mkdir()
    (data / "train-images-idx3-ubyte.gz").write_bytes(content)
    (data / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(_idx((2,), b"\0\1")))
    return lambda: Idx().read(data)


def warm(folder: Path) -> None:
    """Check an honest archive."""
    (folder / "honest.zip").write_bytes(HONEST)
    if set(archive.check(folder / "honest.zip", NAMES)) != {"config.json", "model.weights.h5", "m/a"}:
        raise SystemExit("an honest archive is not read")
