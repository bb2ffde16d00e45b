"""Telling from an error that memory was short."""

_WORDS = ("out of memory", "not enough memory", "bad_alloc", "can't allocate memory", "failed to allocate")


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error tells that memory was short: frameworks have no one class for that."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in _WORDS)
