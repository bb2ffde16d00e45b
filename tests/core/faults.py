"""Every call that changes or syncs files below a folder, counted: at the n-th the process dies or is refused.

The calls are met where Python makes them (os, and the raw files below ``open``); ``strace`` of the same saves
shows no others, see docs/reliability.md. What is met happens in a child process that is forked for it.
"""

import builtins
import io
import os
import re
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

_NAMES = ("listdir", "mkdir", "rmdir", "unlink", "remove", "rename", "replace", "chmod")
_DIED = 99

Met = tuple[str, str]
"""A call and the path that it is about, from the folder's own, without what is random in it."""


@dataclass
class Disk:
    """What is below ``root``; at call ``at`` (from 1), and ``lasting`` at all that follow, it fails.

    With ``error`` the call is refused; without, the process is killed before it, in the midst of a write.
    """

    root: Path
    at: int | None = None
    error: int | None = None
    lasting: bool = False
    calls: list[Met] = field(default_factory=list)
    paths: dict[int, str] = field(default_factory=dict)

    def meet(self, call: str, path: str, before_death: Callable[[], object] = lambda: None) -> None:
        """Count a call, and let it fail where it is to."""
        if not f"{path}/".startswith(f"{self.root}/"):
            return
        named = re.sub(r"\.partial-(?!\d{8}$)[a-z0-9_]{8}$", ".partial-", os.path.relpath(path, self.root))
        self.calls.append((call, named))
        number = len(self.calls)
        if self.at is None or not (number == self.at or (self.lasting and number > self.at)):
            return
        if self.error is None:
            before_death()
            os.kill(os.getpid(), signal.SIGKILL)
        # Of a handle the operating system names no file.
        named_file = () if call in ("write", "fsync") else (path,)
        raise OSError(self.error, os.strerror(self.error or 0), *named_file)

    def where(self, path: Any, folder: int | None = None) -> str:
        """Return the whole path of a name, perhaps within an open folder, or of a handle."""
        if isinstance(path, int):
            return self.paths.get(path, "")
        return os.path.join(
            self.paths.get(folder, "") if folder is not None else os.getcwd(), os.fspath(path)
        )


class _Raw(io.FileIO):
    """A file whose opening and writes are met."""

    def __init__(self, disk: Disk, file: Any, mode: str, **others: Any) -> None:
        self.disk, self.path = disk, disk.where(file)
        if not isinstance(file, int):
            disk.meet("open", self.path)
        super().__init__(file, mode, **others)
        disk.paths[self.fileno()] = self.path

    def write(self, data: Any) -> int:
        half = memoryview(data).nbytes // 2
        self.disk.meet("write", self.path, lambda: super(_Raw, self).write(memoryview(data)[:half]))
        return super().write(data)


@contextmanager
def met(disk: Disk) -> Iterator[None]:
    """Let every call of this process meet the disk."""
    real_open, real_sync, plain = os.open, os.fsync, io.open

    def named(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(path: Any, *others: Any, **more: Any) -> Any:
            disk.meet("rename" if name == "replace" else name, disk.where(path, more.get("dir_fd")))
            return real(path, *others, **more)

        return call

    def opening(path: Any, *others: Any, **more: Any) -> int:
        whole = disk.where(path, more.get("dir_fd"))
        disk.meet("open", whole)
        handle = real_open(path, *others, **more)
        disk.paths[handle] = whole
        return handle

    def syncing(handle: int) -> None:
        disk.meet("fsync", disk.where(handle))
        real_sync(handle)

    def opened(file: Any, mode: str = "r", buffering: int = -1, *text: Any, **more: Any) -> Any:
        if not set(mode) & set("wax+"):
            return plain(file, mode, buffering, *text, **more)
        kept = {name: more.pop(name) for name in ("closefd", "opener") if name in more}
        raw = _Raw(disk, file, mode.replace("b", "").replace("t", ""), **kept)
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, *text, **more)

    replaced = {name: named(name) for name in _NAMES}
    with (
        mock.patch.multiple(os, open=opening, fsync=syncing, **replaced),
        mock.patch.object(io, "open", opened),
        mock.patch.object(builtins, "open", opened),
    ):
        yield


def forked(work: Callable[[], str]) -> tuple[int, str]:
    """Do something in a child process; return its exit status, negative for a signal, and what it said."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which the child does not use
        child = os.fork()
    if not child:
        status = _DIED
        try:
            os.write(writing, work().encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as said:
        told = said.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), told


def disorder(calls: Sequence[Met]) -> list[str]:
    """Return what could be lost in a power cut: whatever is renamed before it is synced, or not synced after.

    A file is synced between its last write and its renaming, a folder's files before the folder's; the folder
    that a name appears in is synced before anything else appears there.
    """
    wrong, unsynced, named = [], set[str](), set[str]()
    for call, path in calls:
        parent = os.path.dirname(path) or "."
        if call == "write":
            unsynced.add(path)
        elif call == "fsync":
            unsynced.discard(path)
            named.discard(path)
        elif call == "rename" and not os.path.basename(path).startswith("step-"):  # those are removed
            wrong += [f"{one} was not synced before {path} was renamed" for one in unsynced if _in(one, path)]
            wrong += [f"{one} was not synced before {path} was renamed" for one in named if _in(one, path)]
            if parent in named:
                wrong.append(f"{parent} was not synced before {path} appeared in it")
            named.add(parent)
    return [*wrong, *(f"{one} was never synced" for one in (*unsynced, *named))]


def _in(path: str, folder: str) -> bool:
    return f"{path}/".startswith(f"{folder}/")
