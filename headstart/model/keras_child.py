"""A child process with limits, for what only Keras can tell or read of a model: it may not come back."""

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from headstart.core.errors import UserError

_SECONDS = 600
_TIMES_SIZE = 8
_SPARE_BYTES = 4 << 30
_INSTEAD = (
    "an application of Keras with its weights, or a saved model of Keras' own layers",
    "check name and file",
)


def run(base: str, **task: Any) -> dict[str, Any]:
    """Do ``task`` (see ``keras_reading.described``) in a child. Raises UserError with the child's reason."""
    code = "from headstart.model.keras_child import _main; _main()"
    words = [sys.executable, "-W", "ignore", "-c", code]
    given = json.dumps({"base": base, **task})
    try:
        done = subprocess.run(
            words, input=given, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
        said = (done.stderr.strip().splitlines() or ["it died"])[-1] if done.returncode else ""
    except subprocess.TimeoutExpired:
        said = f"it took longer than {_SECONDS} s"
    found = (
        {"refused": [f"Keras cannot read {base} ({said[:300]})", *_INSTEAD]} if said else _told(done.stdout)
    )
    if "refused" in found:
        raise UserError(*found["refused"])
    return found


def _told(output: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found


def _main() -> None:
    from headstart.model import keras_reading
    from headstart.model.keras_network import prepare_keras

    task = json.loads(sys.stdin.read())
    try:
        prepare_keras()
        _limit_memory(Path(task["file"]).stat().st_size if task.get("file") else 0)
        found = keras_reading.described(**task)
    except UserError as error:
        found = {"refused": [error.found, error.expected, error.remedy]}
    sys.stdout.write(json.dumps(found))


def _limit_memory(size: int) -> None:
    """Let this process grow by so many times a file's size in bytes and no more, where that can be told."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return
    used = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData"))
    resource.setrlimit(resource.RLIMIT_DATA, (used + _SPARE_BYTES + _TIMES_SIZE * size,) * 2)
