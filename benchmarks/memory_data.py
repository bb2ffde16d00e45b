"""Invented test data of every kind but plain pictures, in any number, each example unlike the others.

Short and small on purpose: what is measured is what ``evaluate`` keeps of an example, not how it is read.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

FIT = 200
"""Examples to fit on."""
_WORDS = (
    *("river", "stone", "cloud", "letter", "engine", "garden"),
    *("window", "market", "silver", "winter", "bridge", "candle"),
)
_CLASSES = ("north", "south")
_SIDE_PX = 32


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of data: what writes some examples, numbered from a first one, and options of its ``fit``."""

    write: Callable[[Path, int, int], Path]
    options: Sequence[str]


def _said(number: int, words: int = 5) -> str:
    """Return words that no other number has: they spell it."""
    digits = [_WORDS[number // len(_WORDS) ** place % len(_WORDS)] for place in range(words)]
    return f"{_CLASSES[number % 2]} {' '.join(digits)}."


def _lines(folder: Path, first: int, count: int, row: Callable[[int], Mapping[str, str]]) -> Path:
    def told() -> Iterator[str]:
        return (json.dumps(row(number)) + "\n" for number in range(first, first + count))

    folder.mkdir(parents=True)
    path = folder / "data.jsonl"
    with path.open("w") as file:
        file.writelines(told())
    return path


def texts(folder: Path, first: int, count: int) -> Path:
    """Write texts of two classes."""
    return _lines(folder, first, count, lambda one: {"text": _said(one), "label": _CLASSES[one % 2]})


def documents(folder: Path, first: int, count: int) -> Path:
    """Write documents of three sentences, the first of which is the summary."""
    return _lines(
        folder,
        first,
        count,
        lambda one: {
            "document": " ".join(_said(3 * one + more) for more in range(3)),
            "summary": _said(3 * one),
        },
    )


def sentences(folder: Path, first: int, count: int) -> Path:
    """Write sentences whose translation is their words in another order."""
    return _lines(
        folder, first, count, lambda one: {"en": _said(one), "fr": " ".join(_said(one).split()[::-1])}
    )


def masks(folder: Path, first: int, count: int) -> Path:
    """Write small pictures of noise with a bright square, and where it lies."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(first, first + count):
        noise_HWC = np.random.default_rng(number).integers(0, 160, (_SIDE_PX, _SIDE_PX, 3), dtype=np.uint8)
        mask_HW = np.zeros((_SIDE_PX, _SIDE_PX), np.uint8)
        mask_HW[8:24, 8 + number % 8 : 24] = 1
        noise_HWC[mask_HW == 1] += 90
        Image.fromarray(noise_HWC).save(folder / "images" / f"{number:06d}.png")
        Image.fromarray(mask_HW).save(folder / "masks" / f"{number:06d}.png")
    return folder


KINDS: Mapping[str, Kind] = {
    "texts": Kind(write=texts, options=("--max-length", "16")),
    "masks": Kind(write=masks, options=("--image-size", "32")),
    "documents": Kind(write=documents, options=("--max-length", "16")),
    "sentences": Kind(
        write=sentences,  # one beam: what several weigh at once varies by more than what is looked for
        options=("--max-length", "16", "--target-length", "8", "--epochs", "1", "--beams", "1"),
    ),
}
