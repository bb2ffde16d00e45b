"""Frozen graphs, ONNX files and SavedModels, as trunks that OpenVINO runs: converted once on a machine.

Their parsers are C++ and the files somebody's: a child process with limits converts them, and what OpenVINO
makes of them is kept by hash, goes into runs, and is all that is needed from then on.
"""

import importlib.metadata
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.contracts import Pretrained
from headstart.core.child import run_child
from headstart.core.errors import MachineError, UserError, machine_error
from headstart.core.files import digest_bytes, digest_file, digest_json, home, read_json, write_json
from headstart.core.remembered import remembered
from headstart.model.graph.convert import GRAPH, WEIGHTS

_FACTS = "facts.json"
_FORMAT = 1
_SECONDS = 600
_MOST_BYTES = 8 << 30
_CALL = "from headstart.model.graph.{module} import {function}; {function}()"


def beside(file: Path, expected: str) -> list[Path]:
    """Return the files that hold an ONNX file's weights beside it. Raises UserError where it is unfit."""
    _check_size([file], expected)

    def learn() -> dict[str, Any]:
        return {"beside": json.loads(_asked(file, expected, ("onnx", "main"), str(file)))}

    names = remembered("onnx", _version("onnx"), digest_file(file), learn)["beside"]
    wrong = [name for name in names if not _is_inside(file, name)]
    if wrong:
        raise UserError(
            f"{file} wants weights from outside its folder: {wrong[0]!r}", expected, "move them in"
        )
    found = [file.parent / name for name in names]
    lost = [one for one in found if not one.is_file()]
    if lost:
        raise UserError(
            f"{file} wants its weights from {lost[0]}, which is no file", expected, "put it there"
        )
    return found


def converted(source: Path, files: Sequence[Path], expected: str) -> tuple[str, Path, dict[str, Any]]:
    """Return a graph's digest, the folder with what OpenVINO made of it, and what is known of it.

    ``files`` are all that it consists of. Raises UserError where OpenVINO cannot read it.
    """
    _check_size(files, expected)
    digest = digest_bytes(*(f"{one.name} {digest_file(one)}".encode() for one in files))
    folder = home() / "frozen-graphs" / digest_json([_FORMAT, digest, _version("openvino")])
    facts = _kept(folder)
    if facts is None:
        shutil.rmtree(folder, ignore_errors=True)
        facts = _convert(source, folder, expected)
    return digest, folder, facts


def check(pretrained: Pretrained) -> Path:
    """Return a graph that can be read: a run from elsewhere brings its own, which a child tries first.

    Raises MachineError where OpenVINO cannot read it, or another one is what the run was made with.
    """
    graph, weights = pretrained.assets[GRAPH], pretrained.assets[WEIGHTS]
    named = f"{digest_file(graph)} {digest_file(weights)}"

    def learn() -> dict[str, Any]:
        said = run_child(
            _CALL.format(module="convert", function="check"), str(graph.parent), seconds=_SECONDS
        )[1]
        if said:
            raise MachineError(f"{graph} cannot be read by OpenVINO {_version('openvino')}: {said}.")
        return {"read": True}

    remembered("openvino", _version("openvino"), named, learn)
    return graph


def mib(pretrained: Pretrained) -> float:
    """Return how large a graph's weights are."""
    return pretrained.assets[WEIGHTS].stat().st_size / 2**20


def _convert(source: Path, folder: Path, expected: str) -> dict[str, Any]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".partial-"))
    try:
        said = _asked(source, expected, ("convert", "main"), str(source), str(staging))
        facts: dict[str, Any] = json.loads(said)
        made = {name: digest_file(staging / name) for name in (GRAPH, WEIGHTS)}
        write_json(staging / _FACTS, {"sha256": made, "facts": facts})
        staging.chmod(0o755)
        if not folder.exists():  # nobody else was quicker
            os.rename(staging, folder)
    except OSError as error:
        raise machine_error(error, "Converting into") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return facts


def _kept(folder: Path) -> dict[str, Any] | None:
    """Return what is known of a graph that was converted before; None where that is not here, or damaged."""
    try:
        noted = read_json(folder / _FACTS, "a JSON object")
        if all(digest_file(folder / name) == digest for name, digest in noted["sha256"].items()):
            return dict(noted["facts"])
    except (UserError, OSError, LookupError, TypeError):
        pass
    return None


def _asked(source: Path, expected: str, called: tuple[str, str], *words: str) -> str:
    """Return what a child prints about a graph. Raises UserError with the child's reason."""
    module, function = called
    printed, said = run_child(_CALL.format(module=module, function=function), *words, seconds=_SECONDS)
    if said:
        raise UserError(f"{source} cannot be taken ({said})", expected, "choose another --base")
    return printed


def _is_inside(file: Path, place: str) -> bool:
    """Say whether a name leads to a file in the ONNX file's folder, where that lies or is linked to."""
    if not place or "\0" in place or Path(place).is_absolute() or ".." in Path(place).parts:
        return False
    inside = (file.parent / place).resolve()
    return any(inside.is_relative_to(one) for one in (file.parent.resolve(), file.resolve().parent))


def _check_size(files: Sequence[Path], expected: str) -> None:
    large = sum(one.stat().st_size for one in files)
    if large > _MOST_BYTES:
        raise UserError(
            f"{files[0]} of {large / 2**30:.1f} GiB",
            f"{expected}, of at most {_MOST_BYTES >> 30} GiB",
            "choose another --base",
        )


def _version(library: str) -> str:
    return importlib.metadata.version(library)


def described(facts: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the parts of a description that all graphs share: what to run, and that it never trains."""
    return {
        "weights": folder / WEIGHTS,
        "trains": False,
        "config": dict(facts),
        "assets": {GRAPH: folder / GRAPH, WEIGHTS: folder / WEIGHTS},
    }


def named(name: str) -> Path | None:
    """Return the path that a user has named, None where no path can be called that."""
    return Path(name).expanduser() if name and "\0" not in name else None


def refuse_without_weights(base: str, weights: bool) -> None:
    """Raise UserError where a graph is asked for without its weights: it has no others."""
    if not weights:
        raise UserError(
            f"--random-init of {base}, a frozen graph",
            "an architecture that is built in torch",
            "leave --random-init out, or choose another --base",
        )
