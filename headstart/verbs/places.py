"""Where a run lies, and whether it is there already."""

import shutil
from pathlib import Path

from headstart.core.errors import MachineError, UserError
from headstart.core.files import digest_json
from headstart.core.records import Dropped, Fitted, Note, metrics_from_json, to_json
from headstart.core.run import read_run
from headstart.specs import FitSpec
from headstart.verbs.common import versions

_BESIDE = {"resume": False, "trust": None, "offline": False}
"""Options that say how a run comes about and not what is in it."""


def run_folder(spec: FitSpec) -> Path:
    """Return the run's folder: as given, else runs/DATA, or runs/DATA-BASE where a base is named."""
    if spec.out is not None:
        return Path(spec.out)
    data = Path(spec.data).resolve()
    base = "" if spec.base is None else "-" + spec.base.partition(":")[2].strip("./").replace("/", "-")
    return Path("runs") / f"{data.stem or 'data'}{base}"


def checkpoint_folder(run: Path, spec: FitSpec, data_digest: str) -> Path:
    """Return where this very training keeps its checkpoints; without ``resume``, those there are removed.

    The name holds what the training depends on. Raises UserError where ``resume`` finds only others.
    """
    parent = _checkpoints(run)
    depends = {**to_json(spec), "out": None, **_BESIDE}
    key = digest_json(
        [depends, data_digest, {name: versions()[name] for name in ("headstart", "torch", "numpy")}]
    )
    if spec.resume and parent.exists() and not (parent / key[:16]).exists():
        raise UserError(
            f"{parent} holds checkpoints of another command, other data or another version",
            "checkpoints of this very command",
            "leave --resume out, which starts anew",
        )
    if not spec.resume:
        forget_checkpoints(run)
    return parent / key[:16]


def forget_checkpoints(run: Path) -> None:
    """Remove a run's checkpoints: it is finished, or starts anew."""
    shutil.rmtree(_checkpoints(run), ignore_errors=True)


def _checkpoints(run: Path) -> Path:
    return run.with_name(f".{run.name}.checkpoints")


def finished(run: Path, spec: FitSpec) -> Fitted | None:
    """Return the record of a finished run of the same spec, or None where nothing is there.

    Raises UserError where the folder holds a run of another spec, or something else.
    """
    if not run.exists():
        return None
    if not (run / "run.json").exists():
        raise UserError(
            f"{run} exists and is no run", "a folder that does not exist yet", "give another --out"
        )
    record = read_run(run)
    asked = to_json(spec)
    # An option that this version has and that run's did not is there at its default.
    of_then = {name: asked[name] for name in asked.keys() - record["spec"].keys()}
    if {**of_then, **record["spec"], **_BESIDE} != {**asked, **_BESIDE}:
        raise UserError(
            f"{run} holds a run of another command ({record['command']})",
            "a folder that does not exist yet",
            "give another --out or remove it",
        )
    try:
        return restore(record)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise MachineError(f"{run / 'run.json'} is damaged: {error!r}.") from error


def restore(record: dict[str, object]) -> Fitted:
    """Turn ``run.json`` back into its record."""
    values: dict[str, object] = dict(record)
    values["metrics"] = metrics_from_json(record["metrics"])  # type: ignore[arg-type]
    values["baselines"] = {name: metrics_from_json(one) for name, one in record["baselines"].items()}  # type: ignore[attr-defined]
    values["dropped"] = tuple(Dropped(**one) for one in record["dropped"])  # type: ignore[attr-defined]
    values["notes"] = tuple(
        Note(what=one["what"], count=one["count"], examples=tuple(one["examples"]))
        for one in record["notes"]  # type: ignore[attr-defined]
    )
    values["classes"] = tuple(record["classes"])  # type: ignore[arg-type]
    return Fitted(**values)  # type: ignore[arg-type]
