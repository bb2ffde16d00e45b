"""Pairs that share a key, and sets of what is joined: near neighbours in less than quadratic time.

Shape letters: N items, m pairs.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

MOST_IN_BUCKET = 64
"""An item is paired with at most so many of those that follow it in its bucket: a bucket of M items costs
M times that, not M squared. What is alike may still meet in another bucket, or be joined through a third."""
_CHUNK = 1 << 20


def pairs_of(keys_N: Array, probes_N: Array | None = None, most: int = MOST_IN_BUCKET) -> Iterator[Array]:
    """Yield pairs [m, 2] of places, the smaller one first, of which one's probe is the other's key.

    Without ``probes_N`` the probes are the keys themselves.
    """
    order_N = np.argsort(keys_N, kind="stable")
    sorted_N = keys_N[order_N]
    probes_N = sorted_N if probes_N is None else probes_N[order_N]
    begins_N = np.searchsorted(sorted_N, probes_N, side="left")
    ends_N = np.searchsorted(sorted_N, probes_N, side="right")
    if probes_N is sorted_N:
        begins_N = np.arange(len(sorted_N)) + 1
    for ones, others in _paired(begins_N, np.minimum(ends_N - begins_N, most)):
        pairs = np.stack([order_N[ones], order_N[others]], axis=1)
        yield np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1)


def matches(keys_N: Array, probes_M: Array, most: int = MOST_IN_BUCKET) -> Iterator[Array]:
    """Yield pairs [m, 2] of a probe's place and a key's, of the same value; ``keys_N`` are in order."""
    if not len(keys_N):
        return
    begins_M = np.searchsorted(keys_N, probes_M)
    found_m = np.flatnonzero(keys_N[np.minimum(begins_M, len(keys_N) - 1)] == probes_M)
    begins_m = begins_M[found_m]
    counts_m = np.minimum(np.searchsorted(keys_N, probes_M[found_m], side="right") - begins_m, most)
    for ones, others in _paired(begins_m, counts_m):
        yield np.stack([found_m[ones], others], axis=1)


def _paired(begins_N: Array, counts_N: Array) -> Iterator[tuple[Array, Array]]:
    """Yield each item's place beside each place from its ``begins_N`` on, ``counts_N`` of them, in pieces."""
    total, start = np.cumsum(counts_N), 0
    while start < len(counts_N):
        before = int(total[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(total, before + _CHUNK, side="right")))
        counts_n = counts_N[start:stop]
        if counts_n.sum():
            ones = np.repeat(np.arange(start, stop), counts_n)
            within = np.arange(len(ones)) - np.repeat(np.cumsum(counts_n) - counts_n, counts_n)
            yield ones, begins_N[ones] + within
        start = stop


class Joined:
    """Items joined into sets (union by size, paths halved), with the least likeness that joined each set."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))
        self._size = [1] * count
        self._least = [1.0] * count

    def root(self, item: int) -> int:
        """Return the item that stands for the set."""
        parent = self._parent
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    def join(self, one: int, other: int, likeness: float) -> None:
        """Join two items' sets."""
        a, b = self.root(one), self.root(other)
        if a == b:
            return
        a, b = (a, b) if self._size[a] >= self._size[b] else (b, a)
        self._parent[b] = a
        self._size[a] += self._size[b]
        self._least[a] = min(self._least[a], self._least[b], likeness)

    def sets(self) -> list[tuple[Sequence[int], float]]:
        """Return sets of two and more, in order of their first items, each with its least likeness."""
        found: dict[int, list[int]] = defaultdict(list)
        for item in range(len(self._parent)):
            root = self.root(item)
            if self._size[root] > 1:
                found[root].append(item)
        return [(members, self._least[root]) for root, members in found.items()]
