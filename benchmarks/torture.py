"""Fits killed with SIGKILL at random instants, gone on with, and compared to the bit with one that was not.

Three kinds: a solved head, a stepped one (accumulation, averaging), and full training (accumulation,
augmentation, mixtures, reading threads). The suite does the same with 3 kills each; this records how many
were done. Command: ``python -m benchmarks.torture``, or ``make torture``; ``--kills 500`` takes hours.
"""

import argparse
import os
import re
import subprocess
import sys

from benchmarks import measure

NAME = "torture"
KINDS = ("solved", "stepped", "full")
TEST = "tests/verbs/test_killed.py"


def killed(kind: str, kills: int) -> dict[str, object]:
    """Run one kind; say how it ended, and how long it took."""
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--timeout",
        "0",
        "-k",
        f"random_instants and {kind}",
        TEST,
    ]
    done = subprocess.run(
        words,
        env={**os.environ, "HEADSTART_TEST_KILLS": str(kills)},
        capture_output=True,
        text=True,
        check=False,
    )
    told = re.search(r"(\d+) passed.* in ([0-9.]+)s", done.stdout)
    if not told:
        print(done.stdout[-2000:], file=sys.stderr)
    return {"kills": kills, "identical": bool(told), "seconds": float(told[2]) if told else None}


def main() -> int:
    """Kill, compare, record; 1 if anything differed."""
    parser = argparse.ArgumentParser(description="Fits killed at random instants, compared to the bit.")
    parser.add_argument("--kills", type=int, default=25, help="how many of each kind")
    options = parser.parse_args()
    found = {kind: killed(kind, options.kills) for kind in KINDS}
    measure.print_table(
        ["", "kills", "identical"],
        [[kind, str(one["kills"]), "all" if one["identical"] else "not all"] for kind, one in found.items()],
    )
    measure.write_result(NAME, {"machine": measure.machine(), "kinds": found})
    return 0 if all(one["identical"] for one in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
