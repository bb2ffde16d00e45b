"""Arrays out of other people's pickles, without running anything that a pickle names.

A pickle is a program. Only the names with which NumPy rebuilds an array are let through, and even
these are stand-ins of our own: NumPy's would take bytes for pointers if the pickle said so.
"""

import math
import pickle
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np

from headstart.core.errors import UserError

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
    ):
        raise pickle.UnpicklingError("it holds an array without plain bytes, type or shape")
    if len(content) != math.prod(shape) * dtype.dtype.itemsize:
        raise pickle.UnpicklingError("it holds an array whose bytes and shape disagree")
    return np.frombuffer(bytes(content), dtype.dtype).reshape(shape, order="F" if order == "F" else "C")


def _reconstruct(kind: Any, shape: Any, code: Any) -> _Array:
    if kind is not _Array:
        raise pickle.UnpicklingError("it holds an object that is no array")
    return _Array()


def _latin1_bytes(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it encodes text as {encoding}")
    return text.encode("latin1")


_STAND_INS = {"_reconstruct": _reconstruct, "ndarray": _Array, "dtype": _Dtype, "_frombuffer": _from_bytes}


# The unpickler in Python, not the one in C, whose memo is an array: eight bytes that store under a
# large index make that one take gigabytes.
class _ArraysOnly(pickle._Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        # Checked by exact pair: a dotted name would walk from an allowed module to any other.
        if module in _NAMES and name in _STAND_INS:
            return _STAND_INS[name]
        if (module, name) == ("_codecs", "encode"):  # how Python 3 writes bytes in protocol 2
            return _latin1_bytes
        raise pickle.UnpicklingError(f"it names {module}.{name}")


_DAMAGE = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, LookupError, struct.error),
    *(MemoryError, OverflowError, RecursionError, ImportError, AssertionError),
)


def load_arrays(path: Path) -> Any:
    """Read a pickle that holds only plain containers, numbers, strings and NumPy arrays.

    Strings written by Python 2 come back as bytes. Raises UserError where the file is damaged or
    names anything but arrays.
    """
    try:
        with path.open("rb") as file:
            return _unwrapped(_ArraysOnly(file, encoding="bytes").load())
    except _DAMAGE as error:
        raise UserError(
            f"{path} is not a pickle of arrays alone: {error}",
            "plain containers and NumPy arrays",
            "get the file again from its publisher, or save the data in another format",
        ) from error


def _unwrapped(value: Any) -> Any:
    """Return the containers with arrays in place of their stand-ins."""
    if isinstance(value, _Array):
        if value.value is None:
            raise pickle.UnpicklingError("it holds an array without content")
        return value.value
    if isinstance(value, dict):
        return {_unwrapped(key): _unwrapped(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_unwrapped(item) for item in value)
    if value is None or isinstance(value, bool | int | float | str | bytes | np.ndarray):
        return value
    raise pickle.UnpicklingError(f"it holds a {type(value).__name__}")
