"""Sentences of a text, by marks that most scripts share: no model, no language's word list but one short one.

A sentence ends at a line's end that ends a paragraph or a list's item, at ``。！？`` and their kin
wherever they stand, and at ``. ! ? …`` before a space, unless what follows begins in lower case or the
full stop belongs to an initial, an abbreviation with a point inside (e.g.) or a well-known one (Dr.).
"""

import re
from collections.abc import Iterator
from itertools import islice

LONGEST_WORDS = 120
"""A sentence of more words is cut into pieces of this many: text without full stops is still read."""

_ABBREVIATIONS = frozenset(
    (
        *("mr", "mrs", "ms", "dr", "prof", "sr", "jr", "st", "vs", "etc", "fig", "figs", "no", "nos", "vol"),
        *("dept", "gen", "gov", "sen", "rep", "col", "lt", "capt", "sgt", "inc", "ltd", "co", "corp"),
        *("approx", "ca", "cf", "al", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct"),
        *("nov", "dec", "bzw", "usw", "nr", "mme", "mlle", "env"),
    )
)
_CLOSERS = "\"'”’»›)]}」』】）"
_WIDE = "。！？｡"
_ITEM = re.compile(r"\s*(?:[-*•·–—‣◦]|\d{1,3}[.)])\s")
_END = re.compile(rf"[.!?…।؟۔]+[{re.escape(_CLOSERS)}]*(?=\s)|[{_WIDE}]+[{re.escape(_CLOSERS)}]*")
_SPACES = re.compile(r"\s+")
_WRAPPED = 40


def sentences(text: str, most: int | None = None) -> list[str]:
    """Return the sentences in order, the first ``most``; spaces and line ends in them made single spaces."""
    found = (piece for block in _blocks(text) for sentence in _split(block) for piece in _pieces(sentence))
    return list(islice(found, most))


def _blocks(text: str) -> Iterator[str]:
    """Yield paragraphs and items of lists: lines that were only wrapped are joined."""
    gathered: list[str] = []
    for line in (*text.splitlines(), ""):
        begins = not line.strip() or _ITEM.match(line) or (gathered and not _goes_on(gathered[-1], line))
        if begins and gathered:
            yield _SPACES.sub(" ", " ".join(gathered)).strip()
            gathered = []
        if line.strip():
            gathered.append(line)


def _goes_on(before: str, line: str) -> bool:
    """Say whether a line was wrapped into the next: it is long, or the next begins in lower case."""
    return line.lstrip()[:1].islower() or (
        len(before.rstrip()) >= _WRAPPED and before.rstrip()[-1] not in f".!?…:{_WIDE}{_CLOSERS}"
    )


def _split(block: str) -> Iterator[str]:
    start = 0
    for end in _END.finditer(block):
        if end[0][0] in _WIDE or _ends(block, start, end.end()):
            yield block[start : end.end()].strip()
            start = end.end()
    if block[start:].strip():
        yield block[start:].strip()


def _ends(block: str, start: int, stop: int) -> bool:
    """Say whether the sentence from ``start`` is over at ``stop``, behind a point and before a space."""
    if block[stop : stop + 2].lstrip()[:1].islower():
        return False
    word = block[max(start, block.rfind(" ", start, stop) + 1) : stop].lstrip("([{\"'“‘«")
    if not word.endswith(".") or word.endswith(".."):
        return True
    bare = word[:-1]
    initial = len(bare) == 1 and bare.isalpha() and bare.isupper()
    inner = "." in bare and all(len(part) == 1 for part in bare.split("."))
    return not (initial or (inner and bare.islower()) or bare.casefold() in _ABBREVIATIONS)


def _pieces(sentence: str) -> Iterator[str]:
    words = sentence.split()
    if not any(map(str.isalnum, sentence)):
        return
    if len(words) <= LONGEST_WORDS:
        yield sentence
        return
    for start in range(0, len(words), LONGEST_WORDS):
        yield " ".join(words[start : start + LONGEST_WORDS])
