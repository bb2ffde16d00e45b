"""Arrays out of other people's pickles, without running anything that a pickle names.

A pickle is a program. Only the names with which NumPy rebuilds an array are let through, and even
these are stand-ins of our own: NumPy's would take bytes for pointers if the pickle said so.
"""

import math
import pickle
import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headstart.core.errors import UserError

_MOST_STEPS, _MOST_AXES, _LARGEST_KEY = 2_000_000, 64, 1 << 60
_STEPS = frozenset(
    getattr(pickle, name)[0]
    for name in (
        *("PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD"),
        *("NONE", "NEWTRUE", "NEWFALSE", "INT", "LONG", "LONG1", "LONG4", "BININT", "BININT1", "BININT2"),
        *("FLOAT", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE"),
        *("SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
        *("EMPTY_LIST", "LIST", "APPEND", "APPENDS", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
        *("EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"),
        *("GET", "BINGET", "LONG_BINGET"),
    )
)
"""What plain containers and arrays are written with: no other objects, no sets, no extensions."""
_PLAIN = re.compile(r"(bool|[biuf][1248]|f16|c8|c16|[SU]\d{1,4}|\?)")
_NAMES = frozenset({"numpy", "numpy.core.multiarray", "numpy._core.multiarray", "numpy._core.numeric"})


class _Dtype:
    """A scalar type by its code; no objects, no fields, no sub-arrays."""

    def __init__(self, code: Any, align: Any = False, copy: Any = False) -> None:
        text = code.decode("ascii") if isinstance(code, bytes) else code
        if not isinstance(text, str) or not _PLAIN.fullmatch(text):
            raise pickle.UnpicklingError(f"it holds values of type {text!r}")
        self.dtype = np.dtype(text)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order, subdtype, names, fields = state[1:5]
        if subdtype is not None or names is not None or fields is not None:
            raise pickle.UnpicklingError("it holds values of a compound type")
        if order in (">", b">"):
            self.dtype = self.dtype.newbyteorder(">")


class _Array:
    """An array that waits for its shape, type and bytes."""

    value: Any = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, content = state
        self.value = _from_bytes(content, dtype, shape, "F" if fortran else "C")


def _from_bytes(content: Any, dtype: Any, shape: Any, order: Any) -> Any:
    if (
        not isinstance(dtype, _Dtype)
        or not isinstance(content, bytes | bytearray)
        or not isinstance(shape, tuple)
        or len(shape) > _MOST_AXES
        or not all(type(side) is int and 0 <= side < 1 << 63 for side in shape)
    ):
        raise pickle.UnpicklingError("it holds an array without plain bytes, type or shape")
    if len(content) != math.prod(shape) * dtype.dtype.itemsize:
        raise pickle.UnpicklingError("it holds an array whose bytes and shape disagree")
    # Not copied: a pickle may name the same bytes any number of times.
    return np.frombuffer(content, dtype.dtype).reshape(shape, order="F" if order == "F" else "C")


def _reconstruct(kind: Any, shape: Any, code: Any) -> _Array:
    if kind is not _Array:
        raise pickle.UnpicklingError("it holds an object that is no array")
    return _Array()


_STAND_INS = {"_reconstruct": _reconstruct, "ndarray": _Array, "dtype": _Dtype, "_frombuffer": _from_bytes}


class _Steps(dict[int, Any]):
    """What each step of a pickle does, as often as a pickle may take steps."""

    def __init__(self, known: Any) -> None:
        super().__init__({code: known[code] for code in _STEPS})
        self.left = _MOST_STEPS

    def __getitem__(self, code: int) -> Any:
        self.left -= 1
        if self.left < 0:
            raise pickle.UnpicklingError(f"it takes more than {_MOST_STEPS:,} steps")
        return super().__getitem__(code)

    def __missing__(self, code: int) -> Any:
        raise pickle.UnpicklingError(f"it has a step {bytes([code])!r}, which no array needs")


# The unpickler in Python, not the one in C, whose memo is an array: eight bytes that store under a
# large index make that one take gigabytes.
class _ArraysOnly(pickle._Unpickler):
    stack: list[Any]
    metastack: list[Any]
    load_build: Any
    load_setitem: Any
    load_setitems: Any
    load_dict: Any

    def __init__(self, file: Any, most_bytes: int) -> None:
        super().__init__(file, encoding="bytes")
        self.left_bytes = most_bytes
        own = {
            pickle.BUILD[0]: _ArraysOnly.build,
            pickle.SETITEM[0]: _ArraysOnly.set_item,
            pickle.SETITEMS[0]: _ArraysOnly.set_items,
            pickle.DICT[0]: _ArraysOnly.new_dict,
        }
        self.dispatch = _Steps({**pickle._Unpickler.dispatch, **own})  # type: ignore[misc]

    def find_class(self, module: str, name: str) -> Any:
        # Checked by exact pair: a dotted name would walk from an allowed module to any other.
        if module in _NAMES and name in _STAND_INS:
            return _STAND_INS[name]
        if (module, name) == ("_codecs", "encode"):  # how Python 3 writes bytes in protocol 2
            return self.latin1_bytes
        raise pickle.UnpicklingError(f"it names {module}.{name}")

    def latin1_bytes(self, text: str, encoding: str) -> bytes:
        if encoding != "latin1" or not isinstance(text, str):
            raise pickle.UnpicklingError(f"it encodes text as {encoding}")
        self.left_bytes -= len(text)
        if self.left_bytes < 0:
            raise pickle.UnpicklingError("it encodes more text than it holds")
        return text.encode("latin1")

    def build(self) -> None:
        # On anything else it would set attributes: on our own functions too.
        if not isinstance(self.stack[-2], _Array | _Dtype):
            raise pickle.UnpicklingError("it gives a state to what has none")
        self.load_build()

    def set_item(self) -> None:
        _check_items(self.stack[-3], self.stack[-2:-1])
        self.load_setitem()

    def set_items(self) -> None:
        _check_items(self.metastack[-1][-1], self.stack[::2])
        self.load_setitems()

    def new_dict(self) -> None:
        _check_items({}, self.stack[::2])
        self.load_dict()


def _check_items(target: Any, keys: Sequence[Any]) -> None:
    if type(target) is not dict:
        raise pickle.UnpicklingError("it puts items into what is no dictionary")
    # The hash of a large number is its remainder: many of them could share one, and each would look at all.
    if not all(type(key) in (str, bytes) or (type(key) is int and -1 <= key < _LARGEST_KEY) for key in keys):
        raise pickle.UnpicklingError("it has keys that are neither names nor numbers")


DAMAGE = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, LookupError, struct.error),
    *(MemoryError, OverflowError, RecursionError, ImportError, AssertionError),
)
"""What reading a pickle raises where it is damaged, or does what it may not."""


def load_arrays(path: Path) -> Any:
    """Read a pickle that holds only plain containers, numbers, strings and NumPy arrays.

    Strings written by Python 2 come back as bytes. Raises UserError where the file is damaged or
    names anything but arrays.
    """
    try:
        with path.open("rb") as file:
            return _unwrapped(_ArraysOnly(file, path.stat().st_size).load(), {})
    except DAMAGE as error:
        raise UserError(
            f"{path} is not a pickle of arrays alone: {error}",
            "plain containers and NumPy arrays",
            "get the file again from its publisher, or save the data in another format",
        ) from error


def _unwrapped(value: Any, done: dict[int, Any]) -> Any:
    """Return the containers with arrays in place of their stand-ins, each once however often it is named."""
    if id(value) in done:
        return done[id(value)]
    if isinstance(value, _Array):
        if value.value is None:
            raise pickle.UnpicklingError("it holds an array without content")
        return value.value
    if isinstance(value, dict):
        found: Any = {_unwrapped(key, done): _unwrapped(item, done) for key, item in value.items()}
    elif isinstance(value, list | tuple):
        found = type(value)(_unwrapped(item, done) for item in value)
    elif value is None or isinstance(value, bool | int | float | str | bytes | np.ndarray):
        return value
    else:
        raise pickle.UnpicklingError(f"it holds a {type(value).__name__}")
    done[id(value)] = found
    return found
