"""What every benchmark shares: run a process, describe the machine, print and keep the result."""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PACKAGES = ("headstart", "torch", "timm", "transformers", "openvino", "onnxruntime")
ERROR_TAIL_LINES = 20


class BenchmarkError(Exception):
    """A benchmark could not be carried out; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One finished process, seen from outside."""

    seconds: float
    """Wall time from start to exit, interpreter start and imports included."""
    peak_mib: float
    """Largest resident memory of any single process of its tree, in MiB."""
    stdout: str
    """All it printed on standard output."""


def run(command: Sequence[str], env: Mapping[str, str] | None = None) -> Measured:
    """Run ``command`` from the repository root, ``env`` added to the environment, and measure it.

    Raises BenchmarkError, with the end of its standard error, if it fails.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        # All have all cores: a shell's own limit would hold back those that obey it.
        ours = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=ROOT, env={**ours, **(env or {})})
        try:
            # wait4 and not RUSAGE_CHILDREN, which is the largest of all children so far.
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        stdout, stderr = out.read().decode(), err.read().decode(errors="replace")
    if process.returncode != 0:
        tail = "\n".join(stderr.splitlines()[-ERROR_TAIL_LINES:])
        raise BenchmarkError(f"{' '.join(command)}\nexited with {process.returncode}:\n{tail}")
    return Measured(seconds=seconds, peak_mib=usage.ru_maxrss / 1024, stdout=stdout)


def headstart_command() -> str:
    """The ``headstart`` of this interpreter's environment, else the first one on PATH."""
    beside = Path(sys.executable).parent / "headstart"
    found = str(beside) if beside.exists() else shutil.which("headstart")
    if found is None:
        raise BenchmarkError("no headstart command found: install the repository with pip first")
    return found


def fit_command(data: Path, out: Path, image_size: int) -> list[str]:
    """The ``headstart fit`` that the benchmarks measure: a head on frozen EfficientNet-Lite0."""
    options = ["--base", "pack:efficientnet-lite0", "--strategy", "head"]
    size = ["--image-size", str(image_size)]
    return [headstart_command(), "fit", str(data), "--out", str(out), *options, *size, "--json"]


def machine() -> dict[str, object]:
    """Processors, load before the benchmark, versions and date, to record beside a result."""
    return {
        "cpus": os.cpu_count(),
        "cpu": _cpu_name(),
        "load_average_1min": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def write_result(name: str, record: Mapping[str, object], folder: Path = RESULTS) -> Path:
    """Write ``record`` to ``folder/name.json`` and say so; returns the path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(record, indent=2) + "\n")
    print(f"\nwritten to {path}")
    return path


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print ``rows`` under ``header``, first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, ["-" * width for width in widths], *rows]:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        print("  ".join(cells))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
