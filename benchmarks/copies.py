"""What ``audit`` and ``audit --deep`` find of copies that were changed, on real pictures and texts.

To emoji, and to texts of 20 Newsgroups of 20 words and more, one changed copy of each third example is
added, the kinds of change taking turns. A copy is found where it is named beside its own original; what else
is named as nearly the same, be it right or not, is counted as other.
Command: ``python -m benchmarks.copies``.
"""

import argparse
import csv
import json
import random
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from benchmarks import measure, newsgroups

NAME = "copies"
EMOJI = measure.ROOT / "examples/emoji/noto"
EVERY, WORDS = 3, 20
LEAST_FOUND, MOST_OTHER = 0.8, 0.01
"""The share of each kind of copy that ``--deep`` is to find, and how many other findings an example."""

Origins = dict[str, tuple[str, str]]
"""A copy's name, its original's, and how it was changed."""


def _cut(picture: Image.Image, share: float) -> Image.Image:
    """Return a corner's worth of a picture, so much of each side."""
    width, height = (round(side * share) for side in picture.size)
    left, top = picture.width - width, (picture.height - height) // 2
    return picture.crop((left, top, left + width, top + height))


PICTURES: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    "smaller, as JPEG": lambda one: one.resize((one.width * 3 // 4, one.height * 3 // 4)),
    "mirrored": ImageOps.mirror,
    "turned": lambda one: one.transpose(Image.Transpose.ROTATE_90),
    "cut to 90% of each side": lambda one: _cut(one, 0.9),
    "cut to 80% of each side": lambda one: _cut(one, 0.8),
    "cut to 80%, mirrored": lambda one: ImageOps.mirror(_cut(one, 0.8)),
}


def _spoilt(text: str, share: float, source: random.Random, put: str | None) -> str:
    """Return a text with a share of its words left out, or something put in their place."""
    words = text.split()
    hit = set(source.sample(range(len(words)), round(len(words) * share)))
    kept = (put if place in hit else word for place, word in enumerate(words))
    return " ".join(word for word in kept if word is not None)


def _reordered(text: str, source: random.Random) -> str:
    """Return a text whose sentences are in another order."""
    parts = re.split(r"(?<=[.!?]) +", text)
    source.shuffle(parts)
    return " ".join(parts)


TEXTS: Mapping[str, Callable[[str, random.Random], str]] = {
    "a twentieth of the words left out": lambda text, source: _spoilt(text, 0.05, source, None),
    "a fifth of the words left out": lambda text, source: _spoilt(text, 0.2, source, None),
    "a fifth of the words replaced": lambda text, source: _spoilt(text, 0.2, source, "otherwise"),
    "sentences in another order": _reordered,
}


def pictures(folder: Path) -> tuple[Path, Origins]:
    """Write emoji and changed copies of them, in the same folders."""
    data, found, kinds = folder / "pictures", Origins(), list(PICTURES)
    shutil.copytree(EMOJI, data)
    for number, path in enumerate(sorted(data.rglob("*.png"))[::EVERY]):
        kind = kinds[number % len(kinds)]
        copy = path.with_name(f"{path.stem}_again.jpg")
        with Image.open(path) as image:
            rgba = image.convert("RGBA")
        white = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
        PICTURES[kind](white).save(copy, quality=85)
        found[copy.relative_to(data).as_posix()] = path.relative_to(data).as_posix(), kind
    return data, found


def texts(folder: Path) -> tuple[Path, Origins]:
    """Write texts and changed copies of them, each in a file of its own."""
    source, found, kinds = random.Random(0), Origins(), list(TEXTS)
    with (newsgroups.prepare(200, 300) / "test.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if len(row["text"].split()) >= WORDS]
    data = folder / "texts"
    for number, row in enumerate(rows):
        name = f"{row['label']}/{number:04d}"
        (data / row["label"]).mkdir(parents=True, exist_ok=True)
        (data / f"{name}.txt").write_text(row["text"], encoding="utf-8")
        if number % EVERY == 0:
            kind = kinds[number // EVERY % len(kinds)]
            (data / f"{name}_again.txt").write_text(TEXTS[kind](row["text"], source), encoding="utf-8")
            found[f"{name}_again.txt"] = f"{name}.txt", kind
    return data, found


def named(data: Path, deep: bool, home: str) -> tuple[int, float, list[list[str]]]:
    """Return how many examples were audited, the seconds, and what is named together as nearly the same."""
    command = [measure.headstart_command(), "audit", str(data), "--json", *(["--deep"] if deep else [])]
    done = measure.run(command, {"HEADSTART_HOME": home})
    told = json.loads(done.stdout)
    groups = [one["files"] for one in told["findings"] if one["kind"] in ("near-duplicate", "duplicate")]
    return told["examples"], done.seconds, groups


def compared(what: str, data: Path, origins: Origins, home: str) -> tuple[dict[str, Any], bool]:
    """Audit quickly and deeply; print what was found of each kind; return that, and whether it is enough."""
    kinds = list(dict.fromkeys(kind for _, kind in origins.values()))
    record: dict[str, Any] = {"planted": {}, "quick": {}, "deep": {}}
    for kind in kinds:
        record["planted"][kind] = sum(one == kind for _, one in origins.values())
    for way in ("quick", "deep"):
        examples, seconds, groups = named(data, way == "deep", home)
        together = {(one, other) for group in groups for one in group for other in group}
        for kind in kinds:
            hits = [(copy, first) in together for copy, (first, how) in origins.items() if how == kind]
            record[way][kind] = sum(hits)
        pairs = {(copy, first) for copy, (first, _) in origins.items()}
        others = sum(not pairs & {(one, other) for one in group for other in group} for group in groups)
        record[way] |= {"others": others, "seconds": round(seconds, 1)}
    rows = [[kind, *(str(record[way][kind]) for way in ("planted", "quick", "deep"))] for kind in kinds] + [
        [name, "", *(str(record[way][name]) for way in ("quick", "deep"))] for name in ("others", "seconds")
    ]
    measure.print_table([f"{what}, {examples:,}", "planted", "audit", "audit --deep"], rows)
    enough = all(record["deep"][kind] >= LEAST_FOUND * record["planted"][kind] for kind in kinds)
    return record, enough and record["deep"]["others"] <= MOST_OTHER * examples


def main() -> int:
    """Plant, audit, print, record; 1 where too little is found, or too much else."""
    argparse.ArgumentParser(description="Changed copies that audit finds.").parse_args()
    record, passed = dict[str, Any](), True
    with tempfile.TemporaryDirectory() as name:
        for what, make in (("pictures", pictures), ("texts", texts)):
            record[what], enough = compared(what, *make(Path(name)), name)
            passed &= enough
    print("PASS" if passed else "FAIL")
    measure.write_result(NAME, {"machine": measure.machine(), "passed": passed, **record})
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
