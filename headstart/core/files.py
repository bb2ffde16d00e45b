"""Files that are whole or absent: written beside their target, fsynced, renamed."""

import errno
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from headstart.core.errors import UserError, machine_error

_LARGEST_JSON = 64 << 20


def home() -> Path:
    """Return headstart's cache folder: ``$HEADSTART_HOME``, else ``~/.cache/headstart``."""
    named = os.environ.get("HEADSTART_HOME")
    return Path(named) if named else Path.home() / ".cache" / "headstart"


def digest_bytes(*parts: bytes) -> str:
    """Return the SHA-256 of the parts, in hexadecimal."""
    hasher = hashlib.sha256()
    for part in parts:
        hasher.update(part)
    return hasher.hexdigest()


def short_digest(content: bytes) -> bytes:
    """Return the first 16 bytes of a SHA-256: enough to tell apart what lies in one data set."""
    return hashlib.sha256(content).digest()[:16]


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_json(value: Any) -> str:
    """Return the SHA-256 of a JSON value in its canonical form."""
    return digest_bytes(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())


def sync_folder(folder: Path) -> None:
    """Make a rename inside ``folder`` survive a power cut."""
    _sync(folder)


def sync_tree(folder: Path) -> None:
    """Make everything below ``folder`` survive a power cut, files before the folders that name them."""
    for inner, _, files in os.walk(folder, topdown=False):
        for name in files:
            _sync(Path(inner, name))
        _sync(Path(inner))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        error.filename = str(path)  # of a handle the operating system names none
        raise
    finally:
        os.close(handle)


@contextmanager
def atomic_file(path: Path, needed_bytes: int | None = None) -> Iterator[IO[bytes]]:
    """Open ``path`` for writing so that it appears whole or not at all.

    Raises MachineError, with the path and the bytes needed, where the machine refuses.
    """
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".partial-")
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files for the owner alone; what we publish follows the usual umask.
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        temporary = ""
        sync_folder(path.parent)
    except OSError as error:
        error.filename = error.filename or str(path)
        raise machine_error(error, "Writing", needed_bytes) from error
    finally:
        if temporary:
            with suppress(OSError):  # a disk that refuses may refuse this too
                os.unlink(temporary)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON value atomically, indented for people, keys in the given order."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    with atomic_file(path, len(text)) as file:
        file.write(text.encode())


def read_bounded(path: Path, most_bytes: int = _LARGEST_JSON) -> bytes:
    """Return somebody's file. Raises OSError where it is none, or larger than ``most_bytes``.

    What is no regular file is not read: a pipe would wait for ever, a device has no end.
    """
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "no regular file", str(path))
        if about.st_size > most_bytes:
            raise OSError(errno.EFBIG, f"larger than {most_bytes:,} bytes", str(path))
        return file.read(most_bytes)


def read_json(path: Path, expected: str) -> dict[str, Any]:
    """Return the JSON object in somebody's file. Raises UserError where it has none, or over 64 MiB."""
    content = _json(path, expected)
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no JSON object", expected, "check the file")
    return content


def read_json_list(path: Path, expected: str) -> list[Any]:
    """Return the JSON array in somebody's file. Raises UserError where it has none."""
    content = _json(path, expected)
    if not isinstance(content, list):
        raise UserError(f"{path} holds no JSON array", expected, "check the file")
    return content


def _json(path: Path, expected: str) -> object:
    try:
        return json.loads(read_bounded(path).decode("utf-8-sig"))  # editors on Windows mark UTF-8
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read", expected, "check the path") from error


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes atomically."""
    with atomic_file(path, len(content)) as file:
        file.write(content)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
