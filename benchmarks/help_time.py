"""``headstart --help`` must answer at once: it imports no deep-learning framework.

Medians of 11 runs each, in turn, of ``headstart --help`` and of an empty Python, which is what
the interpreter alone costs on this machine.
Command: ``python -m benchmarks.help_time``.
"""

import argparse
import sys
from statistics import median

from benchmarks import measure

NAME = "help_time"
RUNS = 11
LIMIT_S = 0.3


def main() -> int:
    """Run, print, record; 1 if help takes too long."""
    parser = argparse.ArgumentParser(description="How long headstart --help takes.")
    parser.add_argument("--runs", type=int, default=RUNS)
    runs: int = parser.parse_args().runs
    if runs < 1:
        parser.error(f"--runs is {runs}, expected 1 or more")
    machine = measure.machine()
    help_s, python_s = [], []
    try:
        help_command = [measure.headstart_command(), "--help"]
        measure.run(help_command)  # the first run compiles the modules; it is not counted
        for _ in range(runs):
            help_s.append(measure.run(help_command).seconds)
            python_s.append(measure.run([sys.executable, "-c", "pass"]).seconds)
    except measure.BenchmarkError as error:
        print(error, file=sys.stderr)
        return 2
    found, passed = median(help_s), median(help_s) < LIMIT_S
    rows = [
        [label, f"{median(seconds):.3f}", f"{min(seconds):.3f}-{max(seconds):.3f}"]
        for label, seconds in (("headstart --help", help_s), ("python -c pass", python_s))
    ]
    measure.print_table(["", "seconds", "range"], rows)
    print(f"\n{'PASS' if passed else 'FAIL'}  {found:.3f} s, target less than {LIMIT_S} s")
    record = {
        "machine": machine,
        "help_s": [round(seconds, 4) for seconds in help_s],
        "python_s": [round(seconds, 4) for seconds in python_s],
        "limit_s": LIMIT_S,
        "passed": passed,
    }
    measure.write_result(NAME, record)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
