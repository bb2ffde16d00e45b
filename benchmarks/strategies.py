"""Strategies and penalties side by side, each from several seeds, on two sets of pictures and two of texts.

Every run is ``headstart fit`` with its defaults but for what is compared, on one core, on the same examples
a seed; the pretrained model's features are in the store beforehand. The figure is the accuracy on the test
split; its difference from ``head`` is paired by seed, with a 95% t interval over seeds. ``auto`` has a budget
of five minutes, and is compared with the fixed strategy that did best on average. Runs that are already
recorded are not done again.
Command: ``python -m benchmarks.strategies``; ``--seeds 1 --data emoji`` is short, ``--again`` only prints.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from benchmarks import fashion_mnist, measure, newsgroups

NAME = "strategies"
EXAMPLES = measure.ROOT / "examples"
PICTURES, TEXTS = (400, 400), (200, 300)  # to train on, to test on
DATA: Mapping[str, tuple[str, ...]] = {
    "emoji": ("--image-size", "64"),
    "fashion": ("--image-size", "64"),
    "mail": ("--max-length", "32"),
    "newsgroups": ("--max-length", "32"),
}
PENALTIES = ("l2", "l1", "l2-sp", "delta", "bss")
FIXED: Mapping[str, tuple[str, ...]] = {
    **{one: ("--strategy", one) for one in ("head", "last-2", "lora", "full", "head-then-full")},
    **{f"head-then-full, {one}": ("--strategy", "head-then-full", "--penalty", one) for one in PENALTIES},
}
AUTO = "auto"
ARMS = {**FIXED, AUTO: ("--strategy", "auto", "--budget", "5m")}

Runs = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""A data set's figures by arm, then by seed as text."""


def prepared(data: str) -> Path:
    """Return the folder or table of a data set, made if it is not there."""
    if data == "fashion":
        return fashion_mnist.prepare(*PICTURES)
    if data == "newsgroups":
        return newsgroups.prepare(*TEXTS)
    return EXAMPLES / {"emoji": "emoji/noto", "mail": "mail/mails.csv"}[data]


def fitted(data: str, arm: str, seed: int, home: str) -> dict[str, Any]:
    """Return one run's figures; it may use the cores of the calling thread."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [measure.headstart_command(), "fit", str(prepared(data)), "--out", f"{scratch}/run"]
        command += ["--seed", str(seed), "--engine", "torch", *DATA[data], *ARMS[arm], "--json"]
        begun_s = time.monotonic()
        told = json.loads(measure.run(command, {"HEADSTART_HOME": home}).stdout)
    figures = {name: told["metrics"][name]["value"] for name in ("accuracy", "log_loss")}
    return {"strategy": told["strategy"], "seconds": round(time.monotonic() - begun_s, 1), **figures}


def measure_all(record: dict[str, Any], data: Sequence[str], seeds: int) -> None:
    """Do every run that the record lacks, one a core at a time; the record is written after each."""
    cores, lock = os.sched_getaffinity(0), threading.Lock()
    free = list(cores)
    missing = [
        (name, arm, seed)
        for seed, name, arm in product(range(seeds), data, ARMS)
        if str(seed) not in record["runs"].setdefault(name, {}).setdefault(arm, {})
    ]

    def one(asked: tuple[str, str, int]) -> None:
        name, arm, seed = asked
        with lock:
            core = free.pop()
        os.sched_setaffinity(0, {core})  # of this thread, and of what it starts
        try:
            found = fitted(name, arm, seed, home)
        finally:
            with lock:
                free.append(core)
        with lock:
            record["runs"][name][arm][str(seed)] = found
            measure.write_result(NAME, record)
            print(f"{name}, {arm}, seed {seed}: {found}", flush=True)

    if missing:
        record["machine"] = measure.machine()
    with tempfile.TemporaryDirectory() as home, ThreadPoolExecutor(len(cores)) as pool:
        for name in sorted({name for name, _, _ in missing}):
            fitted(name, "head", 0, home)  # the pretrained model's features: in the store from here on
        list(pool.map(one, missing))


def gained(runs: Runs, arm: str, over: str, figure: str = "accuracy") -> np.ndarray:
    """Return an arm's figure less another's, for each seed that both have."""
    both = sorted(set(runs[arm]) & set(runs[over]))
    return np.array([runs[arm][seed][figure] - runs[over][seed][figure] for seed in both])


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Return a mean and its 95% t interval; without bounds from a single value."""
    mean = float(values.mean())
    if len(values) < 2:
        return mean, -np.inf, np.inf
    half = float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half


def report(data: str, runs: Runs) -> bool:
    """Print a data set's table; say whether ``auto`` reaches the best fixed arm within the interval."""
    print(f"\n{data}, {len(runs['head'])} seeds")
    measure.print_table(["", "accuracy", "above head", "log loss", "seconds"], list(_rows(runs)))
    best = max(FIXED, key=lambda arm: np.mean([one["accuracy"] for one in runs[arm].values()]))
    mean, low, high = interval(gained(runs, AUTO, best))
    reached = high >= 0
    said = f"auto less the best fixed ({best}): {mean:+.3f}, {low:+.3f} to {high:+.3f}"
    print("PASS" if reached else "FAIL", said)
    return reached


def _rows(runs: Runs) -> Iterator[list[str]]:
    for arm, found in runs.items():
        accuracy, loss, seconds = (
            np.mean([one[name] for one in found.values()]) for name in ("accuracy", "log_loss", "seconds")
        )
        mean, low, high = interval(gained(runs, arm, "head"))
        above = "" if arm == "head" else f"{mean:+.3f}, {low:+.3f} to {high:+.3f}"
        yield [arm, f"{accuracy:.3f}", above, f"{loss:.3f}", f"{seconds:.0f}"]


def main() -> int:
    """Fit, print, record; 1 where ``auto`` falls behind."""
    parser = argparse.ArgumentParser(description="Strategies and penalties on small data.")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data", choices=DATA, help="one data set alone")
    parser.add_argument("--again", action="store_true", help="only print what is recorded")
    options = parser.parse_args()
    data = [options.data] if options.data else list(DATA)
    path = measure.RESULTS / f"{NAME}.json"
    record = json.loads(path.read_text()) if path.exists() else {"machine": measure.machine(), "runs": {}}
    if not options.again:
        measure_all(record, data, options.seeds)
    reached = [report(name, record["runs"][name]) for name in data if record["runs"].get(name)]
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
