"""A run is a folder that appears whole: written beside its place, then renamed.

run.json, model/, evaluation.json, examples.safetensors, split.json, report.html, log.jsonl, looks.jsonl:
JSON and safetensors, nothing pickled.
"""

import errno
import fcntl
import json
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from headstart.core.errors import MachineError, UserError, machine_error
from headstart.core.files import read_bounded, sync_folder, sync_tree

_APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK

_RELIED_ON = {"task": str, "base": str, "strategy": str, "command": str, "split": dict, "spec": dict}
"""What commands read of ``run.json``, and what it has to be."""


@contextmanager
def claim(run: Path) -> Iterator[Path]:
    """Yield a folder to fill that becomes ``run`` when the block ends well, and vanishes otherwise.

    Raises UserError where another process is writing the same run or something else is there, and
    MachineError where the machine refuses.
    """
    if run.exists():
        raise UserError(
            f"{run} exists already", "a run folder that does not exist yet", "give another --out or remove it"
        )
    staging = run.with_name(f".{run.name}.partial")
    lock = _lock_of(run)
    with ExitStack() as cleanup:
        with _refusals("Making the run folder"):
            run.parent.mkdir(parents=True, exist_ok=True)
            file = cleanup.enter_context(lock.open("w"))
            _lock(file.fileno(), lock, run)
            cleanup.callback(_unlink, lock)
            shutil.rmtree(staging, ignore_errors=True)  # what a killed process left
            staging.mkdir()
            cleanup.callback(shutil.rmtree, staging, ignore_errors=True)
        yield staging
        with _refusals("Publishing the run"):
            sync_tree(staging)
            os.rename(staging, run)
            sync_folder(run.parent)


@contextmanager
def _refusals(doing: str) -> Iterator[None]:
    """Turn what the operating system refuses into a MachineError."""
    try:
        yield
    except OSError as error:
        raise machine_error(error, doing) from error


def clear_beside(run: Path) -> None:
    """Remove what a process left beside a finished run that was killed just after finishing it."""
    _unlink(_lock_of(run))


def _lock_of(run: Path) -> Path:
    return run.with_name(f".{run.name}.lock")


def _unlink(path: Path) -> None:
    with suppress(OSError):  # a disk that refuses may refuse this too
        path.unlink()


def _lock(handle: int, lock: Path, run: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever held it may have removed it since we opened it, and a third may hold a new one.
        if not lock.exists() or not os.path.samestat(os.fstat(handle), lock.stat()):
            raise BlockingIOError
    except BlockingIOError as error:
        raise UserError(
            f"another headstart process is writing {run}",
            "one process a run folder",
            "wait for it or give another --out",
        ) from error
    if run.exists():
        raise UserError(
            f"{run} was finished by another process",
            "a run folder that does not exist yet",
            "give another --out",
        )


def read_run(run: Path) -> dict[str, Any]:
    """Return ``run.json``. Raises UserError where there is none, MachineError where it is damaged."""
    record = _read(run, "run.json")
    for name, kind in _RELIED_ON.items():
        if not isinstance(record.get(name), kind):
            what = f"its {name!r} is {record[name]!r:.40}" if name in record else f"it has no {name!r}"
            raise MachineError(f"{run / 'run.json'} is damaged: {what}.")
    return record


def read_part(run: Path, name: str) -> dict[str, Any]:
    """Return another JSON file of a run. Raises MachineError where it is damaged."""
    return _read(run, name)


def _read(run: Path, name: str) -> dict[str, Any]:
    try:
        content = json.loads(read_bounded(run / name).decode())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(
            f"{run} holds no {name}",
            "a folder that headstart fit has written",
            "check the path or fit a model first",
        ) from error
    except OSError as error:
        error.filename = error.filename or str(run / name)
        raise machine_error(error, "Reading") from error
    except (ValueError, RecursionError) as error:
        raise MachineError(f"{run / name} is damaged: {error}.") from error
    if not isinstance(content, dict):
        raise MachineError(f"{run / name} is damaged: it holds no JSON object.")
    return content


def count_look(run: Path, split: str, data_digest: str) -> int:
    """Record one look at a split and return how many times these data have been looked at with this run.

    Raises UserError where the run may not be written to, MachineError where that fails otherwise.
    """
    path = run / "looks.jsonl"
    look = {"when": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "split": split, "data": data_digest}
    text = json.dumps(look) + "\n"
    try:
        # A link could lead to a file of the user's own.
        with open(os.open(path, _APPEND, 0o666), "a") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(errno.EINVAL, "no regular file", str(path))
            fcntl.flock(file.fileno(), fcntl.LOCK_EX)
            file.write(text)
        return sum(digest == data_digest for digest in _digests(path))
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise UserError(
                f"{path} can't be written to ({(error.strerror or '').lower()})",
                "a run in which looks at data are counted",
                "copy the run to a place of your own, and evaluate that",
            ) from error
        error.filename = error.filename or str(path)
        raise machine_error(error, "Recording the look in", len(text)) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise MachineError(f"{path} is damaged: {error}.") from error


def looks_at_reported(run: Path) -> int:
    """Return how often the data that ``fit`` reported on has been looked at; 0 where no look is recorded."""
    path = run / "looks.jsonl"
    try:
        digests = _digests(path) if path.exists() else []
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise MachineError(f"{path} is damaged: {error}.") from error
    return digests.count(digests[0]) if digests else 0


def _digests(looks: Path) -> list[str]:
    return [json.loads(line)["data"] for line in read_bounded(looks).decode().splitlines()]
