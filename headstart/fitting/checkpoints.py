"""Where training stands, on disk: whole or absent, hashed, the newest two kept.

    folder/step-00000120/tensors.safetensors    weights, optimizer, the best epochs' weights
    folder/step-00000120/state.json             steps, epochs, history
    folder/step-00000120/manifest.json          SHA-256 of the others; written last

A checkpoint is written beside its place, synced, then renamed. One that is damaged is noticed, said, and the
one before is used.
"""

import json
import logging
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load

from headstart.contracts import Array
from headstart.core import tensor_file
from headstart.core.errors import machine_error
from headstart.core.files import atomic_file, digest_bytes, sync_folder, write_bytes

log = logging.getLogger(__name__)

TENSORS, STATE, MANIFEST = "tensors.safetensors", "state.json", "manifest.json"
_KEPT = 2
_EVERY_S, _SHARE = 30.0, 40.0
"""Half a minute of work may be lost, or more where saving would take above a fortieth of the time."""


@dataclass
class Checkpoints:
    """The checkpoints of one training, in a folder of its own."""

    folder: Path
    saved_s: float = field(default_factory=time.monotonic)
    took_s: float = 0.0

    def due(self) -> bool:
        """Say whether the last one is old enough."""
        return time.monotonic() - self.saved_s > max(_EVERY_S, _SHARE * self.took_s)

    def save(self, step: int, tensors: Mapping[str, Array], facts: Mapping[str, Any]) -> None:
        """Write one, then remove all but the newest two. Raises MachineError; the earlier ones stay."""
        begun_s = time.monotonic()
        final, partial = self.folder / f"step-{step:08d}", self.folder / f".partial-{step:08d}"
        state, size = json.dumps(facts).encode(), sum(one.nbytes for one in tensors.values())
        try:
            for left in self._there("."):  # by a process that was killed
                shutil.rmtree(left, ignore_errors=True)
            partial.mkdir(parents=True)
            with atomic_file(partial / TENSORS, size) as file:
                digest = tensor_file.write(file, tensors)
            write_bytes(partial / STATE, state)
            write_bytes(partial / MANIFEST, _manifest(digest, digest_bytes(state)))
            _remove(final)
            os.rename(partial, final)
            sync_folder(self.folder)
        except OSError as error:
            raise machine_error(error, "Writing the checkpoint", size + len(state)) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        with suppress(OSError):
            for old in self._there("step-")[_KEPT:]:
                _remove(old)
        self.saved_s = time.monotonic()
        self.took_s = self.saved_s - begun_s

    def newest(self) -> tuple[dict[str, Array], dict[str, Any]] | None:
        """Return tensors and facts of the newest whole one, or None where there is none.

        Raises MachineError where the folder can't be looked into.
        """
        try:
            found = self._there("step-")
        except OSError as error:
            raise machine_error(error, "Looking for checkpoints in") from error
        for folder in found:
            read = _read(folder)
            if read is not None:
                return read
            log.warning("%s is damaged: the checkpoint before it is used", folder)
        return None

    def _there(self, prefix: str) -> list[Path]:
        """Return what is in the folder, if there is one, by the beginning of its name; the newest first."""
        try:
            names = os.listdir(self.folder)
        except FileNotFoundError:
            return []
        return [self.folder / name for name in sorted(names, reverse=True) if name.startswith(prefix)]


def _read(folder: Path) -> tuple[dict[str, Array], dict[str, Any]] | None:
    """Return tensors and facts of a checkpoint, None where anything of it is missing or changed."""
    try:
        contents = {name: (folder / name).read_bytes() for name in (TENSORS, STATE)}
        if (folder / MANIFEST).read_bytes() != _manifest(*map(digest_bytes, contents.values())):
            return None
        return load(contents[TENSORS]), json.loads(contents[STATE])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None


def _manifest(tensors: str, state: str) -> bytes:
    """Return the one manifest of files with these digests: any other is damaged."""
    return json.dumps({TENSORS: tensors, STATE: state}).encode()


def _remove(folder: Path) -> None:
    """Remove a checkpoint, if it is there, in one step as seen by others."""
    if folder.exists():
        removed = folder.with_name(f".removed-{folder.name}")
        os.rename(folder, removed)
        shutil.rmtree(removed, ignore_errors=True)


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether Ctrl-C or SIGTERM came: the step at hand is finished first.

    The second one stops at once.
    """
    came = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield came.is_set
        return

    def note(number: int, frame: object) -> None:
        if came.is_set():
            raise KeyboardInterrupt
        came.set()

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
