"""``--offline``: while it holds, nothing that this thread runs can reach a network.

Libraries have their own variables for that, and code that comes with a model heeds none of them. So
connections are refused where Python announces all of them (PEP 578).
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

_REFUSED = frozenset({"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"})


class _Here(threading.local):
    depth = 0


_here = _Here()


class Offline(OSError):
    """A connection was refused: the user wants nothing fetched."""


@contextmanager
def nothing_fetched() -> Iterator[None]:
    """Refuse this thread's connections, socket files left out, with ``Offline`` until the block ends."""
    _watch()
    before = _here.depth
    _here.depth = before + 1
    try:
        yield
    finally:
        _here.depth = before


@cache  # a hook can be added to a process and never taken away
def _watch() -> None:
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event in _REFUSED and _here.depth and not _within_the_machine(event, arguments):
        raise Offline("nothing is fetched: --offline")


def _within_the_machine(event: str, arguments: tuple[object, ...]) -> bool:
    """Say whether a connection is to a socket file, whose address is text."""
    return event in ("socket.connect", "socket.sendto") and isinstance(arguments[-1], str | bytes)
