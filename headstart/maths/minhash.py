"""Texts that share most of their word triples: MinHash with locality-sensitive hashing.

A. Broder, "On the resemblance and containment of documents", 1997: two sets agree in a permutation's
minimum with a probability that is their Jaccard index. Bands of rows: J. Leskovec et al., "Mining of
Massive Datasets", chapter 3.4. Shape letters: N texts, P permutations, S shingles.
"""

import re
import unicodedata
import zlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.maths.buckets import pairs_of

Array = NDArray[Any]

PERMUTATIONS, ROWS = 64, 4
"""64 minima in 16 bands of 4: texts that share 80% of their shingles meet in a band with probability 0.9998,
those that share 50% with 0.64, 20% with 0.03."""
SKETCH = 256
"""So many of the smallest shingles are kept of a text, to compare exactly, or nearly where it has more."""
_SHINGLE_WORDS = 3
_LONGEST_WORDS = 4_000
_WITHOUT_SPACES = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Thai, Lao, Japanese and Chinese: there a character stands for a word."""
_WORD = re.compile(rf"[{_WITHOUT_SPACES}]|[^\W{_WITHOUT_SPACES}]+")
_AGREE = 0.6


def words(text: str) -> list[str]:
    """Return a text's words without letter case and compatibility forms (NFKC), marks left out.

    In scripts without spaces each character is one.
    """
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return _WORD.findall(plain.casefold())


def shingles(found: list[str]) -> Array:
    """Return the hashes of all runs of three words, sorted, each once, uint32 [S]; of fewer, of them all."""
    if not found:
        return np.empty(0, np.uint32)
    hashes = np.array([_hash(word) for word in found[:_LONGEST_WORDS]], dtype=np.uint64)
    width = min(_SHINGLE_WORDS, len(hashes))
    mixed = np.zeros(len(hashes) - width + 1, np.uint64)
    for place in range(width):
        mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + hashes[place : place + len(mixed)]
        mixed ^= mixed >> np.uint64(29)
    return np.unique((mixed * np.uint64(0xBF58476D1CE4E5B9) >> np.uint64(32)).astype(np.uint32))


def signature(shingles_S: Array) -> Array:
    """Return the minima of 64 pseudo-random permutations, uint32 [P]; all ones of an empty set."""
    if not len(shingles_S):
        return np.full(PERMUTATIONS, 0xFFFFFFFF, np.uint32)
    multipliers_P, additions_P = _permutations()
    mixed_SP = shingles_S.astype(np.uint64)[:, None] * multipliers_P + additions_P
    return np.asarray((mixed_SP >> np.uint64(32)).min(axis=0), dtype=np.uint32)


def sketch(shingles_S: Array) -> bytes:
    """Return the smallest shingles after mixing, at most 256 (bottom-k sketch, E. Cohen 1997), as bytes."""
    return np.sort(shingles_S * np.uint32(0x9E3779B1))[:SKETCH].tobytes()


def jaccard(one: bytes, other: bytes) -> float:
    """Return the Jaccard index of two sketched sets: exact below 256 shingles, else an unbiased estimate."""
    a, b = np.frombuffer(one, np.uint32), np.frombuffer(other, np.uint32)
    if not len(a) or not len(b):
        return 0.0
    union = np.union1d(a, b)
    if max(len(a), len(b)) == SKETCH:
        union = union[:SKETCH]
    both = np.intersect1d(a, b, assume_unique=True)
    return float(np.isin(union, both, assume_unique=True).sum() / len(union))


def candidates(signatures_NP: Array) -> Iterator[Array]:
    """Yield pairs [m, 2] of texts that agree in a band and in 60% of all minima, some repeatedly."""
    for begin in range(0, PERMUTATIONS, ROWS):
        keys_N = np.zeros(len(signatures_NP), np.uint64)
        for row in range(begin, begin + ROWS):
            keys_N = keys_N * np.uint64(0x9E3779B97F4A7C15) + signatures_NP[:, row]
            keys_N ^= keys_N >> np.uint64(31)
        for pairs in pairs_of(keys_N):
            for part in np.array_split(pairs, -(-len(pairs) // 65_536) or 1):
                agree_m = (signatures_NP[part[:, 0]] == signatures_NP[part[:, 1]]).mean(axis=1)
                yield part[agree_m >= _AGREE]


@lru_cache(maxsize=1 << 16)
def _hash(word: str) -> int:
    raw = word.encode("utf-8", "surrogatepass")
    return zlib.crc32(raw) | zlib.adler32(raw) << 32


@lru_cache(maxsize=1)
def _permutations() -> tuple[Array, Array]:
    """Return multiply-shift hashing's odd factors and its additions (M. Dietzfelbinger et al., 1997)."""
    generator = np.random.default_rng(0)
    factors = generator.integers(1 << 62, (1 << 64) - 1, PERMUTATIONS, dtype=np.uint64) | np.uint64(1)
    return factors, generator.integers(0, (1 << 64) - 1, PERMUTATIONS, dtype=np.uint64)
