"""Strategies and penalties side by side, each from several seeds, on small sets of pictures and texts.

Every run is ``headstart fit`` with its defaults but for what is compared, on the same split a seed. The
figure is the accuracy on the test split; its difference from ``head`` is paired by seed.
Command: ``python -m benchmarks.strategies``; ``--seeds 1 --data emoji`` is a short run.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import headstart
from benchmarks import measure

NAME = "strategies"
EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
DATA: Mapping[str, tuple[Path, dict[str, Any]]] = {
    "emoji": (EXAMPLES / "emoji" / "noto", {"image_size": 64}),
    "mail": (EXAMPLES / "mail" / "mails.csv", {"max_length": 48}),
}
ARMS: Mapping[str, dict[str, Any]] = {
    "head": {},
    "last-2": {"strategy": "last-2"},
    "lora": {"strategy": "lora"},
    "full": {"strategy": "full"},
    "head-then-full": {"strategy": "head-then-full"},
    "auto": {"strategy": "auto"},
    **{
        f"head-then-full, {penalty}": {"strategy": "head-then-full", "penalty": penalty}
        for penalty in ("l2", "l1", "l2-sp", "delta", "bss")
    },
}


def fitted(data: str, arm: str, seed: int, folder: Path) -> dict[str, Any]:
    """Return one run's figures."""
    path, sizes = DATA[data]
    begun_s = time.monotonic()
    out = str(folder / f"{data}-{arm}-{seed}")
    run = headstart.fit(str(path), out=out, seed=seed, engine="torch", **sizes, **ARMS[arm])
    figures = {name: run.metrics[name].value for name in ("accuracy", "log_loss")}
    return {"strategy": run.strategy, "seconds": round(time.monotonic() - begun_s, 1), **figures}


def mean_and_error(values: list[float]) -> str:
    """Return a mean with its standard error over seeds."""
    error = f" ± {np.std(values, ddof=1) / np.sqrt(len(values)):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):+.3f}{error}"


def report(data: str, found: Mapping[str, list[dict[str, Any]]]) -> None:
    """Print a data set's table."""
    rows = []
    for arm, runs in found.items():
        pairs = zip(runs, found["head"], strict=True)
        gained = mean_and_error([one["accuracy"] - base["accuracy"] for one, base in pairs])
        means = (np.mean([one[name] for one in runs]) for name in ("accuracy", "log_loss", "seconds"))
        accuracy, loss, seconds = means
        rows.append(
            [arm, f"{accuracy:.3f}", gained if arm != "head" else "", f"{loss:.3f}", f"{seconds:.0f}"]
        )
    print(f"\n{data}")
    measure.print_table(["", "accuracy", "above head", "log loss", "seconds"], rows)


def main() -> int:
    """Fit, print, record."""
    parser = argparse.ArgumentParser(description="Strategies and penalties on small data.")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data", choices=DATA, help="one data set alone")
    options = parser.parse_args()
    record: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for data in [options.data] if options.data else DATA:
            seeds = range(options.seeds)
            record[data] = {arm: [fitted(data, arm, seed, Path(scratch)) for seed in seeds] for arm in ARMS}
            report(data, record[data])
    measure.write_result(NAME, {"machine": measure.machine(), "seeds": options.seeds, "runs": record})
    return 0


if __name__ == "__main__":
    sys.exit(main())
