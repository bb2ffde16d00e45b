"""Telling from an error that memory was short."""

_WORDS = (
    *("out of memory", "not enough memory", "bad_alloc", "failed to allocate", "could not allocate"),
    *("can't allocate memory", "cannot allocate memory"),
)


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error tells that memory was short: frameworks have no one class for that."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in _WORDS)
