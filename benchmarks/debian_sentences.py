"""Debian's package descriptions as English-French sentence pairs, in JSON Lines.

Synopses, and sentences of the long descriptions: paragraphs are aligned where both languages have as many,
sentences where a paragraph has as many in both. A pair of which one side is three times as long as the other
was cut at different places and is left out. Each English sentence is taken once. Fetched with apt's own tools
from the mirror that this machine is set up for (about 25 MB, seconds); not to be redistributed in bulk.
Command: ``python -m benchmarks.debian_sentences OUT`` writes ``OUT/train.jsonl``, ``OUT/val.jsonl`` and
``OUT/test.jsonl``.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.debian_descriptions import CACHE, digest, family, fetch, stanzas, unwrapped
from benchmarks.measure import BenchmarkError
from headstart.contracts import Example
from headstart.data import bitext
from headstart.data.sentences import sentences

VALIDATION = 1_000


def descriptions(lists: Path, language: str) -> dict[str, tuple[str, str]]:
    """Return (package, description) in a language, by the digest of the English description."""
    found: dict[str, tuple[str, str]] = {}
    for file in sorted(lists.glob(f"*_Translation-{language}*")):
        for fields in stanzas(file):
            if f"Description-{language}" in fields:
                text = fields["Package"], fields[f"Description-{language}"]
                found.setdefault(fields["Description-md5"], text)
    return found


def aligned(english: str, french: str) -> Iterator[tuple[str, str]]:
    """Yield the synopses of two descriptions, then the sentences that stand in the same place of both."""
    (synopsis, _, rest), (synopsis_fr, _, rest_fr) = english.partition("\n"), french.partition("\n")
    yield synopsis, synopsis_fr
    paragraphs, paragraphs_fr = unwrapped(rest).split("\n"), unwrapped(rest_fr).split("\n")
    if len(paragraphs) != len(paragraphs_fr):
        return
    for one, other in zip(paragraphs, paragraphs_fr, strict=True):
        sides = sentences(one), sentences(other)
        if len(sides[0]) == len(sides[1]):
            yield from zip(*sides, strict=True)


def cleaned(sentence: str) -> str:
    """Return a sentence without a list's mark before it; its translators wrote some spaces as dots."""
    return re.sub(r"^[-–—*•+]\s+", "", sentence).replace("⋅", " ").strip()


def pairs(lists: Path) -> Iterator[tuple[str, str, str]]:
    """Yield (package, English, French), each English sentence once."""
    english, french = (descriptions(lists, language) for language in ("en", "fr"))
    seen: set[str] = set()
    for md5, (package, text) in sorted(english.items(), key=lambda item: (item[1][0], item[0])):
        for sides in aligned(text, french[md5][1]) if md5 in french else ():
            source, target = map(cleaned, sides)
            pair = Example(package, "", lists, text=source, target=target)
            if source and target and source not in seen and bitext.unfit(pair) is None:
                seen.add(source)
                yield package, source, target


def prepare(train: int, test: int, out: Path, lists: Path = CACHE / "lists") -> Path:
    """Write the three splits and return ``out``; all sentences of a family of packages are in one of them."""
    fetch(lists, "en", "fr")
    by_family: dict[str, list[tuple[str, str, str]]] = {}
    for pair in pairs(lists):
        by_family.setdefault(family(pair[0]), []).append(pair)
    families = iter(sorted(by_family, key=digest))
    out.mkdir(parents=True, exist_ok=True)
    for split, wanted in {"test": test, "val": VALIDATION, "train": train}.items():
        part: list[tuple[str, str, str]] = []
        for name in families:
            part += by_family[name]
            if len(part) >= wanted:
                break
        if len(part) < wanted:
            raise BenchmarkError(f"{len(part):,} pairs for {split}, fewer than {wanted:,}")
        lines = [
            json.dumps({"package": p, "en": e, "fr": f}, ensure_ascii=False) for p, e, f in part[:wanted]
        ]
        (out / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return out


def main() -> int:
    """Fetch and write."""
    parser = argparse.ArgumentParser(description="Debian's descriptions as sentences to translate.")
    parser.add_argument("--train", type=int, default=42_000)
    parser.add_argument("--test", type=int, default=2_000)
    parser.add_argument("out", type=Path, nargs="?", default=CACHE / "sentences")
    options = parser.parse_args()
    try:
        print(prepare(options.train, options.test, options.out))
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
