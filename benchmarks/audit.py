"""``headstart audit`` on 10,000 and 100,000 invented texts and pictures: time, memory, and what it finds.

Every hundredth text has a word changed, and every hundredth picture is one saved anew as a JPEG: those are
near duplicates, and nothing else is. Run as ``python -m benchmarks.audit``.
"""

import argparse
import csv
import json
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.measure import BenchmarkError, headstart_command, machine, print_table, run, write_result

SIZES = (10_000, 100_000)
EVERY = 100
CLASSES = 4
WORDS, VOCABULARY = 60, 20_000
SIDE, CELLS = 64, 8
MOST_GROWTH = {"texts": 4_500, "pictures": 1_600}
"""Bytes by which memory may grow an example; of texts the reader holds the whole table."""
MOST_SLOWER, LEAST_FOUND = 1.5, 0.95
"""How many times as long an example may take among many, and the share to be found."""


def texts(folder: Path, count: int) -> None:
    """Write a table of texts of random words."""
    generator = random.Random(0)
    vocabulary = [f"w{number:x}" for number in range(VOCABULARY)]
    with (folder / "texts.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        words: list[str] = []
        for number in range(count):
            if number % EVERY == EVERY - 1:
                words[WORDS // 2] = "changed"
            else:
                words = generator.choices(vocabulary, k=WORDS)
            writer.writerow((" ".join(words), f"class{number % CLASSES}"))


def pictures(folder: Path, count: int) -> None:
    """Write folders of classes with pictures of random colours, smoothed."""
    generator = np.random.default_rng(0)
    for label in range(CLASSES):
        (folder / f"class{label}").mkdir()
    image = Image.new("RGB", (SIDE, SIDE))
    for number in range(count):
        copied = number % EVERY == EVERY - 1
        if not copied:
            cells = generator.integers(0, 256, (CELLS, CELLS, 3), dtype=np.uint8)
            image = Image.fromarray(cells).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        path = folder / f"class{number % CLASSES}" / f"{number:06d}.{'jpg' if copied else 'png'}"
        image.save(path, **({"quality": 70} if copied else {"compress_level": 1}))


def measured(make: Callable[[Path, int], None], count: int) -> dict[str, float]:
    """Audit invented data of one size in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        make(Path(name), count)
        done = run([headstart_command(), "audit", name, "--json"])
    record = json.loads(done.stdout)
    found = sum(one["kind"] == "near-duplicate" for one in record["findings"])
    if record["examples"] != count:
        raise BenchmarkError(f"{record['examples']} of {count} examples were listed")
    return {
        "examples": count,
        "seconds": round(done.seconds, 1),
        "peak_mib": round(done.peak_mib),
        "found": found,
    }


def main() -> int:
    """Measure, print, record; return 0 where all targets are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    sizes = parser.parse_args().sizes
    passed, record, rows = True, {}, []
    for what, make in (("texts", texts), ("pictures", pictures)):
        results = [measured(make, count) for count in sizes]
        small, large = results[0], results[-1]
        more = large["examples"] - small["examples"]
        growth = (large["peak_mib"] - small["peak_mib"]) * 2**20 / max(more, 1)
        slower = large["seconds"] / large["examples"] / (small["seconds"] / small["examples"])
        share = min(one["found"] * EVERY / one["examples"] for one in results)
        ok = growth <= MOST_GROWTH[what] and slower <= MOST_SLOWER and share >= LEAST_FOUND
        passed &= ok
        record[what] = {"runs": results, "bytes_an_example": round(growth), "passed": ok}
        for one in results:
            rows.append(
                (
                    what,
                    f"{one['examples']:,}",
                    f"{one['seconds']:.1f}",
                    f"{one['peak_mib']:,}",
                    f"{one['found']:,}",
                )
            )
    print_table(("data", "examples", "seconds", "peak MiB", "near duplicates"), rows)
    print("PASS" if passed else "FAIL")
    write_result("audit", {"targets_met": passed, **record, "machine": machine()})
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
