"""Debian's package descriptions to their synopses: ROUGE and wall time of ``headstart fit``.

10,000 pairs to train, 1,000 to choose by, 2,000 to test; families of packages are in one split. Nothing
but the defaults: frozen MiniLM, convex head, length and cut by validation. The target: every ROUGE above
the better of lead-1 and lead-3, the interval's lower end included.
Command: ``python -m benchmarks.summarization``; ``--home DIR`` keeps the feature store (a second run is
warm), ``--train 400 --test 200`` is a small run.
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


def run(data: Path, out: Path, home: Path) -> tuple[float, dict[str, Any]]:
    """Seconds of the whole process, and the run's record."""
    command = [sys.executable, "-m", "headstart", "fit", str(data), "--out", str(out), "--json"]
    done = measure.run(command, {"HEADSTART_HOME": str(home)})
    return done.seconds, json.loads((out / "run.json").read_text())


def judge(record: dict[str, Any]) -> dict[str, bool]:
    """Whether each metric's lower end is above the better lead."""
    leads = [record["baselines"][name] for name in ("lead-1", "lead-3")]
    return {
        name: record["metrics"][name]["low"] > max(lead[name]["value"] for lead in leads) for name in METRICS
    }


def report(record: dict[str, Any]) -> None:
    """Print the figures."""
    rows = []
    for who, figures in {"headstart": record["metrics"], **record["baselines"]}.items():
        rows.append([who, *(f"{100 * figures[name]['value']:.1f}" for name in METRICS)])
    measure.print_table(["", *METRICS], rows)


def main() -> int:
    """Fetch, run, print, record; 1 if the target is missed."""
    parser = argparse.ArgumentParser(description="Summarization on Debian's package descriptions.")
    parser.add_argument("--train", type=int, default=10_000)
    parser.add_argument("--test", type=int, default=2_000)
    parser.add_argument("--home", type=Path, help="a feature store to use (default: a fresh one)")
    options = parser.parse_args()
    try:
        pairs = debian_descriptions.CACHE / f"pairs-{options.train}-{options.test}"
        data = debian_descriptions.prepare(options.train, options.test, pairs)
        machine = measure.machine()
        with tempfile.TemporaryDirectory() as scratch:
            home = options.home or Path(scratch) / "home"
            home.mkdir(parents=True, exist_ok=True)
            seconds, record = run(data, Path(scratch) / "run", home.resolve())
    except measure.BenchmarkError as error:
        print(error, file=sys.stderr)
        return 2
    report(record)
    verdicts = judge(record)
    passed = all(verdicts.values())
    print(f"\n{'PASS' if passed else 'FAIL'}  above the better lead by more than the interval: {verdicts}")
    kept = ("metrics", "baselines", "split", "seconds", "engine", "objective", "data_digest")
    figures = {name: record[name] for name in kept}
    measure.write_result(
        NAME, {"machine": machine, "wall_s": round(seconds, 1), **figures, "verdicts": verdicts}
    )
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
