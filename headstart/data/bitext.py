"""Texts with their translations: what is dropped, what is noted, which pairs are not to be learnt from."""

import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from headstart.contracts import Example, Languages, Listing
from headstart.core.errors import UserError
from headstart.data.listing import Collector

LONGEST_WORDS = 200
MOST_TIMES, MORE_CHARACTERS = 3, 20
"""How many times as long one side may be as the other, beyond that many characters: the ratio of OpusFilter
(M. Aulamo et al., ACL 2020), with room for short texts, in which a word more is no sign of a wrong pair."""

_WIDE = re.compile("[\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
_WIDE_LETTERS, _WORD_LETTERS = 3, 6
"""A Chinese character says about as much as three letters; a word and the space after it have about six."""


@dataclass(slots=True)
class Pairs:
    """Gathers the pairs that one reader finds, from the first to the second of its ``languages``."""

    languages: Languages
    collector: Collector

    def begin(self, found: Languages, where: object) -> None:
        """Take over the languages of one more table. Raises UserError where another one had others."""
        if self.collector.splits and found != self.languages:
            here, before = (" to ".join(code or "?" for code in one) for one in (found, self.languages))
            raise UserError(
                f"{where} goes from {here}, what was read before from {before}",
                "one direction",
                "name the same two languages in each",
            )
        self.languages = found

    def add(self, split: str, key: str, file: Path, pair: tuple[str, str]) -> None:
        """Take a source with its translation into a split, or list why they cannot be used."""
        source, target = (side.strip() for side in pair)
        if not source or not target:
            empty = "source" if target else "target" if source else "source and target"
            self.collector.drop(key, f"empty {empty}")
            return
        language = self.languages[1]
        example = Example(key, "", file, text=source, target=target, language=language, group=source)
        self.collector.add(split, example)

    def listing(self) -> Listing:
        """Return everything in order, with notes. Raises UserError where there is no pair at all."""
        source, target = self.languages
        if source and target:
            self.collector.note(f"translated from {source} to {target}")
        for examples in self.collector.splits.values():
            self._note_repeated(examples)
            for example in examples:
                if example.text == example.target:
                    self.collector.note("source and target are the same text", example.key)
        known = self.languages if source and target else ()
        return replace(self.collector.listing(), languages=known, unfit=unfit)

    def _note_repeated(self, examples: list[Example]) -> None:
        counts = Counter((example.text, example.target) for example in examples)
        for example in examples:
            if counts[example.text, example.target] > 1:
                counts[example.text, example.target] = 0  # the first one is no repetition
            elif not counts[example.text, example.target]:
                self.collector.note("pairs that stand in the same split already", example.key)


def unfit(example: Example) -> str | None:
    """Say why a pair is not to be learnt from: very long, or much longer on one side than on the other."""
    sides = {"source": example.text or "", "target": example.target or ""}
    for name, text in sides.items():
        wide = not text.isascii() and _WIDE.search(text) is not None
        words = _letters(text) / _WORD_LETTERS if wide else len(text.split())
        if words > LONGEST_WORDS:
            return f"{name} of over {LONGEST_WORDS} words: not trained on"
    (short, shorter), (long, longer) = sorted((_letters(text), name) for name, text in sides.items())
    if long > MOST_TIMES * short + MORE_CHARACTERS:
        return f"{longer} over {MOST_TIMES} times as long as the {shorter}: not trained on"
    return None


def _letters(text: str) -> int:
    """Return a text's length in letters of an alphabet."""
    return len(text) + (_WIDE_LETTERS - 1) * len(_WIDE.findall(text)) if not text.isascii() else len(text)
