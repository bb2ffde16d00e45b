"""Arrays out of other people's pickles, without running anything that a pickle names.

A pickle is a program. Only the three names that NumPy uses to rebuild an array are let through;
any other name, harmless or not, is refused before it is looked up.
"""

import importlib
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np

from headstart.core.errors import UserError

_ARRAY_NAMES = frozenset({"_reconstruct", "ndarray", "dtype", "_frombuffer"})
_ARRAY_MODULES = frozenset(
    {"numpy", "numpy.core.multiarray", "numpy._core.multiarray", "numpy._core.numeric"}
)


# The unpickler in Python, not the one in C, whose memo is an array: eight bytes that store under a
# large index make that one take gigabytes.
class _ArraysOnly(pickle._Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        # Checked by exact pair: a dotted name would walk from an allowed module to any other.
        if module in _ARRAY_MODULES and name in _ARRAY_NAMES:
            if module == "numpy":
                return getattr(np, name)
            return getattr(importlib.import_module(module.replace("numpy.core", "numpy._core")), name)
        if (module, name) == ("_codecs", "encode"):  # how Python 3 writes bytes in protocol 2
            return _latin1_bytes
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def _latin1_bytes(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it encodes text as {encoding}")
    return text.encode("latin1")


_DAMAGE = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, LookupError),
    *(MemoryError, OverflowError, RecursionError, ImportError, AssertionError, struct.error),
)


def load_arrays(path: Path) -> Any:
    """Read a pickle that holds only plain containers, numbers, strings and NumPy arrays.

    Strings written by Python 2 come back as bytes. Raises UserError where the file is damaged or
    names anything but arrays.
    """
    try:
        with path.open("rb") as file:
            return _ArraysOnly(file, encoding="bytes").load()
    except _DAMAGE as error:
        raise UserError(
            f"{path} is not a pickle of arrays alone: {error}",
            "plain containers and NumPy arrays",
            "get the file again from its publisher, or save the data in another format",
        ) from error
