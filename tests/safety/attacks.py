"""Runs attacks, each in a process forked from one that has loaded everything, all under ``python -O``.

A fork costs milliseconds where an import costs seconds, and what crashes, hangs or grows takes nothing with
it.
"""

import gc
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.core.errors import BadExample, UserError

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 20
"""After so long an attack counts as one that has hung the process."""
LOUD = frozenset(
    (
        *("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "subprocess.Popen", "pty.spawn"),
        *("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"),
        *("exec", "compile", "ctypes.dlopen", "import", "pickle.find_class", "marshal.loads"),
        *("os.remove", "os.rename", "os.symlink", "os.link", "os.mkdir", "os.chmod", "os.putenv"),
        *("shutil.copyfile", "shutil.move", "shutil.rmtree", "shutil.unpack_archive", "tempfile.mkdtemp"),
    )
)
"""Audit events that no attack may cause. https://docs.python.org/3/library/audit_events.html"""
Attack = Callable[[], Any]


@dataclass(frozen=True)
class Told:
    """What became of an attack: ``refused: MESSAGE``, ``passed``, ``raised ...`` or ``died ...``."""

    name: str
    outcome: str
    seconds: float
    mib: float
    loud: list[str]


def run(suite: str, folder: Path) -> list[Told]:
    """Return what became of the attacks that a function gives, MODULE:FUNCTION, for a folder to work in."""
    words = [sys.executable, "-O", "-B", "-W", "ignore", "-m", "tests.safety.attacks", suite, str(folder)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr[-2000:]
    return [Told(**json.loads(line)) for line in done.stdout.splitlines()]


def _listen(folder: Path, loud: list[str]) -> None:
    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in LOUD:
            loud.append(f"{event} {arguments!r:.150}")
        elif event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            path = os.fsdecode(arguments[0]) if not isinstance(arguments[0], int) else ""
            if path and path != os.devnull and not path.startswith(str(folder)):
                loud.append(f"open {path}")

    sys.addaudithook(hook)


def _outcome(attack: Attack) -> str:
    try:
        found = attack()
    except (UserError, BadExample) as error:
        return f"refused: {error}"
    except SystemExit as error:
        return f"refused: {error.code}"
    except BaseException as error:
        return f"raised {type(error).__name__}: {error}"
    return f"passed {type(found).__name__}"


def _forked(name: str, attack: Attack, folder: Path) -> Told:
    out, into = os.pipe()
    started = time.monotonic()
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.alarm(SECONDS)
        loud: list[str] = []
        _listen(folder, loud)
        outcome = _outcome(attack)
        os.write(
            into, json.dumps([outcome[:400], list({one.split()[0]: one for one in loud}.values())]).encode()
        )
        os._exit(0)
    os.close(into)
    _, status, used = os.wait4(child, 0)
    seconds = time.monotonic() - started
    said = os.read(out, 1 << 16)
    os.close(out)
    outcome, loud = json.loads(said) if said else (f"died of signal {os.WTERMSIG(status)}", [])
    return Told(name, outcome, round(seconds, 3), used.ru_maxrss / 1024, loud)


def _main(suite: str, folder: Path) -> None:
    name, _, function = suite.partition(":")
    module: Any = importlib.import_module(name)
    attacks: Mapping[str, Attack] = getattr(module, function)(folder)
    module.warm(folder)  # what a benign file imports is loaded before anybody listens
    gc.freeze()  # else each child's collector touches, and so copies, all that it was forked with
    base = _forked("base", lambda: None, folder).mib
    for name, attack in attacks.items():
        told = _forked(name, attack, folder)
        print(json.dumps({**vars(told), "mib": round(told.mib - base, 1)}), flush=True)


if __name__ == "__main__":
    if __debug__:
        sys.exit("not run with -O")
    _main(sys.argv[1], Path(sys.argv[2]))
