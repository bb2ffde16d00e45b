"""The header of a safetensors file, checked before any library reads the file.

Eight bytes say how long the header is; the header is JSON, from a tensor's name to its type, shape and
place among the bytes that follow. Format: https://huggingface.co/docs/safetensors. The library accepts
a name twice, and takes half a minute and half a gigabyte for a header of 47 MB: such files are refused.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.core.errors import UserError

_LONGEST, _MOST = 8 << 20, 50_000
_SIZES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64"), 8),
}


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return each tensor's shape. Raises UserError where the file is damaged or asks for too much."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            first = file.read(8)
            length = int.from_bytes(first, "little")
            if len(first) < 8 or length > size - 8 or first.startswith(b"version "):
                raise _refusal(path, "no header's length in its first bytes")
            if length > _LONGEST:
                raise _refusal(path, f"a header of {length:,} bytes, more than {_LONGEST:,}")
            content = file.read(length)
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({(error.strerror or 'unreadable').lower()})",
            "a safetensors file",
            "get the file again",
        ) from error
    if content.count(b'"dtype"') > _MOST:
        raise _refusal(path, f"more than {_MOST:,} tensors")
    return _checked(path, _parsed(path, content), size - 8 - length)


def _parsed(path: Path, content: bytes) -> Mapping[str, Any]:
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
    return {name: entry for name, entry in header.items() if name != "__metadata__"}


def _checked(path: Path, header: Mapping[str, Any], data_bytes: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes. Raises UserError unless the tensors fill the data, one behind the other."""
    found: dict[str, tuple[int, ...]] = {}
    spans = []
    for name, entry in header.items():
        shape, span = _entry(path, name, entry)
        found[name] = shape
        spans.append((*span, name))
    end = 0
    for start, stop, name in sorted(spans):
        if start != end:
            raise _refusal(path, f"tensor {name!r} at byte {start:,}, where {end:,} comes next")
        end = stop
    if end != data_bytes:
        raise _refusal(path, f"{data_bytes:,} bytes of data, where its header tells of {end:,}")
    return found


def _entry(path: Path, name: str, entry: Any) -> tuple[tuple[int, ...], tuple[int, int]]:
    """Return a tensor's shape and its span. Raises UserError unless they agree."""
    try:
        shape, (start, stop) = tuple(entry["shape"]), entry["data_offsets"]
        whole = all(type(number) is int and number >= 0 for number in (*shape, start, stop))
        fits = whole and math.prod(shape) * _SIZES[entry["dtype"]] == stop - start
    except (KeyError, TypeError, ValueError):
        fits = False
    if not fits:
        raise _refusal(path, f"tensor {name!r:.60} of a type, shape and place that do not agree")
    return shape, (start, stop)


def _refusal(path: Path, what: str) -> UserError:
    return UserError(f"{path} has {what}", "a whole safetensors file", "get the file again")
