"""Telling from an error that memory was short; giving back what is free."""

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_WORDS = (
    *("out of memory", "not enough memory", "bad_alloc", "failed to allocate", "could not allocate"),
    *("can't allocate memory", "cannot allocate memory"),
)


class OutOfMemory(Exception):
    """Memory was short: less at once may do."""


@contextmanager
def memory_watched() -> Iterator[None]:
    """Raise OutOfMemory where memory is short: frameworks have no one class for that. All else passes."""
    try:
        yield
    except Exception as error:
        if isinstance(error, MemoryError) or any(words in str(error).lower() for words in _WORDS):
            raise OutOfMemory from error
        raise


def give_back() -> None:
    """Collect what nothing refers to, and give free memory back to the system where the C library can.

    glibc keeps pages between blocks that are in use; what another thread has freed, no other one takes.
    """
    gc.collect()
    with suppress(OSError, AttributeError):  # other C libraries, other systems
        ctypes.CDLL(None).malloc_trim(0)
