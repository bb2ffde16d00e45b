"""Telling from an error that memory was short."""

from collections.abc import Iterator
from contextlib import contextmanager

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
