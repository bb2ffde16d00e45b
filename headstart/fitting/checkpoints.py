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
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load

from headstart.contracts import Array
from headstart.core import tensor_file
from headstart.core.errors import machine_error
from headstart.core.files import atomic_file, digest_bytes, sync_folder, write_bytes, write_json

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
        state = json.dumps(facts).encode()
        try:
            for folder in (partial, final):
                shutil.rmtree(folder, ignore_errors=True)
            partial.mkdir(parents=True)
            with atomic_file(partial / TENSORS, sum(one.nbytes for one in tensors.values())) as file:
                digest = tensor_file.write(file, tensors)
            write_bytes(partial / STATE, state)
            write_json(partial / MANIFEST, {TENSORS: digest, STATE: digest_bytes(state)})
            os.rename(partial, final)
            sync_folder(self.folder)
        except OSError as error:
            raise machine_error(error, "Writing the checkpoint") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        for old in self._found()[_KEPT:]:
            shutil.rmtree(old, ignore_errors=True)
        self.saved_s = time.monotonic()
        self.took_s = self.saved_s - begun_s

    def newest(self) -> tuple[dict[str, Array], dict[str, Any]] | None:
        """Return tensors and facts of the newest whole one, or None where there is none."""
        for folder in self._found():
            read = _read(folder)
            if read is not None:
                return read
            log.warning("%s is damaged: the checkpoint before it is used", folder)
        return None

    def _found(self) -> list[Path]:
        return sorted(self.folder.glob("step-*"), reverse=True)


def _read(folder: Path) -> tuple[dict[str, Array], dict[str, Any]] | None:
    """Return tensors and facts of a checkpoint, None where anything of it is missing or changed."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        contents = {name: (folder / name).read_bytes() for name in (TENSORS, STATE)}
        if any(digest_bytes(content) != manifest[name] for name, content in contents.items()):
            return None
        return load(contents[TENSORS]), json.loads(contents[STATE])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None


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
