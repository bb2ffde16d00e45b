"""Weights that a library has published, with their hash: from its cache, or downloaded into it."""

import hashlib
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from headstart.core.errors import UserError
from headstart.core.files import atomic_file
from headstart.core.progress import progress

_PIECE, _TIMEOUT_S = 1 << 20, 30


def fetched(base: str, folder: Path, published: Mapping[str, str], instead: str) -> Path:
    """Return the published file in ``folder``, downloaded where it isn't there.

    ``published`` has its ``file`` name, its ``address`` and its ``hash``, MD5 or SHA-256. Raises UserError
    where it can't be had or is not what was published; ``instead`` says what to do then.
    """
    if not published:
        raise UserError(f"no weights of {base} are published", "a model with weights", instead)
    file = folder / published["file"]
    if not file.is_file():
        try:
            _download(published["address"], file)
        except (urllib.error.URLError, OSError, ValueError) as error:
            raise UserError(
                f"the weights of {base} are not here and could not be downloaded ({type(error).__name__})",
                f"{published['file']} in {folder}",
                instead,
            ) from error
    if _differs(file, published["hash"]):
        raise UserError(f"{file} is not what was published", f"the hash {published['hash']}", "remove it")
    return file


def _download(address: str, file: Path) -> None:
    with urllib.request.urlopen(address, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - a library's own address
        total = int(answer.headers.get("Content-Length") or 0)
        with (
            atomic_file(file, total) as out,
            progress(total >> 20, f"Downloading {file.name}", "MB") as advance,
        ):
            while piece := answer.read(_PIECE):
                out.write(piece)
                advance(len(piece) >> 20)


def _differs(file: Path, expected: str) -> bool:
    if not expected:
        return False
    kind = "sha256" if len(expected) == 64 else "md5"
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, lambda: hashlib.new(kind, usedforsecurity=False))
    return digest.hexdigest() != expected
