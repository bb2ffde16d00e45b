"""The best that extraction can do on a document whose summary is known: labels, and a ceiling.

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
            # Rounded, so that of equals the earliest is taken.
            (round(sum(map(_f1, map(_plus, held, grams[place]), wanted)), 12), -place)
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


def _plus(held: Counter[tuple[str, ...]], more: Counter[tuple[str, ...]]) -> Counter[tuple[str, ...]]:
    if not held:
        return more
    total = held.copy()
    total.update(more)
    return total


def _f1(got: Counter[tuple[str, ...]], wanted: Counter[tuple[str, ...]]) -> float:
    hits = sum(min(count, got[gram]) for gram, count in wanted.items() if gram in got)
    return f1(hits, wanted.total(), got.total())


def best_span(words: Sequence[Tokens], reference: Tokens) -> tuple[int, int]:
    """Return the first word and one past the last of the run most like the reference by ROUGE-1 + ROUGE-2.

    ``words`` are the tokens of each word of a sentence. Of equals the earliest and shortest; the whole
    sentence where nothing is alike.
    """
    wanted = [ngrams(reference, order) for order in (1, 2)]
    best, span = 0.0, (0, len(words))
    for begin in range(len(words)):
        held: list[str] = []
        grams: list[Counter[tuple[str, ...]]] = [Counter(), Counter()]
        hits, made = [0, 0], [0, 0]
        for end in range(begin, len(words)):
            for token in words[end]:
                held.append(token)
                for order in (1, 2)[: len(held)]:
                    gram = tuple(held[-order:])
                    grams[order - 1][gram] += 1
                    hits[order - 1] += grams[order - 1][gram] <= wanted[order - 1][gram]
                    made[order - 1] += 1
            score = sum(f1(hits[i], wanted[i].total(), made[i]) for i in (0, 1))
            if score > best + 1e-12:
                best, span = score, (begin, end + 1)
    return span
