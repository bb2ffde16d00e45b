"""Which sentences make a summary, once each has a score: the best ones, in the document's order."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Budget:
    """How long a summary is: ``amount`` sentences, or that share of the document's (``kind``)."""

    kind: str
    amount: float

    def sentences(self, of: int) -> int:
        """Return how many of a document's sentences to take, at least one."""
        wanted = self.amount if self.kind == "sentences" else math.ceil(self.amount * of - 1e-9)
        return max(1, min(of, int(wanted)))


def select(scores_m: NDArray[np.float64], sentences: Sequence[str], most: int) -> tuple[int, ...]:
    """Return the places of at most ``most`` sentences with the highest scores, in the document's order.

    Trigram blocking: a sentence that shares three words in a row with one chosen before is passed over
    (Paulus et al., arXiv 1705.04304; BertSumExt, arXiv 1908.08345).
    """
    chosen: list[int] = []
    held: set[tuple[str, ...]] = set()
    for place in np.argsort(-np.asarray(scores_m), kind="stable"):
        if len(chosen) == most:
            break
        found = trigrams(sentences[place])
        if not held & found:
            held |= found
            chosen.append(int(place))
    return tuple(sorted(chosen))


def trigrams(sentence: str) -> set[tuple[str, ...]]:
    """Return the runs of three words, whatever their letter case."""
    words = sentence.casefold().split()
    return set(zip(words, words[1:], words[2:], strict=False))
