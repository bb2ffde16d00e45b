"""The one exception tree, drawn here in full.

HeadstartError            exit code 1
├── UserError             2    the user can mend it: found, expected, what to do
├── MachineError          1    the machine's fault: disk, memory, a missing permission
├── EngineUnavailable     1    an engine cannot run this trunk here (caught when engines are compared)
└── BadExample            -    one example cannot be read; it is listed, never replaced
"""

import os


class HeadstartError(Exception):
    """Anything headstart itself reports; the command line prints it in one line."""

    exit_code = 1


class UserError(HeadstartError):
    """A mistake the user can mend, told as what was found, what was expected, what to do."""

    exit_code = 2

    def __init__(self, found: str, expected: str, remedy: str) -> None:
        self.found, self.expected, self.remedy = found, expected, remedy
        super().__init__(f"{found}; expected {expected}; {remedy}.")


class MachineError(HeadstartError):
    """The machine refused: a full disk, a folder without write permission, too little memory."""


class EngineUnavailable(HeadstartError):
    """An engine cannot run this trunk on this machine; the message is the reason."""


class BadExample(HeadstartError):
    """One example cannot be used; the message is the reason shown beside its name."""


def machine_error(error: OSError, doing: str, needed_bytes: int | None = None) -> MachineError:
    """Turn an operating-system refusal into one sentence with the path and the bytes needed."""
    where = f" {error.filename!r}" if error.filename else ""
    need = f" ({needed_bytes:,} bytes needed)" if needed_bytes is not None else ""
    reason = error.strerror or os.strerror(error.errno or 0)
    return MachineError(f"{doing}{where} failed: {reason.lower()}{need}; nothing half-written was kept.")
