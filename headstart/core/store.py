"""The feature store: what a frozen trunk computed once, kept by the digest of its input.

    root/<key>/table.json     what the rows are, with a checksum; <key> names the trunk function
    root/<key>/lock           shared by whoever has the table open, exclusive to who prunes it;
                              its modification time says when the table was last opened
    root/<key>/<uuid>.seg     rows, appended a file at a time (``core.segment``)

Any number of processes may read and append at the same time. Segments never change, so nothing but
pruning, and clearing up after killed writers, needs a lock.
"""

import fcntl
import json
import math
import os
import re
import shutil
import time
import uuid
import zlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from headstart.core.errors import MachineError, UserError, machine_error
from headstart.core.files import home, write_json
from headstart.core.segment import SUFFIX, count_rows
from headstart.core.table import Columns, Table

_STALE_S = 3600.0
_DESCRIPTION = "table.json"
_REMOVED = ".removed-"
_TRIES = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class TableUsage:
    """What one table takes: ``bytes`` on disk, ``rows`` as its segments say, ``last_used`` in Unix s."""

    key: str
    about: Mapping[str, Any]
    bytes: int
    rows: int
    last_used: float


class Store:
    """All tables under one folder, least recently used pruned first once they pass ``cap_bytes``."""

    def __init__(self, root: Path, cap_bytes: int) -> None:
        self.root, self.cap_bytes = root, cap_bytes

    @classmethod
    def default(cls) -> Self:
        """Return the user's store, capped at ``$HEADSTART_CACHE_GB`` (10⁹ bytes each, default 20).

        Raises UserError where that is not a number of gigabytes.
        """
        said = os.environ.get("HEADSTART_CACHE_GB", "20")
        try:
            cap = float(said)
        except ValueError:
            cap = math.nan
        if not 0 <= cap < math.inf:
            raise UserError(
                f"HEADSTART_CACHE_GB is {said!r}",
                "a number of gigabytes, 0 or more",
                "set it as in HEADSTART_CACHE_GB=20, or unset it",
            )
        return cls(home() / "features", int(cap * 1e9))

    def table(self, key: str) -> Table | None:
        """Open the table ``key`` (hexadecimal), or return None where there is none that can be read.

        Raises ValueError on a wrong key, MachineError where the machine refuses.
        """
        folder = self._folder(key)
        if not folder.is_dir():
            return None
        lock = _share(folder)
        with ExitStack() as closing:  # unless the table takes it
            closing.callback(lock.close)
            described = _read_description(folder)
            if described is None:
                return None
            table = Table(folder, lock, *described)
            closing.pop_all()
        return table

    def create(self, key: str, columns: Sequence[tuple[str, int, int]], about: Mapping[str, Any]) -> Table:
        """Open the table ``key`` (hexadecimal), made where it is not there yet; racing is harmless.

        ``columns`` name groups of features; ``about`` is JSON for people, the first maker's stays.
        Raises ValueError on a wrong key or where the table has other columns, MachineError where
        the machine refuses.
        """
        folder = self._folder(key)
        wanted: Columns = tuple((str(name), int(start), int(stop)) for name, start, stop in columns)
        if not wanted or not all(0 <= start < stop for _, start, stop in wanted):
            raise ValueError(f"columns {wanted} are empty or reversed")
        lock = _share(folder)
        with ExitStack() as closing:  # unless the table takes it
            closing.callback(lock.close)
            found, was_there = _read_description(folder), (folder / _DESCRIPTION).exists()
            described = found or _write_description(folder, wanted, about)
            if described[0] != wanted:
                raise ValueError(f"table {key} has columns {described[0]}; expected {wanted}")
            table = Table(folder, lock, *described)
            closing.pop_all()
        if found is None and was_there:
            table.repairs.append(f"{folder / _DESCRIPTION}: it was damaged; it is written anew.")
        return table

    def usage(self) -> list[TableUsage]:
        """Return what each table takes, least recently used first. Raises MachineError."""
        folders = [path for path in self._paths() if not path.name.startswith(".")]
        measured = [usage for folder in folders if (usage := _usage(folder)) is not None]
        return sorted(measured, key=lambda usage: usage.last_used)

    def prune(self, max_bytes: int) -> list[TableUsage]:
        """Remove least recently used tables until the rest takes ``max_bytes`` or less; return the removed.

        A table that any process has open stays. Raises MachineError where the machine refuses.
        """
        for leftover in self._paths():
            if leftover.name.startswith(_REMOVED):
                shutil.rmtree(leftover, ignore_errors=True)
        tables = self.usage()
        total, removed = sum(table.bytes for table in tables), []
        for table in tables:
            if total <= max_bytes:
                break
            if _remove(self.root / table.key):
                total -= table.bytes
                removed.append(table)
        return removed

    def enforce_cap(self) -> list[TableUsage]:
        """Prune to ``cap_bytes``; return what was removed. Raises MachineError."""
        return self.prune(self.cap_bytes)

    def _folder(self, key: str) -> Path:
        if not re.fullmatch(r"[0-9a-f]{8,128}", key):
            raise ValueError(f"key {key!r} is not 8 to 128 hexadecimal digits")
        return self.root / key

    def _paths(self) -> list[Path]:
        return sorted(path for path in self.root.glob("*") if path.is_dir())


def _share(folder: Path) -> IO[bytes]:
    """Lock a table as one of its users, made where it is missing, cleared of what killed writers left."""
    try:
        for _ in range(_TRIES):
            folder.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                lock = (folder / "lock").open("ab")
                if _settle(lock, folder):
                    return lock
    except OSError as error:
        raise machine_error(error, "Opening the feature table") from error
    raise MachineError(f"Opening the feature table {str(folder)!r} failed: it is pruned again and again.")


def _settle(lock: IO[bytes], folder: Path) -> bool:
    """Turn an open lock file into a shared lock on its table; close it where the table was pruned."""
    with ExitStack() as closing:  # unless it is the table's own
        closing.callback(lock.close)
        alone = _try_exclusive(lock)
        # Held exclusively, the table cannot be pruned between this look and the clearing.
        if _is_current(lock, folder):
            _clear_partials(folder, alone)
        fcntl.flock(lock, fcntl.LOCK_SH)
        # Going from exclusive to shared is not atomic: the table may have been pruned in between.
        if not _is_current(lock, folder):
            return False
        os.utime(lock.fileno())
        closing.pop_all()
    return True


def _try_exclusive(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_current(lock: IO[bytes], folder: Path) -> bool:
    """Say whether the lock is still the one at its path: the folder may have been pruned meanwhile."""
    try:
        return os.path.samestat(os.fstat(lock.fileno()), (folder / "lock").stat())
    except FileNotFoundError:
        return False


def _clear_partials(folder: Path, alone: bool) -> None:
    """Remove half-written files whose writer is gone.

    Writers have the table open, so who is ``alone`` with it sees only leftovers. Others go by the
    writer's lock on the file, which it holds all but an instant at either end, hence the age.
    """
    for path in folder.glob(".partial-*"):
        with suppress(FileNotFoundError), path.open("rb") as file:
            stale = time.time() - os.fstat(file.fileno()).st_mtime > _STALE_S
            if alone or (stale and _try_exclusive(file)):
                path.unlink()


def _remove(folder: Path) -> bool:
    """Remove a table nobody has open, in one step as seen by others; say whether it was removed."""
    removed = folder.with_name(f"{_REMOVED}{uuid.uuid4().hex}")
    try:
        with (folder / "lock").open("ab") as lock:
            if not _try_exclusive(lock) or not _is_current(lock, folder):
                return False
            folder.rename(removed)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise machine_error(error, "Removing the feature table") from error
    shutil.rmtree(removed, ignore_errors=True)
    return True


def _usage(folder: Path) -> TableUsage | None:
    size, rows = 0, 0
    try:
        for entry in os.scandir(folder):
            with suppress(FileNotFoundError):
                size += entry.stat().st_size
                rows += count_rows(Path(entry.path)) if entry.name.endswith(SUFFIX) else 0
        lock = folder / "lock"
        last_used = (lock if lock.exists() else folder).stat().st_mtime
    except FileNotFoundError:
        return None
    except OSError as error:
        raise machine_error(error, "Measuring the feature table") from error
    described = _read_description(folder)
    about = described[1] if described else {}
    return TableUsage(key=folder.name, about=about, bytes=size, rows=rows, last_used=last_used)


def _read_description(folder: Path) -> tuple[Columns, Mapping[str, Any]] | None:
    """Return columns and about, or None where the file is missing or fails its checksum."""
    try:
        content = json.loads((folder / _DESCRIPTION).read_bytes())
        if content.pop("crc32") != _checksum(content):
            return None
        columns = tuple((str(name), int(start), int(stop)) for name, start, stop in content["columns"])
        return columns, content["about"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    except OSError as error:
        raise machine_error(error, "Reading") from error


def _write_description(
    folder: Path, columns: Columns, about: Mapping[str, Any]
) -> tuple[Columns, Mapping[str, Any]]:
    # Through JSON and back, so that the checksum is of what a reader will see.
    content = json.loads(json.dumps({"columns": columns, "about": dict(about)}))
    write_json(folder / _DESCRIPTION, content | {"crc32": _checksum(content)})
    return columns, content["about"]


def _checksum(content: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())
