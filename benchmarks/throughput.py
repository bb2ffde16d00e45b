"""Training all weights: headstart against a plain torch loop and the HF Trainer, seconds by the epoch.

The same weights, examples, batch size and optimizer: EfficientNet-Lite0 on pictures at 224 px in batches of
32, MiniLM on texts of 128 tokens in batches of 16. An epoch is 256 examples to train on and 64 to validate
with; the first one, which warms up, is left out. Each contestant is a process; what is compared is the median
of its epochs, and its peak memory.
Command: ``python -m benchmarks.throughput``.
"""

import argparse
import csv
import json
import shutil
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from benchmarks import fashion_mnist, measure, newsgroups

NAME = "throughput"
SIZES = {"train": 256, "val": 64, "test": 40}
BASES = {
    "lite0": ("pack:efficientnet-lite0", "--image-size", "224", "--batch-size", "32"),
    "minilm": ("pack:minilm-l6", "--max-length", "128", "--batch-size", "16"),
}
CONTESTANTS = {
    "float32": "headstart",
    "bfloat16": "headstart, --precision bfloat16",
    "plain": "(a) plain torch loop",
    "hf_trainer": "(b) HF Trainer",
}
LONG_CHARACTERS = 1500
"""Texts of at least so many have more than 128 tokens, so that no batch is shorter than another."""


def pictures(out: Path) -> Path:
    """Write Fashion-MNIST in three splits."""
    source = fashion_mnist.prepare(400, 400)
    files = sorted((source / "train").glob("*/*.png"), key=lambda one: (one.stem, one.parent.name))
    start = 0
    for split, size in SIZES.items():
        for file in files[start : start + size]:
            (out / split / file.parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, out / split / file.parent.name / file.name)
        start += size
    return out


def texts(out: Path) -> Path:
    """Write 20 Newsgroups' long texts in three splits."""
    with (newsgroups.prepare(2000, 2000) / "train.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if len(row["text"]) >= LONG_CHARACTERS]
    Random(0).shuffle(rows)  # the file is in the order of the classes
    out.mkdir()
    start = 0
    for split, size in SIZES.items():
        with (out / f"{split}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["text", "label"])
            writer.writeheader()
            writer.writerows(rows[start : start + size])
        start += size
    return out


def run(contestant: str, model: str, data: Path, epochs: int) -> dict[str, Any]:
    """Return the seconds of a contestant's epochs, and the peak of its memory."""
    if contestant not in ("float32", "bfloat16"):
        command = [sys.executable, "-m", f"benchmarks.training_rivals.{contestant}", model, str(data)]
        done = measure.run([*command, "--epochs", str(epochs)])
        seconds = json.loads(done.stdout.splitlines()[-1])["epochs_s"]
        return {"epochs_s": seconds[1:], "peak_mib": round(done.peak_mib, 1)}
    with tempfile.TemporaryDirectory() as scratch:
        command = [measure.headstart_command(), "fit", str(data), "--out", f"{scratch}/run", "--base"]
        command += [*BASES[model], "--strategy", "full", "--epochs", str(epochs), "--learning-rate", "1e-4"]
        command += ["--patience", str(epochs), "--precision", contestant, "--json"]
        done = measure.run(command, {"HEADSTART_HOME": f"{scratch}/home"})
        told = json.loads((Path(scratch) / "run" / "run.json").read_text())["objective"]["epochs"]
    clock = [one["seconds"] for one in told if "epoch" in one]
    # The clock stands at the beginning of each epoch's last step: from one to the next it is an epoch.
    seconds = [round(late - early, 3) for early, late in pairwise(clock)]
    return {"epochs_s": seconds, "peak_mib": round(done.peak_mib, 1)}


def main() -> int:
    """Run, print, record; 1 if a target is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=4)
    options = parser.parse_args()
    machine, outcomes = measure.machine(), dict[str, dict[str, Any]]()
    with tempfile.TemporaryDirectory() as scratch:
        for model, make in (("lite0", pictures), ("minilm", texts)):
            data = make(Path(scratch) / model)
            outcomes[model] = {one: run(one, model, data, options.epochs) for one in CONTESTANTS}
    for model, found in outcomes.items():
        seconds = {name: median(one["epochs_s"]) for name, one in found.items()}
        rows = [
            [label, f"{SIZES['train'] / seconds[name]:.1f}", f"{found[name]['peak_mib']:.0f}"]
            for name, label in CONTESTANTS.items()
        ]
        print(model)
        measure.print_table(["", "examples/s", "peak MiB"], rows)
        best = min(("plain", "hf_trainer"), key=lambda name: seconds[name])
        for name in ("float32", "bfloat16"):
            found[name]["times_the_better"] = round(seconds[best] / seconds[name], 3)
            print(f"{CONTESTANTS[name]}: {found[name]['times_the_better']} of the better rival's speed")
    measure.write_result(NAME, {"machine": machine, "sizes": SIZES, "outcomes": outcomes})
    return int(any(found["float32"]["times_the_better"] < 1 for found in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
