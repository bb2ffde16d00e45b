"""Rows of bytes on disk instead of in memory: written in order, read at will, gone with the process."""

import os
import tempfile
from array import array

from headstart.core.errors import machine_error

_WAITING_BYTES = 1 << 20


class Spill:
    """An unnamed temporary file of byte strings of any length. Raises MachineError where the disk is full."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by ``close``
        self._starts = array("q", [0])
        self._waiting = bytearray()

    def append(self, content: bytes) -> None:
        """Write one more string."""
        self._waiting += content
        self._starts.append(self._starts[-1] + len(content))
        if len(self._waiting) >= _WAITING_BYTES:
            self._flush()

    def read(self, place: int) -> bytes:
        """Return a string."""
        if self._waiting:
            self._flush()
        start, stop = self._starts[place], self._starts[place + 1]
        return os.pread(self._file.fileno(), stop - start, start)

    def close(self) -> None:
        """Give the disk back."""
        self._file.close()

    def _flush(self) -> None:
        try:
            self._file.write(self._waiting)
            self._file.flush()
        except OSError as error:
            raise machine_error(
                error, "Keeping what pictures or texts look like in a temporary file"
            ) from error
        self._waiting.clear()
