"""Downloads that go on where a killed one ended, and are there whole or not at all.

What there is of one lies beside its target, under the hash it is to have: nothing else is ever added to it.
"""

import fcntl
import hashlib
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from headstart.core.errors import UserError
from headstart.core.files import sync_folder

log = logging.getLogger(__name__)


def complete(target: Path, expected: str, label: str, write: Callable[[IO[bytes]], None]) -> None:
    """Let ``write`` add what is lacking to what there is of a file, which then becomes ``target``.

    ``expected`` is its MD5 or SHA-256, ``label`` what it is called. Who wants the same file waits for the
    first. Raises UserError where another hash comes out, and removes what there is; where ``write`` fails,
    that stays for the next time.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{expected}.partial")
    with _alone(partial, target) as file:
        if file is None:
            return
        if file.tell():
            log.info("%s: going on after the first %s bytes", label, f"{file.tell():,}")
        if _digest(file, expected) != expected:
            write(file)
        found = _digest(file, expected)
        if found != expected:
            partial.unlink()
            raise UserError(
                f"{label} was not fetched as it is (its hash is {found[:12]})",
                f"{expected[:12]}, as was published",
                "try again; the damaged file is removed",
            )
        os.fsync(file.fileno())
        os.replace(partial, target)
    sync_folder(target.parent)


def differs(path: Path, expected: str) -> bool:
    """Say whether a file has another hash, MD5 or SHA-256."""
    with path.open("rb") as file:
        return _digest(file, expected) != expected


@contextmanager
def _alone(partial: Path, target: Path) -> Iterator[IO[bytes] | None]:
    """Yield a file at its end, for this process alone; None where another has made ``target`` meanwhile."""
    while True:
        with open(os.open(partial, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if target.is_file():
                yield None
                return
            if partial.exists() and os.path.samestat(os.fstat(file.fileno()), partial.stat()):
                file.seek(0, os.SEEK_END)
                yield file
                return


def _digest(file: IO[bytes], expected: str) -> str:
    """Return a file's digest of the kind that ``expected`` is; the file is left at its end."""
    file.seek(0)
    kind = "sha256" if len(expected) == 64 else "md5"
    return hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()  # type: ignore[arg-type]
