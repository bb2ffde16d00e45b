"""Safetensors files: the header checked, the tensors read; and written without holding them twice.

Eight bytes say how long the header is; the header is JSON, from a tensor's name to its type, shape and
place among the bytes that follow. Format: https://huggingface.co/docs/safetensors. The library accepts
a name twice, and takes half a minute and half a gigabyte for a header of 47 MB: such files are refused.
It maps files into memory, where one that shrinks meanwhile ends the process: here they are read.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from headstart.core.errors import UserError

Array: TypeAlias = NDArray[Any]
Tensors: TypeAlias = dict[str, tuple[str, tuple[int, ...]]]
"""Each tensor's type and shape, in the order of their bytes."""

_LONGEST, _MOST = 8 << 20, 50_000
_PARTS, _PARTS_BESIDE = 16, 100_000  # a tensor's; those of metadata, which may be long texts
_SIZES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64"), 8),
}
_NUMPY: Mapping[str, Any] = {
    **{"BOOL": np.bool_, "F16": np.float16, "F32": np.float32, "F64": np.float64},
    **{"U8": np.uint8, "U16": np.uint16, "U32": np.uint32, "U64": np.uint64},
    **{"I8": np.int8, "I16": np.int16, "I32": np.int32, "I64": np.int64},
    **{"BF16": np.uint16, "F8_E4M3": np.uint8, "F8_E5M2": np.uint8},
}
_TYPES = {np.dtype(kind): name for name, kind in _NUMPY.items() if name not in ("BF16", "F8_E4M3", "F8_E5M2")}
_FIELDS, _MOST_AXES = {"dtype", "shape", "data_offsets"}, 64


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return each tensor's shape. Raises UserError where the file is damaged or asks for too much."""
    with _opened(path) as file:
        return {name: shape for name, (_, shape) in _header(path, file).items()}


def load(path: Path) -> dict[str, tuple[str, Array]]:
    """Return each tensor's type, as safetensors names it, and its values.

    Where NumPy lacks the type (BF16, F8_E4M3, F8_E5M2), they are its bits as unsigned numbers. Raises
    UserError as ``shapes`` does.
    """
    found = {}
    with _opened(path) as file:
        for name, (kind, shape) in _header(path, file).items():
            values = np.empty(shape, _NUMPY[kind])
            if values.nbytes and file.readinto(values.reshape(-1).view(np.uint8).data) < values.nbytes:
                raise _refusal(path, "fewer bytes than when it was opened")
            found[name] = (kind, values)
    return found


def load_arrays(path: Path) -> dict[str, Array]:
    """Return the tensors of a file that headstart wrote. Raises UserError, also for types NumPy lacks."""
    found = load(path)
    unknown = [kind for kind, array in found.values() if kind.startswith(("BF", "F8"))]
    if unknown:
        raise _refusal(path, f"tensors of type {unknown[0]}")
    return {name: array for name, (_, array) in found.items()}


def about(path: Path) -> dict[str, str]:
    """Return what the file says of itself beside its tensors. Raises UserError as ``shapes`` does."""
    with _opened(path) as file:
        return _both(path, file)[0]


def write(file: IO[bytes], arrays: Mapping[str, Array]) -> str:
    """Write arrays as a safetensors file, one after the other and none of them copied; return its SHA-256."""
    whole = {name: np.require(array, requirements="C") for name, array in arrays.items()}
    header, end = dict[str, Any](), 0
    for name, array in whole.items():
        span = [end, end := end + array.nbytes]
        header[name] = {"dtype": _TYPES[array.dtype], "shape": array.shape, "data_offsets": span}
    said = json.dumps(header).encode()
    said += b" " * (-len(said) % 8)
    digest = hashlib.sha256()
    values: Iterator[Any] = (one.reshape(-1).view(np.uint8).data for one in whole.values())
    for piece in (len(said).to_bytes(8, "little"), said, *values):
        file.write(piece)
        digest.update(piece)
    return digest.hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({(error.strerror or 'unreadable').lower()})",
            "a safetensors file",
            "get the file again",
        ) from error


def _header(path: Path, file: BufferedReader) -> Tensors:
    return _both(path, file)[1]


def _both(path: Path, file: BufferedReader) -> tuple[dict[str, str], Tensors]:
    """Return what the file says of itself, and its tensors; the file is left where their bytes begin."""
    size = os.fstat(file.fileno()).st_size
    first = file.read(8)
    length = int.from_bytes(first, "little")
    if len(first) < 8 or length > size - 8 or first.startswith(b"version "):
        raise _refusal(path, "no header's length in its first bytes")
    if length > _LONGEST:
        raise _refusal(path, f"a header of {length:,} bytes, more than {_LONGEST:,}")
    content = file.read(length)
    tensors = content.count(b'"dtype"')
    if tensors > _MOST:
        raise _refusal(path, f"more than {_MOST:,} tensors")
    # Objects take far more memory than the bytes they are written in.
    if sum(map(content.count, (b"[", b"{", b","))) > _PARTS * tensors + _PARTS_BESIDE:
        raise _refusal(path, "a header of more parts than its tensors need")
    header = _parsed(path, content)
    said = header.pop("__metadata__", {})
    if not isinstance(said, dict) or not all(isinstance(value, str) for value in said.values()):
        raise _refusal(path, "metadata that is no text by name")
    return said, _checked(path, header, size - 8 - length)


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a name twice")
        return found

    try:
        header = json.loads(content.decode(), object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise _refusal(path, f"a header that is no JSON ({error})") from None
    if not isinstance(header, dict):
        raise _refusal(path, "a header that is no object")
    return header


def _checked(path: Path, header: Mapping[str, Any], data_bytes: int) -> Tensors:
    """Return types and shapes in order. Raises UserError unless the tensors fill the data, one by one."""
    found = {name: _entry(path, name, entry) for name, entry in header.items()}
    spans = sorted((*span, name) for name, (_, span) in found.items())
    end = 0
    for start, stop, name in spans:
        if start != end:
            raise _refusal(path, f"tensor {name!r} at byte {start:,}, where {end:,} comes next")
        end = stop
    if end != data_bytes:
        raise _refusal(path, f"{data_bytes:,} bytes of data, where its header tells of {end:,}")
    return {name: (header[name]["dtype"], found[name][0]) for _, _, name in spans}


def _entry(path: Path, name: str, entry: Any) -> tuple[tuple[int, ...], tuple[int, int]]:
    """Return a tensor's shape and its span. Raises UserError unless they agree."""
    try:
        shape, (start, stop) = tuple(entry["shape"]), entry["data_offsets"]
        whole = entry.keys() == _FIELDS and len(shape) <= _MOST_AXES
        whole = whole and all(
            type(number) is int and 0 <= number < 1 << 63 for number in (*shape, start, stop)
        )
        fits = whole and math.prod(shape) * _SIZES[entry["dtype"]] == stop - start
    except (KeyError, TypeError, ValueError, AttributeError):
        fits = False
    if not fits:
        raise _refusal(path, f"tensor {name!r:.60} of a type, shape and place that do not agree")
    return shape, (start, stop)


def _refusal(path: Path, what: str) -> UserError:
    return UserError(f"{path} has {what}", "a whole safetensors file", "get the file again")
