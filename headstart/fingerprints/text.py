"""Texts: their words, and which word triples they hold."""

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import final

from headstart.contracts import (
    Array,
    Example,
    Fingerprint,
    Likeness,
    Pretrained,
    Print,
    Task,
    TextPreprocess,
)
from headstart.core.files import short_digest
from headstart.maths import minhash

LEAST_ALIKE = 0.8
_LEAST_WORDS, _LEAST_SHARED = 20, 0.75
_FEW_SHINGLES = 3
_ALONE_CHARACTERS, _SIDE_BY_SIDE_CHARACTERS, _BEFORE = 600, 150, 40
_ODD = {
    "the replacement character U+FFFD where letters were lost: the text was decoded wrongly": re.compile(
        "\ufffd"
    ),
    "letters such as 'Ã©' or 'â€™': UTF-8 was read as another encoding": re.compile(
        "[\u00c2\u00c3][\u0080-\u00bf]|\u00e2\u20ac[\u2122\u0153\u201c\u02dc\u009d]"
    ),
    "control characters in the text": re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]"),
}
_PRETRAINED = Pretrained(
    base="",
    architecture="",
    licence="",
    revision="",
    weights=Path(),
    weights_digest="",
    preprocess=TextPreprocess(
        modality="text", tokenizer="", tokenizer_digest="", max_length=0, longest=0, pooling=""
    ),
)


@final
class TextPrint(Fingerprint):
    """Tells texts from each other by their words."""

    name = "text"

    def of(self, task: Task, example: Example, classes: frozenset[str]) -> Print:
        """Read a text. Raises BadExample."""
        return _print(_text(task, example), example.label, classes)

    def candidates(self, hashes_NH: Array) -> Iterator[Array]:
        """Yield pairs [m, 2] of texts that agree in a band of minima."""
        return minhash.candidates(hashes_NH)

    def alike(self, one: bytes, other: bytes) -> Likeness | None:
        """Return the share of word triples that two texts share, 80% or more."""
        found = minhash.jaccard(one, other)
        return Likeness(found) if found >= LEAST_ALIKE else None

    def closely(self, task: Task, one: Example, other: Example) -> Likeness | None:
        """Return the share of words that two texts of 20 words and more share, in any order, 75% or more.

        Of fewer words, one or two say something else: 'delete this image', 'delete this document'.
        """
        ours, theirs = (Counter(minhash.words(_text(task, part))) for part in (one, other))
        if min(ours.total(), theirs.total()) < _LEAST_WORDS:
            return None
        found = (ours & theirs).total() / max(ours.total(), theirs.total())
        return Likeness(found, "another wording of") if found >= _LEAST_SHARED else None

    def show(self, task: Task, examples: Sequence[Example]) -> Mapping[str, str]:
        """Return the texts from where they differ, each under its name, with what is right of it."""
        texts = [_text(task, one) for one in examples]
        alone = len(texts) == 1
        start = 0 if alone else max(0, _common(texts) - _BEFORE)
        most = _ALONE_CHARACTERS if alone else _SIDE_BY_SIDE_CHARACTERS
        shown = (
            f"{one.key}: {_part(text, start, most)}"
            + (f" → {_part(one.target, 0, most)}" if one.target else "")
            for one, text in zip(examples, texts, strict=True)
        )
        return {"text": "\n\n".join(shown)}


def _text(task: Task, example: Example) -> str:
    units = task.parts(example, True, _PRETRAINED).units
    return task.content(units[0]).decode("utf-8", "surrogatepass")


def _common(texts: Sequence[str]) -> int:
    """Return how many characters texts have in common at the beginning."""
    columns = zip(*texts, strict=False)  # up to the end of the shortest
    return sum(1 for _ in itertools.takewhile(lambda characters: len(set(characters)) == 1, columns))


def _part(text: str, start: int, most: int) -> str:
    before, after = "... " if start else "", " ..." if len(text) > start + most else ""
    return before + text[start : start + most] + after


def _print(text: str, label: str, classes: frozenset[str]) -> Print:
    words = minhash.words(text)
    shingles_S = minhash.shingles(words)
    few = len(shingles_S) < _FEW_SHINGLES  # of so few, a word or a mark more or less is another text
    normal = text if few else "\n".join(words)
    return Print(
        digest=short_digest(text.encode("utf-8", "surrogatepass")),
        normal=short_digest(normal.encode("utf-8", "surrogatepass")),
        hashes_H=minhash.signature(shingles_S),
        sample=b"" if few else minhash.sketch(shingles_S),
        size=len(words),
        form=str(len(text)),
        empty="" if words else "no word in it" if text.strip() else "empty text",
        named=_named(words, label, classes),
        notes=tuple(what for what, pattern in _ODD.items() if pattern.search(text)),
    )


def _named(words: Sequence[str], label: str, classes: frozenset[str]) -> int:
    """Say whether a text names its own class alone (1), others (-1) or none (0)."""
    if not label or not classes:
        return 0
    there = set(words)
    found = {name for name, parts in _parts(classes) if parts <= there}
    return 0 if not found else 1 if found == {label} else -1


@lru_cache(maxsize=1)
def _parts(classes: frozenset[str]) -> list[tuple[str, frozenset[str]]]:
    """Return the words of each class's name, of those that have any."""
    named = [(name, frozenset(minhash.words(name))) for name in sorted(classes)]
    return [(name, parts) for name, parts in named if parts]
