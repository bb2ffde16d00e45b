"""The best that extraction can do on a document whose summary is known: labels to learn from, a ceiling to show.

Greedy choice of sentences by ROUGE-1 + ROUGE-2 F1, as in BertSumExt (arXiv 1908.08345, section 3.1,
after Nallapati et al., arXiv 1611.04230).
"""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from headstart.maths.rouge import Tokens, f1, ngrams, tokens


def greedy(sentences: Sequence[Tokens], reference: Tokens, most: int) -> list[int]:
    """Return the places of at most ``most`` sentences, the one that adds most first; none adds nothing.

    Word pairs do not reach over the end of a sentence, so that an order of choice need not be known.
    """
    wanted = [ngrams(reference, order) for order in (1, 2)]
    grams = [[ngrams(sentence, order) for order in (1, 2)] for sentence in sentences]
    chosen: list[int] = []
    held: list[Counter[tuple[str, ...]]] = [Counter(), Counter()]
    best = 0.0
    while len(chosen) < most:
        tried = [
            (sum(map(_f1, (_plus(h, g) for h, g in zip(held, grams[place], strict=True)), wanted)), -place)
            for place in range(len(sentences))
            if place not in chosen
        ]
        score, place = max(tried, default=(0.0, 0))
        if score <= best:
            break
        best = score
        chosen.append(-place)
        held = [_plus(h, g) for h, g in zip(held, grams[-place], strict=True)]
    return chosen


@lru_cache(maxsize=4096)
def of_texts(sentences: tuple[str, ...], reference: str, most: int) -> tuple[int, ...]:
    """Return the greedy choice for texts, in the document's order."""
    return tuple(sorted(greedy([tokens(sentence) for sentence in sentences], tokens(reference), most)))


def _plus(
    held: Counter[tuple[str, ...]], more: Counter[tuple[str, ...]]
) -> Counter[tuple[str, ...]]:
    if not held:
        return more
    total = held.copy()
    total.update(more)
    return total


def _f1(got: Counter[tuple[str, ...]], wanted: Counter[tuple[str, ...]]) -> float:
    hits = sum(min(count, got[gram]) for gram, count in wanted.items() if gram in got)
    return f1(hits, wanted.total(), got.total())
