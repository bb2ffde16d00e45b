"""Debian's package descriptions to their synopses: three heads with the same time, and the leads.

10,000 pairs to train, 1,000 to choose by, 2,000 to test; families of packages are in one split. The arms:
``extractive`` is the default, sentences chosen on frozen features and cut; ``warm`` writes, by a new decoder
above the frozen pretrained encoder; ``random`` is the same above the same encoder with random weights. Each
may take 10 minutes from data to model on 2 cores. The target: every ROUGE of the default above the best of
lead-1 and lead-3, the lower end of its interval included.
Command: ``python -m benchmarks.summarization``; ``--only extractive`` runs one arm and records it in a file
of its own; ``--home DIR`` keeps the feature store; ``--train 400 --test 200 --steps 20s`` is a small run.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import debian_descriptions, measure

NAME = "summarization"
METRICS = ("rouge1", "rouge2", "rougeL", "rougeLsum")


ARMS = {"extractive": (), "warm": ("--head", "writer"), "random": ("--head", "writer", "--random-init")}
WRITTEN = 5


def run(arm: str, data: Path, folder: Path, home: Path, steps: str) -> dict[str, Any]:
    """One arm's run: its record, with the seconds of the whole process, and some of what it wrote."""
    out = folder / arm
    budget = ("--budget", steps) if ARMS[arm] else ()
    words = ["fit", str(data), "--out", str(out), *ARMS[arm], *budget, "--json"]
    command = [sys.executable, "-m", "headstart", *words]
    done = measure.run(command, {"HEADSTART_HOME": str(home)})
    record = json.loads((out / "run.json").read_text())
    tables = json.loads((out / "evaluation.json").read_text())["sections"]
    written = {table["title"]: [row[:4] for row in table["rows"][:WRITTEN]] for table in tables}
    kept = ("metrics", "baselines", "split", "seconds", "engine", "objective", "data_digest")
    return {"wall_s": round(done.seconds, 1), **{name: record[name] for name in kept}, "examples": written}


def judge(record: dict[str, Any]) -> dict[str, bool]:
    """Whether each metric's lower end is above the better lead."""
    leads = [record["baselines"][name] for name in ("lead-1", "lead-3")]
    return {
        name: record["metrics"][name]["low"] > max(lead[name]["value"] for lead in leads) for name in METRICS
    }


def report(records: dict[str, dict[str, Any]]) -> None:
    """Print the figures: each arm, then what all are measured by."""
    rows = []
    for arm, record in records.items():
        seconds = record["seconds"]["features"] + record["seconds"]["head"]
        figures = (f"{100 * record['metrics'][name]['value']:.1f}" for name in METRICS)
        rows.append([arm, *figures, f"{seconds:.0f}"])
    for name, figures in next(iter(records.values()))["baselines"].items():
        rows.append([name, *(f"{100 * figures[one]['value']:.1f}" for one in METRICS), ""])
    measure.print_table(["", *METRICS, "seconds to the model"], rows)


def main() -> int:
    """Fetch, run, print, record; 1 if the target is missed."""
    parser = argparse.ArgumentParser(description="Summarization on Debian's package descriptions.")
    parser.add_argument("--train", type=int, default=10_000)
    parser.add_argument("--test", type=int, default=2_000)
    parser.add_argument("--steps", default="8m", help="time for gradient steps, features come on top")
    parser.add_argument("--only", choices=ARMS, help="run one arm")
    parser.add_argument("--home", type=Path, help="a feature store to use (default: a fresh one)")
    options = parser.parse_args()
    try:
        pairs = debian_descriptions.CACHE / f"pairs-{options.train}-{options.test}"
        data = debian_descriptions.prepare(options.train, options.test, pairs)
        machine = measure.machine()
        with tempfile.TemporaryDirectory() as scratch:
            home = options.home or Path(scratch) / "home"
            home.mkdir(parents=True, exist_ok=True)
            records = {
                arm: run(arm, data, Path(scratch), home.resolve(), options.steps)
                for arm in ([options.only] if options.only else ARMS)
            }
    except measure.BenchmarkError as error:
        print(error, file=sys.stderr)
        return 2
    report(records)
    verdicts = judge(records["extractive"]) if "extractive" in records else {}
    passed = all(verdicts.values())
    if verdicts:
        print(f"\n{'PASS' if passed else 'FAIL'}  the default is above the better lead: {verdicts}")
    name = f"{NAME}-only-{options.only}" if options.only else NAME
    measure.write_result(name, {"machine": machine, "arms": records, "verdicts": verdicts})
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
