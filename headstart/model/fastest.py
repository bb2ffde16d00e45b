"""The fastest engine that computes the reference's numbers, found by a short measurement.

No engine wins everywhere, so each is timed on a few of the user's own examples; one that does not
reproduce torch within tolerance is out, however fast. The answer is remembered per machine, engine
versions and trunk.
"""

import json
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from headstart.contracts import Compiled, Engine, Floats, Inputs, Trunk
from headstart.core import plugins
from headstart.core.errors import EngineUnavailable
from headstart.core.files import digest_json, home, write_json
from headstart.core.memory import OutOfMemory, memory_watched
from headstart.core.threads import cores

REFERENCE = "torch"
TOLERANCES = {"float32": 1e-4, "bfloat16": 1e-1}
"""Largest difference from torch in float32, by precision, as a share of the feature's largest magnitude."""
_MEASURE_S = 0.3
_MEASURE_EXAMPLES = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """Which engine runs a trunk here, the rates measured, and why others were left out."""

    name: str
    examples_per_s: Mapping[str, float]
    left_out: Mapping[str, str]
    remembered: bool


def fastest(trunk: Trunk, batch: Inputs, wanted: str | None = None) -> tuple[Choice, Compiled]:
    """Return the fastest faithful engine for a trunk, and what runs there.

    The two are apart because a choice is kept to be told, and what runs takes hundreds of MiB.
    ``batch`` holds real inputs. ``wanted`` names an engine to use without measuring. Raises
    EngineUnavailable where the wanted one cannot run.
    """
    if wanted is not None:
        run = plugins.load("engine", wanted).compile(trunk)
        return Choice(name=wanted, examples_per_s={}, left_out={}, remembered=False), run
    path = _note(trunk)
    remembered = _recall(path)
    if remembered is not None:
        try:
            run = plugins.load("engine", remembered["name"]).compile(trunk)
            return Choice(**remembered, remembered=True), run
        except EngineUnavailable:
            path.unlink(missing_ok=True)  # the machine has changed under the note: measure anew
    return _measure(trunk, batch, path)


def remembered_rate(trunk: Trunk) -> float | None:
    """Return the examples a second of the fastest engine, as it was measured here; None where it was not."""
    note = _recall(_note(trunk))
    return None if note is None else float(note["examples_per_s"][note["name"]])


def _note(trunk: Trunk) -> Path:
    return home() / "engines" / f"{digest_json([_machine(), _versions(), trunk.key])}.json"


def _measure(trunk: Trunk, batch: Inputs, path: Path) -> tuple[Choice, Compiled]:
    few = {name: array[:_MEASURE_EXAMPLES] for name, array in batch.items()}
    reference: Engine = plugins.load("engine", REFERENCE)
    reference_run = reference.compile(trunk)
    first = exact = _Timed.of(reference_run, few)
    if trunk.precision != "float32":
        exact = _Timed.of(reference.compile(replace(trunk, precision="float32")), few)
    runs: dict[str, Compiled] = {REFERENCE: reference_run}
    rates: dict[str, float] = {REFERENCE: _rate(reference_run, few, first.seconds)}
    left_out, tolerance = dict[str, str](), TOLERANCES[trunk.precision]
    for name in plugins.names("engine"):
        if name == REFERENCE:
            continue
        try:
            with memory_watched():
                run = plugins.load("engine", name).compile(trunk)
                timed = _Timed.of(run, few)
        except EngineUnavailable as error:
            left_out[name] = str(error)
            continue
        except OutOfMemory:
            left_out[name] = f"out of memory on {len(next(iter(few.values())))} examples"
            continue
        apart = difference(timed.features_ND, exact.features_ND)
        if apart > tolerance:
            left_out[name] = f"differs from {REFERENCE} by {apart:.1e}, more than {tolerance:.0e}"
            continue
        runs[name], rates[name] = run, _rate(run, few, timed.seconds)
    best = max(rates, key=lambda name: rates[name])
    write_json(path, {"name": best, "examples_per_s": rates, "left_out": left_out})
    return Choice(name=best, examples_per_s=rates, left_out=left_out, remembered=False), runs[best]


@dataclass(frozen=True, slots=True)
class _Timed:
    features_ND: Floats
    seconds: float

    @staticmethod
    def of(run: Compiled, batch: Inputs) -> "_Timed":
        start = time.perf_counter()
        features_ND = run(batch)
        return _Timed(features_ND, time.perf_counter() - start)


def difference(features_ND: Floats, reference_ND: Floats) -> float:
    """Return the largest difference as a share of the largest magnitude in the reference."""
    if features_ND.shape != reference_ND.shape or not np.isfinite(features_ND).all():
        return float("inf")
    return float(np.abs(features_ND - reference_ND).max() / max(float(np.abs(reference_ND).max()), 1e-12))


def _rate(run: Compiled, batch: Inputs, first_s: float) -> float:
    """Return examples a second: the best of the runs that fit the time.

    A first run that took longer than that is answer enough; otherwise it was the warm-up.
    """
    best_s, spent_s = (first_s, first_s) if first_s > _MEASURE_S * 2 else (float("inf"), 0.0)
    while spent_s < _MEASURE_S:
        elapsed_s = _Timed.of(run, batch).seconds
        best_s, spent_s = min(best_s, elapsed_s), spent_s + elapsed_s
    return round(len(next(iter(batch.values()))) / best_s, 1)


def _recall(path: Path) -> dict[str, Any] | None:
    try:
        note = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    whole = isinstance(note, dict) and set(note) == {"name", "examples_per_s", "left_out"}
    return note if whole and note["name"] in plugins.names("engine") else None


def _versions() -> dict[str, str]:
    """Return the installed engines' versions, without importing one."""
    import importlib.metadata

    found = {}
    for name in (*plugins.names("engine"), "onnx"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


@cache
def _machine() -> str:
    """Name this machine's processor and how many cores we may use."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line for line in lines if line.startswith("model name")), model)
    except OSError:
        pass
    return f"{model} x {cores()}"
