"""Which of two languages a text is in, learnt from the two sides of a corpus: no list of languages is needed.

Letter triples and naive Bayes (W. Cavnar and J. Trenkle, "N-gram-based text categorization", 1994;
T. Dunning, "Statistical identification of language", 1994).
"""

import zlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_CELLS = 1 << 14
_LEAST_TRIPLES, _LEAST_NATS = 16, 12.0
_MOST_CHARACTERS = 1_000


def trigram_counts(texts: Iterable[str]) -> Array:
    """Return how often each hashed letter triple stands in the texts, float64 [16384]."""
    counts = np.zeros(_CELLS)
    for text in texts:
        np.add.at(counts, _cells(text), 1.0)
    return counts


def odds(text: str, here: Array, there: Array) -> float:
    """Return by how many nats a text fits the counts ``here`` better than ``there``; 0 where it is not clear.

    What the text itself added to ``there`` is taken away first. Short texts are never clear, and neither are
    those that fit the one better by fewer than 12 nats.
    """
    cells = _cells(text)
    if len(cells) < _LEAST_TRIPLES:
        return 0.0
    found, times = np.unique(cells, return_counts=True)
    mine, theirs = here[found] + 0.5, np.maximum(there[found] - times, 0) + 0.5
    scale = np.log(here.sum() + _CELLS / 2) - np.log(there.sum() + _CELLS / 2)
    nats = float((times * (np.log(mine) - np.log(theirs) - scale)).sum())
    return nats if nats >= _LEAST_NATS else 0.0


def _cells(text: str) -> Array:
    """Return the cell of each triple of letters, digits and marks left out."""
    folded = text[:_MOST_CHARACTERS].casefold()
    plain = " " + " ".join("".join(c if c.isalpha() else " " for c in folded).split()) + " "
    return np.array([_cell(plain[place : place + 3]) for place in range(len(plain) - 2)], dtype=np.int64)


@lru_cache(maxsize=1 << 16)
def _cell(triple: str) -> int:
    return zlib.crc32(triple.encode("utf-8", "surrogatepass")) % _CELLS
