"""Small data sets that are clean, and ways to spoil them: each with what an audit is to say of it."""

import csv
import io
import json
import os
import random
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
Spoil = Callable[[Path], Any]
WORDS = [
    f"{a}{b}"
    for a in ("ba", "de", "fi", "go", "lu", "ma", "ne", "ro")
    for b in ("k", "lm", "nt", "rs", "st", "x")
]


@dataclass(frozen=True)
class Kind:
    """A clean set, what spoils it, and the finding that is to come: its kind, file, reason, severity."""

    name: str
    clean: Callable[[Path], Path]
    spoil: Spoil
    kind: str
    file: str
    reason: str
    severity: str = ""


def picture(seed: int, side: int = 48, mode: str = "RGB") -> Image.Image:
    """Return a smooth picture unlike any other."""
    cells = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize((side, side), Image.Resampling.BILINEAR).convert(mode)


def folders(root: Path) -> Path:
    """Write three classes of eight pictures, not split."""
    for number, label in enumerate(("ant", "bee", "cow")):
        (root / label).mkdir(parents=True)
        for place in range(8):
            picture(100 * number + place).save(root / label / f"{place:02}.png")
    return root


def split_folders(root: Path) -> Path:
    """Write two classes, eight pictures each to train and four to test."""
    for start, split, count in ((0, "train", 8), (50, "test", 4)):
        for number, label in enumerate(("ant", "bee")):
            (root / split / label).mkdir(parents=True)
            for place in range(count):
                picture(1000 + 100 * number + start + place).save(
                    root / split / label / f"{start + place:02}.png"
                )
    return root


def sentence(seed: int, count: int = 14) -> str:
    """Return words in an order unlike any other."""
    return " ".join(random.Random(seed).choices(WORDS, k=count))


def text_rows(count: int = 30, **more: str) -> list[dict[str, str]]:
    """Return rows of texts of two classes."""
    return [
        {"text": sentence(place, 10 + place % 9), "label": ("good", "poor")[place % 2], **more}
        for place in range(count)
    ]


def write_csv(file: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    """Write rows as a CSV file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return file


def write_lines(file: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write rows as JSON Lines."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def texts(root: Path) -> Path:
    """Write a table of texts, not split."""
    return write_csv(root / "texts.csv", text_rows())


def split_texts(root: Path) -> Path:
    """Write tables of texts to train and to test."""
    rows = text_rows(50)
    write_csv(root / "train.csv", rows[:30])
    write_csv(root / "test.csv", rows[30:])
    return root


def real_pairs(count: int = 300) -> list[dict[str, str]]:
    """Return English sentences with their French translations, all different and neither short nor long."""
    lines = (ROOT / "examples" / "translation" / "pairs.jsonl").read_text(encoding="utf-8").splitlines()
    found: dict[str, dict[str, str]] = {}
    for line in lines[:: len(lines) // 1500]:
        row = json.loads(line)
        if (
            5 <= len(row["en"].split()) <= 20
            and "%" not in row["en"]
            and "<" not in row["en"]
            and "{" not in row["en"]
        ):
            found.setdefault(
                " ".join(sorted(set(row["en"].lower().split()))[:4]), {"en": row["en"], "fr": row["fr"]}
            )
    return list(found.values())[:count]


def pairs(root: Path) -> Path:
    """Write sentences with their translations, to train and to test."""
    rows = real_pairs()
    write_lines(root / "train.jsonl", rows[:240])
    write_lines(root / "test.jsonl", rows[240:])
    return root


def summaries(root: Path) -> Path:
    """Write documents with their summaries, to train and to test."""
    rows = [
        {"document": ". ".join(sentence(9 * n + k) for k in range(4)), "summary": sentence(5000 + n, 8)}
        for n in range(20)
    ]
    write_lines(root / "train.jsonl", rows[:14])
    write_lines(root / "test.jsonl", rows[14:])
    return root


def scenes(root: Path) -> Path:
    """Write pictures with masks of three classes."""
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    for number in range(10):
        picture(7000 + number).save(root / "images" / f"{number:02}.png")
        values = np.zeros((48, 48), np.uint8)
        values[number : number + 20, 5:30] = 1
        values[30:44, number : number + 25] = 2
        Image.fromarray(values).save(root / "masks" / f"{number:02}.png")
    (root / "classes.txt").write_text("ground\ntree\nroad\n")
    return root


CLEAN = {one.__name__: one for one in (folders, split_folders, texts, split_texts, pairs, summaries, scenes)}


def put(path: str, content: bytes | str) -> Spoil:
    """Return what writes a file."""

    def spoil(root: Path) -> None:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    return spoil


def saved(path: str, image: Callable[[Path], Image.Image], **options: Any) -> Spoil:
    """Return what writes a picture, made of the data as they are."""

    def spoil(root: Path) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        image(root).save(root / path, **options)

    return spoil


def copied(source: str, target: str) -> Spoil:
    """Return what copies a file."""
    return lambda root: shutil.copy(root / source, root / target)


def opened(path: str) -> Callable[[Path], Image.Image]:
    """Return what opens a picture of the data."""
    return lambda root: Image.open(root / path).convert("RGB")


def cut_short(path: str, count: int) -> Spoil:
    """Return what keeps only the first bytes of a file."""
    return lambda root: (root / path).write_bytes((root / path).read_bytes()[:count])


def rows_of(file: Path) -> list[dict[str, Any]]:
    """Return a table's rows."""
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    with file.open(newline="", encoding="utf-8") as opened_file:
        return list(csv.DictReader(opened_file))


def changed(name: str, change: Callable[[list[dict[str, Any]]], Any]) -> Spoil:
    """Return what changes a table's rows in place."""

    def spoil(root: Path) -> None:
        file = root / name if root.is_dir() else root
        rows = rows_of(file)
        change(rows)
        (write_lines if file.suffix == ".jsonl" else write_csv)(file, rows)

    return spoil


def moved_rows(source: str, place: int, target: str, **more: Any) -> Spoil:
    """Return what copies a row of one table to the end of another."""

    def spoil(root: Path) -> None:
        row = {**rows_of(root / source)[place], **more}
        changed(target, lambda rows: rows.append(row))(root)

    return spoil


def gif(frames: int) -> bytes:
    """Return an animation."""
    buffer = io.BytesIO()
    images = [picture(9000 + place) for place in range(frames)]
    images[0].save(buffer, "GIF", save_all=True, append_images=images[1:])
    return buffer.getvalue()


def bomb() -> bytes:
    """Return a PNG whose header claims 20,000 by 20,000 pixels."""
    import struct
    import zlib

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 100))
        + chunk(b"IEND", b"")
    )


def turned() -> Image.Exif:
    """Return EXIF data that say: turn to the right."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def frames(root: Path, names: Callable[[int, int], str]) -> None:
    """Replace a split set's pictures by those of six videos, half of each in test."""
    shutil.rmtree(root)
    for video in range(6):
        for frame in range(4):
            split = ("train", "test")[frame % 2]
            folder = root / split / ("ant", "bee")[video % 2]
            folder.mkdir(parents=True, exist_ok=True)
            picture(3000 + 10 * video + frame).save(folder / names(video, frame))


def every(root: Path, change: Callable[[Path], Any], pattern: str) -> None:
    """Change every file that fits a pattern."""
    for file in sorted(root.glob(pattern)):
        change(file)


def as_jpeg(file: Path) -> None:
    """Save a picture as a JPEG in place of itself."""
    Image.open(file).save(file.with_suffix(".jpg"), quality=95)
    file.unlink()


def resized(side: int) -> Callable[[Path], None]:
    """Return what gives a picture another size."""
    return lambda file: Image.open(file).resize((side, side)).save(file)


def link(target: str, path: str) -> Spoil:
    """Return what makes a link."""
    return lambda root: os.symlink(root / target, root / path)


def lone_pixel(root: Path) -> None:
    """Add large masks, and among all their pixels one of a fourth class."""
    (root / "classes.txt").write_text("ground\ntree\nroad\nbird\n")
    for number in range(6):
        picture(7500 + number, 160).save(root / "images" / f"n{number}.png")
        values = np.zeros((160, 160), np.uint8)
        values[:80] = 1
        values[0, 0] = 3 if number == 0 else 1
        Image.fromarray(values).save(root / "masks" / f"n{number}.png")
