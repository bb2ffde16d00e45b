"""What a save, a run folder and a training survive, counted: kills, refusals, damage, races.

    solved, stepped, full    fits killed with SIGKILL at random instants, gone on with, and compared to the
                             bit with one that was not: a solved head; a stepped one (accumulation,
                             averaging); full training (accumulation, augmentation, mixtures, threads)
    checkpoint               one save: killed at every call, and refused there by each of five errors,
                             once and from then on
    run                      a whole fit: killed at every call that makes its run, and refused at each
    flips, truncations       a checkpoint's files, damaged: told, and the one before is used
    races                    three processes on one run folder
    resume                   two instants by accumulation, early stopping and threads; each with all schedules

Each kind is a test of the suite, where some of the counts are smaller. Command: ``make torture``, or
``python -m benchmarks.torture --kinds checkpoint,flips --kills 25``; kinds that are not named keep their last
result. ``--kills 500`` takes hours: kills are made in rounds, what has been done is recorded, and
``--more`` adds to that.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from benchmarks import measure

NAME = "torture"
_SAVES = "tests/fitting/test_saves.py"
_ROUND = 25
KILLED = ("solved", "stepped", "full")
KINDS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    **{kind: (f"random_instants and {kind}", ("tests/verbs/test_killed.py",)) for kind in KILLED},
    "checkpoint": ("every_call", (_SAVES,)),
    "run": ("at_calls", ("tests/verbs/test_run_saves.py",)),
    "flips": ("flipped_bits", (_SAVES,)),
    "truncations": ("every_truncation", (_SAVES,)),
    "races": ("test_races", ("tests/core/test_run.py",)),
    "resume": ("resume_matrix", ("tests/fitting/test_checkpoints.py",)),
}


def tortured(kind: str, kills: int) -> dict[str, Any]:
    """Run one kind's tests; say how many times it was done, whether all went well, and how long it took."""
    expression, files = KINDS[kind]
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told.xml"
        words = [
            "-q",
            "--timeout",
            "0",
            "-k",
            expression,
            f"--junitxml={told}",
            "-o",
            "junit_family=xunit1",
            *files,
        ]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *words],
            cwd=measure.ROOT,
            env={**os.environ, "HEADSTART_TEST_KILLS": str(kills), "HEADSTART_TEST_EVERY_CALL": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        found = ElementTree.parse(told).getroot()
    if done.returncode:
        print(done.stdout[-4000:], file=sys.stderr)
    (suite,) = found.iter("testsuite")
    counts = [int(one.get("value", 0)) for one in found.iter("property") if one.get("name") == "count"]
    return {
        "count": sum(counts) if counts else int(suite.get("tests", 0)),
        "held": done.returncode == 0,
        "seconds": round(float(suite.get("time", 0)), 1),
    }


def rounds(kind: str, kills: int) -> Iterator[dict[str, Any]]:
    """Yield what each round of a kind has come to; kinds without random kills have one."""
    sizes = [kills]
    if kind in KILLED:
        sizes = [min(_ROUND, kills - begun) for begun in range(0, kills, _ROUND)]
    return (tortured(kind, size) for size in sizes)


def added(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return what two rounds have come to together."""
    return {
        "count": one["count"] + other["count"],
        "held": one["held"] and other["held"],
        "seconds": round(one["seconds"] + other["seconds"], 1),
    }


def main() -> int:
    """Torture, record; 1 if anything did not hold."""
    parser = argparse.ArgumentParser(description="Kills, refusals, damage and races, counted.")
    parser.add_argument("--kills", type=int, default=25, help="how many of each kind of training")
    parser.add_argument("--more", action="store_true", help="add to the counts that are recorded")
    parser.add_argument("--kinds", default=",".join(KINDS), help="which, with commas between")
    options = parser.parse_args()
    asked = options.kinds.split(",")
    if not set(asked) <= set(KINDS):
        parser.error(f"kinds are {', '.join(KINDS)}")
    for kind in asked:
        more = options.more
        for one in rounds(kind, options.kills):
            before = _before()  # as it is now: another may have been at it meanwhile
            found = {**before, kind: added(before[kind], one) if more and kind in before else one}
            more = True
            measure.write_result(NAME, {"machine": measure.machine(), "kinds": found})
    found = _before()
    measure.print_table(
        ["", "count", "held"],
        [[kind, str(found[kind]["count"]), "all" if found[kind]["held"] else "not all"] for kind in found],
    )
    return 0 if all(one["held"] for one in found.values()) else 1


def _before() -> dict[str, Any]:
    file = Path(__file__).parent / "results" / f"{NAME}.json"
    return dict(json.loads(file.read_text())["kinds"]) if file.exists() else {}


if __name__ == "__main__":
    sys.exit(main())
