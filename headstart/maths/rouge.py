"""ROUGE: how much of a reference summary's words, word pairs and word order a summary has.

C.-Y. Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004, with the tokens, the
stemming and the clipped union of the ``rouge-score`` package, whose figures these equal. All are
F1: 2 P R / (P + R). The longest common subsequence is counted by bits: H. Hyyro, "Bit-parallel LCS-length
computation revisited", 2004.
"""

import re
from collections import Counter
from collections.abc import Sequence

from headstart.maths.porter import stem

Tokens = Sequence[str]
NAMES = ("rouge1", "rouge2", "rougeL", "rougeLsum")

_WORD = re.compile(r"[a-z0-9]+")


def tokens(text: str, stemmed: bool = True) -> list[str]:
    """Return the words of a text in lower case: runs of a-z and 0-9, the longer ones stemmed."""
    words = _WORD.findall(text.lower())
    return [stem(word) if len(word) > 3 else word for word in words] if stemmed else words


def scores(reference: str, summary: str, stemmed: bool = True) -> tuple[float, float, float, float]:
    """Return ROUGE-1, -2, -L and -Lsum of a summary; for the last, lines are sentences."""
    wanted, got = tokens(reference, stemmed), tokens(summary, stemmed)
    lines = [[tokens(line, stemmed) for line in text.split("\n") if line] for text in (reference, summary)]
    return ngram_f1(wanted, got, 1), ngram_f1(wanted, got, 2), lcs_f1(wanted, got), union_lcs_f1(*lines)


def ngrams(words: Tokens, order: int) -> Counter[tuple[str, ...]]:
    """Count the runs of ``order`` words."""
    return Counter(zip(*(words[start:] for start in range(order)), strict=False))


def f1(hits: int, wanted: int, got: int) -> float:
    """Return 2 P R / (P + R) for ``hits`` among ``wanted`` and among ``got``; 0 of nothing."""
    if not (hits and wanted and got):
        return 0.0
    precision, recall = hits / got, hits / wanted
    return 2 * precision * recall / (precision + recall)


def ngram_f1(wanted: Tokens, got: Tokens, order: int) -> float:
    """Return ROUGE-N."""
    sought, found = ngrams(wanted, order), ngrams(got, order)
    hits = sum(min(count, found[gram]) for gram, count in sought.items())
    return f1(hits, sum(sought.values()), sum(found.values()))


def lcs_length(wanted: Tokens, got: Tokens) -> int:
    """Return the length of the longest common subsequence, a machine word of it at a time."""
    places: dict[str, int] = {}
    for place, word in enumerate(wanted):
        places[word] = places.get(word, 0) | 1 << place
    full = (1 << len(wanted)) - 1
    row = full
    for word in got:
        matched = row & places.get(word, 0)
        row = (row + matched | row - matched) & full
    return len(wanted) - row.bit_count()


def lcs_f1(wanted: Tokens, got: Tokens) -> float:
    """Return ROUGE-L."""
    return f1(lcs_length(wanted, got), len(wanted), len(got))


def union_lcs_f1(wanted: Sequence[Tokens], got: Sequence[Tokens]) -> float:
    """Return ROUGE-Lsum: each reference sentence's union of common subsequences, no word counted twice."""
    left_wanted = Counter(word for sentence in wanted for word in sentence)
    left_got = Counter(word for sentence in got for word in sentence)
    hits = 0
    for sentence in wanted:
        union = sorted(set[int]().union(*(_lcs_places(sentence, other) for other in got)))
        for word in (sentence[place] for place in union):
            if left_got[word] > 0 and left_wanted[word] > 0:
                hits += 1
                left_got[word] -= 1
                left_wanted[word] -= 1
    return f1(hits, sum(map(len, wanted)), sum(map(len, got)))


def _lcs_places(wanted: Tokens, got: Tokens) -> list[int]:
    """Return the places in ``wanted`` of one longest common subsequence, the one rouge-score finds."""
    if not set(wanted) & set(got):
        return []
    table = [[0] * (len(got) + 1) for _ in range(len(wanted) + 1)]
    for i, one in enumerate(wanted):
        above, here = table[i], table[i + 1]
        for j, other in enumerate(got):
            here[j + 1] = above[j] + 1 if one == other else max(above[j + 1], here[j])
    places, i, j = [], len(wanted), len(got)
    while i and j:
        if wanted[i - 1] == got[j - 1]:
            i, j = i - 1, j - 1
            places.append(i)
        elif table[i][j - 1] > table[i - 1][j]:
            j -= 1
        else:
            i -= 1
    return places
