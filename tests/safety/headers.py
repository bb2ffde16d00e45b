"""Safetensors files whose headers lie, and such as change while they are read."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from headstart.core import tensor_file
from tests.safety.attacks import Attack

GOOD = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
HONEST = save({"a": np.zeros((300, 400), np.float32), "b": np.ones(5, np.int64)})


def file(header: object, data: bytes = bytes(8), length: int | None = None) -> bytes:
    """Return a file of a header, as JSON or as it is, and data."""
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(content) if length is None else length).to_bytes(8, "little") + content + data


def one(**changes: Any) -> bytes:
    """Return a file of one tensor, changed."""
    return file({"a": {**GOOD, **changes}})


def _entries(count: int, entry: str) -> bytes:
    return file(b"{" + b",".join(f'"{place}":{entry}'.encode() for place in range(count)) + b"}")


def files() -> dict[str, bytes]:
    """Return all of them by name."""
    entry = json.dumps(GOOD)
    inner = '{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
    return {
        "a name twice": file(f'{{"a":{entry},"a":{entry}}}'.encode()),
        "a name twice, once escaped": file(f'{{"a":{entry},"\\u0061":{entry}}}'.encode()),
        "a field twice": file(b'{"a":{"dtype":"F32","dtype":"F64","shape":[2],"data_offsets":[0,8]}}'),
        "two in one place": file({"a": GOOD, "b": GOOD}),
        "half over another": file({"a": GOOD, "b": {**GOOD, "data_offsets": [4, 12]}}, bytes(12)),
        "a hole before": one(shape=[1], data_offsets=[4, 8]),
        "a hole between": file({"a": GOOD, "b": {**GOOD, "data_offsets": [16, 24]}}, bytes(24)),
        "data that nobody names": one(shape=[1], data_offsets=[0, 4]),
        "data that is not there": one(shape=[4], data_offsets=[0, 16]),
        "data behind the file": one(data_offsets=[1 << 40, (1 << 40) + 8]),
        "offsets the wrong way round": one(data_offsets=[8, 0]),
        "negative offsets": one(data_offsets=[-8, 0]),
        "an offset of 2 to the 64": one(data_offsets=[1 << 64, (1 << 64) + 8]),
        "offsets that are fractions": one(data_offsets=[0.0, 8.0]),
        "offsets that are true": one(shape=[], dtype="U8", data_offsets=[False, True]),
        "three offsets": one(data_offsets=[0, 8, 8]),
        "a shape that is too large": one(shape=[3]),
        "a shape whose product overflows": one(shape=[1 << 32, 1 << 32, 2]),
        "a shape whose product overflows to 2": one(shape=[(1 << 63) + 1, 2]),
        "a negative shape": one(shape=[-1, -2]),
        "a shape that is text": one(shape="22"),
        "a shape of a thousand axes": one(shape=[1] * 1_000 + [2]),
        "a shape of numbers of a kilobyte": one(shape=[10**900, 0], data_offsets=[0, 0]),
        "a type that nobody knows": one(dtype="F33"),
        "a type that is a list": one(dtype=["F32"]),
        "a field too many": one(pickle="cos\nsystem\n"),
        "a field too few": file({"a": {"dtype": "F32", "shape": [2]}}),
        "an entry that is a number": file({"a": 5}),
        "metadata that is no text": file({"__metadata__": {"a": {"b": 1}}, "a": GOOD}),
        "metadata that is a list": file({"__metadata__": [1], "a": GOOD}),
        "a header that is a list": file([GOOD]),
        "a header that is no UTF-8": file(b'{"\xff":' + entry.encode() + b"}"),
        "a header that is no JSON": file(b"{'a': 1}"),
        "a header in which nothing is": file(b"", b"", 0),
        "zeros behind the header": file(json.dumps({"a": GOOD}).encode() + b"\0" * 9),
        "a header of 2 to the 63": file({"a": GOOD}, length=1 << 63),
        "a header of 2 to the 64 less one": file({"a": GOOD}, length=(1 << 64) - 1),
        "a header one byte longer than the file": file(b"{}", b"", 3),
        "a header of 47 MB": file(b"{" + b" " * (47 << 20)),
        "700,000 tensors": file(b'{"a":' + f"{inner},".encode() * 100_000 + b"}"),
        "60,000 tensors": _entries(60_000, inner),
        "a million numbers": file(b'{"a":[' + b"0," * 1_000_000 + b"0]}"),
        "a million names": _entries(600_000, "0"),
        "as many lists as are let through": file(b'{"a":[' + b"[]," * 49_000 + b"0]}"),
        "as many names as are let through": _entries(99_000, "0"),
        "a number of a megabyte": file(b'{"a":' + b"9" * (1 << 20) + b"}"),
        "objects 100,000 deep": file(b'{"a":' * 100_000),
        "lists 90,000 deep": file(b"[" * 90_000),
        "an empty file": b"",
        "seven bytes": b"\x02\0\0\0\0\0\0",
        "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        "a pickle": b"\x80\x02cos\nsystem\n(X\x04\x00\x00\x00truetR.",
        "cut in its header": HONEST[:40],
        "cut in its data": HONEST[:-1],
        "a byte too many": HONEST + b"\0",
        "twice": HONEST + HONEST,
    }


def attacks(folder: Path) -> dict[str, Attack]:
    """Return what reads each of them whole, and files that change or are none."""
    found = {name: _reading(folder, content) for name, content in files().items()}
    return {
        **found,
        "shrinks while it is read": _changing(folder, lambda path: os.truncate(path, len(HONEST) - 8)),
        "emptied while it is read": _changing(folder, lambda path: os.truncate(path, 0)),
        "a folder": lambda: tensor_file.load(folder),
        "nothing there": lambda: tensor_file.load(folder / "nothing"),
    }


def _reading(folder: Path, content: bytes) -> Attack:
    path = folder / f"{hash(content):x}.safetensors"
    path.write_bytes(content)
    return lambda: tensor_file.load(path)


def _changing(folder: Path, change: Callable[[Path], None]) -> Attack:
    path = folder / "changing.safetensors"

    def read() -> Any:
        path.write_bytes(HONEST)
        checked = tensor_file._checked

        def between(*given: Any) -> Any:
            found = checked(*given)
            change(path)
            return found

        tensor_file._checked = between
        return tensor_file.load(path)

    return read


def warm(folder: Path) -> None:
    """Read an honest file."""
    (folder / "honest.safetensors").write_bytes(HONEST)
    tensor_file.load(folder / "honest.safetensors")
