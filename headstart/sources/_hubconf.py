"""The code of a torch.hub repository: what it is told by, and its ``hubconf.py`` run without leaving traces.

Only what the user trusts comes here. https://docs.pytorch.org/docs/stable/hub.html
"""

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

from headstart.core.errors import UserError
from headstart.core.files import digest_bytes, home
from headstart.core.foreign import foreign, reason_of
from headstart.core.frameworks import prepare_torch
from headstart.core.offline import nothing_fetched
from headstart.core.plugins import nearest

HUBCONF = "hubconf.py"
_CODE = frozenset({".py", ".pyc", ".so", ".pyd", ".json", ".yaml", ".yml", ".toml"})
_HOW: tuple[tuple[str, tuple[Any, Any]], ...] = (
    ("pretrained", (True, False)),
    ("weights", ("DEFAULT", None)),
)
"""The arguments by which repositories are asked for weights, with them and without."""


def files_of(folder: Path) -> Iterator[Path]:
    """Yield the files of a repository in order, none that is hidden or made by Python."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        if path.is_file() and not any(one.startswith(".") or one == "__pycache__" for one in inside):
            yield path


def code_digest(folder: Path) -> str:
    """Return the SHA-256 of the code in a folder: Python, compiled modules, and what configures them."""
    parts = []
    for path in files_of(folder):
        if path.suffix in _CODE:
            name, content = path.relative_to(folder).as_posix().encode(), path.read_bytes()
            parts += [b"%d %d " % (len(name), len(content)), name, content]
    return digest_bytes(*parts)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A function of a ``hubconf.py`` that makes a model; ``asked`` is the argument that asks for weights."""

    base: str
    make: Callable[..., Any]
    module: ModuleType
    asked: str

    @property
    def can_be_random(self) -> bool:
        """Whether it can be told to leave the weights out."""
        return bool(self.asked)

    def built(self, weights: bool) -> Any:
        """Return the model in evaluation mode. Raises UserError where it cannot be made or is none."""
        torch = prepare_torch()
        how = {name: value[0 if weights else 1] for name, value in _HOW if name == self.asked}
        with foreign(partial(_failed, self.base, "making the model")):
            module = self.make(**how)
        if not isinstance(module, torch.nn.Module):
            raise UserError(
                f"{self.base} gives a {type(module).__name__}",
                "a torch.nn.Module",
                "name another function of it",
            )
        return module.float().eval()

    def stated(self, model: Any) -> tuple[Any, Mapping[str, Any]]:
        """Return what function, model or ``hubconf.py`` state as ``preprocess``, and timm's cfg of it."""
        said = (getattr(one, "preprocess", None) for one in (self.make, model, self.module))
        cfg = getattr(model, "pretrained_cfg", None) or getattr(model, "default_cfg", None)
        known = next((one for one in said if one is not None), None)
        return known or self._transforms(), cfg if isinstance(cfg, dict) else {}

    def _transforms(self) -> Any:
        """Return the transform of the weights that are asked for, where they are an enum as torchvision's."""
        if self.asked != "weights":
            return None
        taken = inspect.signature(self.make).parameters["weights"].annotation
        defaults = (getattr(kind, "DEFAULT", None) for kind in (taken, *get_args(taken)))
        made = (getattr(default, "transforms", None) for default in defaults)
        return next((one() for one in made if callable(one)), None)


@contextmanager
def entry(base: str, folder: Path, name: str, offline: bool) -> Iterator[Entry]:
    """Run a ``hubconf.py`` and yield its function called ``name``; the code's modules are forgotten after.

    While ``offline``, the code reaches no network. Two repositories may have modules of one name, so none
    stays where the other's import would find it. Raises UserError where the code fails, needs what is not
    installed, or has no such function.
    """
    file = folder / HUBCONF
    if not file.is_file():
        raise UserError(f"{folder} holds no {HUBCONF}", "a clone of a torch.hub repository", "check the name")
    prepare_torch()  # or the code's own import of torchvision may fail
    told = redirect_stdout(sys.stderr)  # standard output is the command's own
    with told, nothing_fetched() if offline else nullcontext(), _importing(folder):
        spec = importlib.util.spec_from_file_location("hubconf", file)
        if spec is None or spec.loader is None:
            raise UserError(f"{file} is no Python file", "a torch.hub repository", "check the name")
        module = importlib.util.module_from_spec(spec)
        sys.modules["hubconf"] = module
        with foreign(partial(_failed, base, f"importing its {HUBCONF}")):
            spec.loader.exec_module(module)
        missing = [
            one for one in getattr(module, "dependencies", ()) if importlib.util.find_spec(one) is None
        ]
        if missing:
            raise UserError(
                f"{base} needs {', '.join(missing)}",
                "packages that are installed",
                f"run: pip install {missing[0]}",
            )
        make = getattr(module, name, None)
        if not callable(make) or name.startswith("_"):
            public = [
                one for one, value in vars(module).items() if inspect.isfunction(value) and one[0] != "_"
            ]
            raise UserError(
                f"{base} names no model", f"one of {', '.join(public) or 'none'}", nearest(name, public)
            )
        taken = inspect.signature(make).parameters
        yield Entry(
            base=base, make=make, module=module, asked=next((one for one, _ in _HOW if one in taken), "")
        )


@contextmanager
def _importing(folder: Path) -> Iterator[None]:
    """Let modules be imported from a folder while the block lasts; no bytecode is read or written in it."""
    before, path, prefix = set(sys.modules), list(sys.path), sys.pycache_prefix
    sys.path.insert(0, str(folder))
    sys.pycache_prefix = str(home() / "bytecode")
    hubconf = sys.modules.pop("hubconf", None)
    try:
        yield
    finally:
        sys.path[:], sys.pycache_prefix = path, prefix
        for name in set(sys.modules) - before | {"hubconf"}:
            if name == "hubconf" or _lies_in(sys.modules[name], folder):
                sys.modules.pop(name, None)
        if hubconf is not None:
            sys.modules["hubconf"] = hubconf


def _lies_in(module: ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), "")
    return bool(file) and Path(file).resolve().is_relative_to(folder.resolve())


def _failed(base: str, doing: str, error: BaseException) -> UserError:
    """Return what to say where foreign code raised; the whole of it is the cause."""
    return UserError(
        f"{base}: {doing} failed ({type(error).__name__}: {reason_of(error)})",
        "code that runs here",
        "check its dependencies and its weights",
    )
