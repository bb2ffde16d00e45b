"""Pictures that look alike: a perceptual hash, its neighbours, and how alike two small grey pictures are.

The hash is the signs of a picture's lowest frequencies (C. Zauner, "Implementation and benchmarking of
perceptual image hash functions", 2010). Neighbours are found by multi-index hashing (M. Norouzi et al.,
CVPR 2012). A picture has eight forms: turned by quarters, and mirrored. Shape letters: N pictures, F forms.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.maths.buckets import matches, pairs_of

Array = NDArray[Any]

SIDE, BITS, RADIUS = 32, 64, 5
"""Of 64 bits in three parts, at most 5 differ: then one part differs in one bit at most."""
_LOW, _PARTS = 8, 3
_MOST_IN_BUCKET = 1_000
"""Comparing two hashes is cheap: pictures of one kind, such as clothes on black, share many parts of them."""
_CELL = 4
_LEAST_CORRELATION, _MOST_CELL = 0.95, 16.0

FORMS = (
    "",
    "a mirror image of",
    "an upside-down mirror image of",
    "a turned image of",
    "a turned mirror image of",
    "a turned image of",
    "a turned image of",
    "a turned mirror image of",
)
"""What each form of a picture is to the picture."""


def form(grey: Array, number: int) -> Array:
    """Return one of a picture's forms: mirrored by 1, upside down by 2, rows for columns by 4."""
    swapped = grey.T if number & 4 else grey
    return swapped[:: -1 if number & 2 else 1, :: -1 if number & 1 else 1]


def hashes(grey: Array) -> Array:
    """Return the hashes of a grey picture's forms, uint64 [F]: a bit for each of 8 x 8 lowest frequencies.

    It is set where the frequency lies above the median; the constant one is left out. To mirror a picture
    changes the sign of its odd frequencies.
    """
    basis = _cosines()
    low = basis @ grey.astype(np.float64) @ basis.T
    odd = 1 - 2 * (np.arange(_LOW) % 2)
    values_FL = np.stack(
        [
            (swapped * down[:, None] * along).ravel()
            for swapped in (low, low.T)
            for down in (abs(odd), odd)
            for along in (abs(odd), odd)
        ]
    )
    bits_FL = values_FL > np.median(values_FL[:, 1:], axis=1, keepdims=True)
    bits_FL[:, 0] = False
    return np.packbits(bits_FL, axis=1).view(">u8")[:, 0].astype(np.uint64)


def candidates_of_forms(hashes_NF: Array) -> Iterator[Array]:
    """Yield pairs [m, 2] of pictures of which one looks like a form of the other, some repeatedly."""
    yield from candidates(hashes_NF[:, 0])
    for number in range(1, hashes_NF.shape[1]):
        # Where one is like a form of another, that is like a form of the one: half of the pairs are enough.
        for pairs in _between(hashes_NF[:, 0], hashes_NF[:, number]):
            yield pairs[pairs[:, 0] < pairs[:, 1]]


def _between(hashes_N: Array, others_M: Array) -> Iterator[Array]:
    """Yield pairs [m, 2] of a hash and one of the others that differ in at most 5 bits, some repeatedly."""
    for places in _parts():
        mask = _mask(places)
        keys_N, keys_M = hashes_N & mask, others_M & mask
        order_N, order_M = np.argsort(keys_N, kind="stable"), np.argsort(keys_M, kind="stable")
        keys_N, keys_M = keys_N[order_N], keys_M[order_M]
        for bit in (0, *(1 << place for place in places)):
            for found in matches(keys_N, keys_M ^ np.uint64(bit), _MOST_IN_BUCKET):
                one_m, other_m = order_N[found[:, 1]], order_M[found[:, 0]]
                near = np.bitwise_count(hashes_N[one_m] ^ others_M[other_m]) <= RADIUS
                yield np.stack([one_m, other_m], axis=1)[near]


def closest_form(one: Array, other: Array) -> tuple[float, int]:
    """Return how alike a picture and the likest form of another are, and its number; 0.0 where none is."""
    near_F = np.bitwise_count(hashes(one)[0] ^ hashes(other)) <= RADIUS
    found = [(likeness(one, form(other, int(number))), -int(number)) for number in np.flatnonzero(near_F)]
    value, number = max(found, default=(0.0, 0))
    return value, -number


def candidates(hashes_N: Array) -> Iterator[Array]:
    """Yield pairs [m, 2] of pictures whose hashes, uint64 [N], differ in at most 5 bits; each pair once.

    The parts are bits dealt in turn, so that a plain border makes no part the same for all.
    """
    parts = _parts()
    masks = [_mask(places) for places in parts]
    for part, places in enumerate(parts):
        keys_N = hashes_N & masks[part]
        for probe in (0, *(1 << place for place in places)):
            for pairs in pairs_of(keys_N, _probes(keys_N, np.uint64(probe)), _MOST_IN_BUCKET):
                differing = hashes_N[pairs[:, 0]] ^ hashes_N[pairs[:, 1]]
                near = np.bitwise_count(differing) <= RADIUS
                for mask in masks[:part]:  # what is near in an earlier part was met there
                    near &= np.bitwise_count(differing & mask) > 1
                yield pairs[near]


def _parts() -> list[range]:
    return [range(part, BITS, _PARTS) for part in range(_PARTS)]


def _mask(places: range) -> np.uint64:
    return np.uint64(sum(1 << place for place in places))


def _probes(keys_N: Array, bit: np.uint64) -> Array | None:
    """Return the keys with a bit set where it is not; elsewhere what no key is, so that a pair comes once."""
    return np.where(keys_N & bit, ~np.uint64(0), keys_N | bit) if bit else None


def likeness(one: Array, other: Array) -> float:
    """Return the correlation of two grey pictures [32, 32], 0 where they differ by more than light and noise.

    Both are blurred, and made equally light and strong in contrast. What is left may nowhere, in no cell of
    4 x 4 pixels, be more than a quarter of a standard deviation. Measured on 655 emoji, of which no two are
    the same: saved as JPEG, halved, doubled, lightened or noisy, 98% and more of them stay below 10 of its 64
    parts, where the nearest two different ones have 40.
    """
    x, y = blurred(one), blurred(other)
    x, y = x - x.mean(), y - y.mean()
    spread_x, spread_y = np.sqrt((x * x).mean()), np.sqrt((y * y).mean())
    if not spread_x or not spread_y:
        return 0.0
    found = float((x * y).mean() / (spread_x * spread_y))
    rest = np.abs(x / spread_x - y / spread_y) * 64
    cells = rest.reshape(SIDE // _CELL, _CELL, SIDE // _CELL, _CELL).mean(axis=(1, 3))
    return found if found >= _LEAST_CORRELATION and cells.max() <= _MOST_CELL else 0.0


def blurred(grey: Array) -> Array:
    """Return means over 3 x 3 pixels, the border repeated, float64 [32, 32]."""
    x = np.pad(grey.astype(np.float64), 1, mode="edge")
    x = (x[:-2] + x[1:-1] + x[2:]) / 3
    return np.asarray((x[:, :-2] + x[:, 1:-1] + x[:, 2:]) / 3)


@lru_cache(maxsize=1)
def _cosines() -> Array:
    """Return the first 8 rows of the cosine transform of 32 values (DCT-II)."""
    waves, places = np.arange(_LOW)[:, None], np.arange(SIDE)[None, :]
    return np.asarray(np.cos(np.pi * waves * (2 * places + 1) / (2 * SIDE)))
