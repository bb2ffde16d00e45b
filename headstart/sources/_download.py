"""Weights that a library has published, with their hash: from its cache, or downloaded into it."""

import http.client
import logging
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import IO

from headstart.core.errors import UserError, machine_error
from headstart.core.files import atomic_file
from headstart.core.offline import Offline
from headstart.core.progress import progress
from headstart.sources import _partial

_PIECE, _TIMEOUT_S = 1 << 20, 30
_UNSATISFIABLE = 416  # RFC 9110, 15.5.17

log = logging.getLogger(__name__)


def fetched(base: str, folder: Path, published: Mapping[str, str], instead: str) -> Path:
    """Return the published file in ``folder``, downloaded where it isn't there.

    ``published`` has its ``file`` name, its ``address`` and its ``hash``, MD5 or SHA-256, perhaps empty.
    Raises UserError where it can't be had or is not what was published; ``instead`` says what to do then.
    """
    if not published:
        raise UserError(f"no weights of {base} are published", "a model with weights", instead)
    file = folder / published["file"]
    if not file.is_file():
        try:
            _put(file, published["hash"], partial(_download, published["address"], file.name))
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise UserError(
                f"the weights of {base} are not here and could not be downloaded ({_why(error)})",
                f"{published['file']} in {folder}",
                instead,
            ) from error
    if published["hash"] and _partial.differs(file, published["hash"]):
        raise UserError(f"{file} is not what was published", f"the hash {published['hash']}", "remove it")
    return file


def _put(file: Path, expected: str, write: Callable[[IO[bytes]], None]) -> None:
    """Write a file whole; without a hash nothing tells that what is left of one belongs to it."""
    if expected:
        _partial.complete(file, expected, file.name, write)
        return
    with tempfile.TemporaryFile() as whole:  # what the network refuses is no fault of this machine
        write(whole)
        whole.seek(0)
        with atomic_file(file) as out:
            shutil.copyfileobj(whole, out)


def _why(error: BaseException) -> str:
    """Return in a few words why something could not be downloaded."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, Offline):
        return "--offline"
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answers {error.code}"
    return type(reason).__name__ if isinstance(reason, BaseException) else str(reason)


def _download(address: str, name: str, out: IO[bytes]) -> None:
    """Add what a file lacks of what an address gives; while any of it comes, a lost connection is made anew.

    Raises OSError or HTTPException where nothing comes.
    """
    while True:
        before = out.tell()
        try:
            if _received(address, name, out):
                return
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, urllib.error.HTTPError) and error.code == _UNSATISFIABLE and before:
                out.truncate(out.seek(0))  # it has more bytes than there are
                continue
            if out.tell() <= before:
                raise
        log.info("%s: the connection was lost after %s bytes, going on", name, f"{out.tell():,}")


def _received(address: str, name: str, out: IO[bytes]) -> bool:
    """Add what comes over one connection; return whether that was all."""
    asked = urllib.request.Request(address)  # noqa: S310 - a library's own address
    if out.tell():
        asked.add_header("Range", f"bytes={out.tell()}-")
    with urllib.request.urlopen(asked, timeout=_TIMEOUT_S) as answer:  # noqa: S310
        if answer.status != http.client.PARTIAL_CONTENT:
            out.truncate(out.seek(0))
        total = out.tell() + int(answer.headers.get("Content-Length") or 0)
        with progress(total >> 20, f"Downloading {name}", "MB") as advance:
            advance(out.tell() >> 20)
            advance(0)
            while piece := answer.read(_PIECE):
                _write(out, piece, total)
                advance(len(piece) >> 20)
    return out.tell() >= total


def _write(out: IO[bytes], piece: bytes, total: int) -> None:
    """Write a piece. Raises MachineError, with the bytes needed, where the machine refuses."""
    try:
        out.write(piece)
    except OSError as error:
        raise machine_error(error, f"Writing {out.name}", total) from error
