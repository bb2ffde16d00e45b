"""A child process with limits, for what only Keras can tell or read of a model: it may not come back."""

import json
import sys
from pathlib import Path
from typing import Any

from headstart.core.child import limit_memory, run_child
from headstart.core.errors import UserError

_SECONDS = 600
_TIMES_SIZE, _SPARE_BYTES = 8, 4 << 30
_INSTEAD = (
    "an application of Keras with its weights, or a saved model of Keras' own layers",
    "check name and file",
)


def run(base: str, **task: Any) -> dict[str, Any]:
    """Do ``task`` (see ``keras_reading.described``) in a child. Raises UserError with the child's reason."""
    code = "from headstart.model.keras.child import _main; _main()"
    printed, said = run_child(code, json.dumps({"base": base, **task}), seconds=_SECONDS)
    if said:
        raise UserError(f"Keras cannot read {base} ({said})", *_INSTEAD)
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])  # Keras may have printed before
    if "refused" in found:
        raise UserError(*found["refused"])
    return found


def _main() -> None:
    from headstart.model.keras import reading as keras_reading
    from headstart.model.keras.network import prepare_keras

    task = json.loads(sys.argv[1])
    try:
        prepare_keras()
        size = Path(task["file"]).stat().st_size if task.get("file") else 0
        limit_memory(_SPARE_BYTES + _TIMES_SIZE * size)
        found = keras_reading.described(**task)
    except UserError as error:
        found = {"refused": [error.found, error.expected, error.remedy]}
    sys.stdout.write(json.dumps(found))
