"""Plug-ins, found by name and imported only when asked for; nothing registers itself.

A plug-in is one file in ``tasks``, ``sources``, ``engines``, ``data/read`` ... that holds one final
class with a ``name``; the file is called after that name, hyphens turned into underscores.
"""

import difflib
import importlib
import inspect
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from headstart.core.errors import UserError

PACKAGES = {
    "task": "headstart.tasks",
    "source": "headstart.sources",
    "engine": "headstart.engines",
    "modality": "headstart.modalities",
    "learner": "headstart.learners",
    "layout": "headstart.data.read",
    "estimator": "headstart.estimators",
    "penalty": "headstart.penalties",
    "fingerprint": "headstart.fingerprints",
    "check": "headstart.checks",
}


@cache
def names(kind: str) -> tuple[str, ...]:
    """Return the names of all plug-ins of a kind (``task``, ``source`` ...) without importing any."""
    package = PACKAGES[kind]
    folder = Path(__file__).parent.parent.joinpath(*package.split(".")[1:])
    return tuple(sorted(file.stem.replace("_", "-") for file in folder.glob("[a-z]*.py")))


@cache
def load(kind: str, name: str) -> Any:
    """Return the one instance of a plug-in. Raises UserError, naming the nearest, where there is none."""
    if name not in names(kind):
        known = names(kind)
        raise UserError(f"no {kind} is called {name!r}", f"one of {', '.join(known)}", nearest(name, known))
    module = importlib.import_module(f"{PACKAGES[kind]}.{name.replace('-', '_')}")
    for member in vars(module).values():
        if (
            inspect.isclass(member)
            and member.__module__ == module.__name__
            and getattr(member, "name", None) == name
        ):
            return member()
    raise TypeError(f"{module.__name__} holds no class whose name is {name!r}")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return what to do about a name that is not known: the nearest one, or to choose another."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.4)
    return f"did you mean {near[0]!r}" if near else "choose one of these"
