"""From nothing to a fitted and evaluated classifier: headstart against two usual ways.

400 + 400 Fashion-MNIST pictures at 224 px, EfficientNet-Lite0 with the same ImageNet weights for
all. Each contestant is a whole process timed from outside, and each repeat runs them in turn:
headstart on an empty store (cold), the same again on the store just filled (warm), rival (a), the
textbook dense head, and rival (b), the HF Trainer.
Command: ``python -m benchmarks.time_to_accuracy``; ``--only headstart`` leaves out the rivals.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks import fashion_mnist, measure

NAME = "time_to_accuracy"
TRAIN, TEST = 400, 400
IMAGE_SIZE_PX = 224
CONTESTANTS = ("headstart", "dense_head", "hf_trainer")
LABELS = {
    "headstart_cold": "headstart, cold store",
    "headstart_warm": "headstart, warm store",
    "dense_head": "(a) dense head, trunk each epoch",
    "hf_trainer": "(b) HF Trainer, everything trained",
}
SPEEDUP_OVER = {"hf_trainer": 10, "dense_head": 12}
WARM_LIMIT_S = 8.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """All repeats of one contestant, in order."""

    seconds: list[float]
    """Wall time of the whole process."""
    accuracy: list[float]
    """On the test pictures."""

    def row(self, label: str, cold_s: float | None) -> list[str]:
        """One line of the printed table; ``cold_s``: what a ratio of 1 stands for."""
        seconds = median(self.seconds)
        ratio = f"{seconds / cold_s:.2f}" if cold_s else "-"
        spread = f"{min(self.seconds):.1f}-{max(self.seconds):.1f}"
        return [label, f"{seconds:.1f}", spread, f"{median(self.accuracy):.4f}", ratio]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One target, held against the medians."""

    target: str
    found: str
    passed: bool


def run_headstart(data: Path, scratch: Path, repeat: int) -> dict[str, tuple[float, float]]:
    """Cold then warm, in a home of their own: (seconds, accuracy) of each."""
    home = scratch / f"home-{repeat}"
    home.mkdir()
    outcomes = {}
    for state in ("cold", "warm"):
        command = measure.fit_command(data, scratch / f"run-{repeat}-{state}", IMAGE_SIZE_PX)
        command += ["--seed", str(repeat)]
        done = measure.run(command, {"HEADSTART_HOME": str(home)})
        accuracy = json.loads(done.stdout)["metrics"]["accuracy"]["value"]
        outcomes[f"headstart_{state}"] = (done.seconds, float(accuracy))
    return outcomes


def run_rival(name: str, data: Path, repeat: int, workers: int) -> tuple[float, float]:
    """(Seconds, accuracy) of a rival, its last line being its JSON result."""
    module = f"benchmarks.rivals.{name}"
    options = ["--seed", str(repeat), "--workers", str(workers)]
    done = measure.run([sys.executable, "-m", module, str(data), *options])
    return done.seconds, float(json.loads(done.stdout.splitlines()[-1])["accuracy"])


def run_all(data: Path, chosen: Sequence[str], repeats: int, workers: int) -> dict[str, Outcome]:
    """Every chosen contestant ``repeats`` times, in turn; the repeat's number is the seed."""
    outcomes: dict[str, Outcome] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for repeat in range(repeats):
            done = run_headstart(data, Path(scratch), repeat) if "headstart" in chosen else {}
            for name in chosen:
                if name != "headstart":
                    done[name] = run_rival(name, data, repeat, workers)
            for name, (seconds, accuracy) in done.items():
                outcome = outcomes.setdefault(name, Outcome(seconds=[], accuracy=[]))
                outcome.seconds.append(round(seconds, 2))
                outcome.accuracy.append(round(accuracy, 4))
                print(f"{repeat + 1}: {name} {seconds:.1f} s, {accuracy:.4f}", file=sys.stderr)
    return outcomes


def judge(outcomes: dict[str, Outcome]) -> list[Verdict]:
    """The targets whose contestants were run."""
    if "headstart_cold" not in outcomes:
        return []
    cold, warm = outcomes["headstart_cold"], outcomes["headstart_warm"]
    cold_s, warm_s = median(cold.seconds), median(warm.seconds)
    verdicts = [
        Verdict(
            target=f"warm: less than {WARM_LIMIT_S:g} s",
            found=f"{warm_s:.1f} s",
            passed=warm_s < WARM_LIMIT_S,
        )
    ]
    if "hf_trainer" in outcomes:
        ours, theirs = median(cold.accuracy), median(outcomes["hf_trainer"].accuracy)
        target, found = "accuracy: at least that of (b)", f"{ours:.4f} to {theirs:.4f}"
        verdicts.append(Verdict(target=target, found=found, passed=ours >= theirs))
    for name, factor in SPEEDUP_OVER.items():
        if name in outcomes:
            times = median(outcomes[name].seconds) / cold_s
            target, found = f"cold: {factor} times as fast as {name}", f"{times:.1f} times"
            verdicts.append(Verdict(target=target, found=found, passed=times >= factor))
    return verdicts


def report(outcomes: dict[str, Outcome], verdicts: Sequence[Verdict]) -> None:
    """Print the table of medians and the verdicts."""
    cold = outcomes.get("headstart_cold")
    cold_s = median(cold.seconds) if cold else None
    rows = [outcomes[name].row(LABELS[name], cold_s) for name in LABELS if name in outcomes]
    measure.print_table(["", "seconds", "range", "accuracy", "x cold"], rows)
    print()
    for verdict in verdicts:
        print(f"{'PASS' if verdict.passed else 'FAIL'}  {verdict.target}: {verdict.found}")


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Time to accuracy: headstart and two rivals.")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, help="leave out the others")
    parser.add_argument("--workers", type=int, default=0, help="the rivals' loading processes")
    parser.add_argument("--cache", type=Path, default=fashion_mnist.CACHE, help="for the pictures")
    options = parser.parse_args()
    if options.repeats < 1:
        parser.error(f"--repeats is {options.repeats}, expected 1 or more")
    return options


def main() -> int:
    """Run, print, record; 1 if a target is missed."""
    options = parse_options()
    chosen = options.only or CONTESTANTS
    try:
        data = fashion_mnist.prepare(TRAIN, TEST, options.cache)
        machine = measure.machine()
        outcomes = run_all(data.resolve(), chosen, options.repeats, options.workers)
    except measure.BenchmarkError as error:
        print(error, file=sys.stderr)
        return 2
    verdicts = judge(outcomes)
    report(outcomes, verdicts)
    record = {
        "machine": machine,
        "pictures": {"train": TRAIN, "test": TEST, "image_size_px": IMAGE_SIZE_PX},
        "outcomes": {name: asdict(outcome) for name, outcome in outcomes.items()},
        "verdicts": [asdict(verdict) for verdict in verdicts],
    }
    # A partial run must not replace the full record.
    suffix = f"-only-{'-'.join(chosen)}" if options.only else ""
    measure.write_result(NAME + suffix, record)
    return 0 if all(verdict.passed for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
