"""Plug-ins, found by name and imported only when asked for; nothing registers itself.

A plug-in is one file in ``tasks``, ``sources``, ``engines``, ``data/read`` ... that holds one final
class with a ``name``; the file is called after that name, hyphens turned into underscores. An installed
package adds its own by entry points: ``headstart.source`` for a source, and so on (docs/extending.md).
"""

import difflib
import importlib
import importlib.metadata
import inspect
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from headstart.core.errors import UserError
from headstart.core.foreign import foreign, reason_of

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
    return tuple(sorted({*_own(kind), *installed(kind)}))


@cache
def installed(kind: str) -> Mapping[str, EntryPoint]:
    """Return what installed packages add of a kind, by name; none takes the place of one of ours."""
    found = importlib.metadata.entry_points(group=f"headstart.{kind}")
    return {one.name: one for one in found if one.name not in _own(kind)}


def imported(kind: str, name: str) -> Any:
    """Return what an installed package adds under a name. Raises UserError where importing it fails."""
    entry = installed(kind)[name]
    package = entry.dist.name if entry.dist else entry.module

    def refusal(error: BaseException) -> UserError:
        return UserError(
            f"the {kind} {name!r} of the package {package} cannot be imported ({reason_of(error)})",
            f"an object at {entry.value}",
            f"mend or uninstall {package}",
        )

    with foreign(refusal):
        return entry.load()


@cache
def _own(kind: str) -> frozenset[str]:
    if kind not in PACKAGES:
        return frozenset()
    folder = Path(__file__).parent.parent.joinpath(*PACKAGES[kind].split(".")[1:])
    return frozenset(file.stem.replace("_", "-") for file in folder.glob("[a-z]*.py"))


@cache
def load(kind: str, name: str) -> Any:
    """Return the one instance of a plug-in. Raises UserError, naming the nearest, where there is none."""
    if name not in names(kind):
        known = names(kind)
        raise UserError(f"no {kind} is called {name!r}", f"one of {', '.join(known)}", nearest(name, known))
    if name in installed(kind):
        return _checked(kind, name, imported(kind, name))
    module = importlib.import_module(f"{PACKAGES[kind]}.{name.replace('-', '_')}")
    for member in vars(module).values():
        if (
            inspect.isclass(member)
            and member.__module__ == module.__name__
            and getattr(member, "name", None) == name
        ):
            return member()
    raise TypeError(f"{module.__name__} holds no class whose name is {name!r}")


def _checked(kind: str, name: str, found: Any) -> Any:
    """Return the instance of a class that a package adds. Raises UserError where it is none of that name."""
    if not inspect.isclass(found) or getattr(found, "name", None) != name or inspect.isabstract(found):
        lacks = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
        what = f"{found!r}, which lacks {lacks}" if lacks else repr(found)
        raise UserError(
            f"the {kind} {name!r} of an installed package is {what}",
            f"a class with name = {name!r} that implements the whole contract",
            "mend it, or uninstall the package",
        )
    return found()


def nearest(name: str, known: Iterable[str]) -> str:
    """Return what to do about a name that is not known: the nearest one, or to choose another."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}" if near else "choose one of these"
