"""Children of ``core.child``, forked from a process that has imported their frameworks, not started anew.

Each still is a process of its own, with its arguments, its output, its limits and its death; only what it
would import before it looks at a file has been imported once. ``tests/safety`` starts the real ones.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_SERVER = """
import importlib, json, os, re, sys, traceback
import headstart.model.weights, safetensors.torch, torch

def run(code, words):
    sys.argv = ["-c", *words]
    try:
        exec(code, {"__name__": "__main__"})
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            return error.code or 0
        print(error.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0

for line in sys.stdin:
    code, words, out, err, folder, environment = json.loads(line)
    for name in re.findall(r"from (headstart[.\\w]+) import", code):
        importlib.import_module(name)
    if ".keras." in code:
        from headstart.model.keras import reading, network
        network.prepare_keras()
    if ".graph." in code:
        import openvino
    child = os.fork()
    if not child:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        for number, path in ((0, os.devnull), (1, out), (2, err)):
            os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), number)
        status = run(code, words)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


class Children:
    """Stands for the module ``subprocess`` in ``core.child``."""

    TimeoutExpired = subprocess.TimeoutExpired

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: subprocess.Popen[str] | None = None

    def run(self, command: Sequence[str], **_: Any) -> subprocess.CompletedProcess[str]:
        """Run what follows ``-c`` in a fork of the server; pytest's own timeout watches over it."""
        at = list(command).index("-c")
        out, err = self._folder / "out", self._folder / "err"
        out.write_text("")
        err.write_text("")
        asked = [command[at + 1], command[at + 2 :], str(out), str(err), os.getcwd(), dict(os.environ)]
        server = self._started(command[:at])
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps(asked) + "\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        return subprocess.CompletedProcess(list(command), code, out.read_text(), err.read_text())

    def _started(self, python: Sequence[str]) -> "subprocess.Popen[str]":
        if self._server is None:
            assert python[0] == sys.executable
            pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            self._server = subprocess.Popen([*python, "-c", _SERVER], **pipes)
        return self._server

    def end(self) -> None:
        """End the server."""
        if self._server is not None:
            self._server.communicate()
