"""Pairs that are far nearer to each other than to what else is near: copies among things of one kind.

Pairs of look-alikes, such as two smileys, have many others nearly as near; a copy has not. So a distance
counts beside that to a later neighbour (D. Lowe, "Distinctive image features from scale-invariant keypoints",
2004, section 7.1). Neighbours are looked for in the few cells nearest to each example, about sqrt(N) cells in
all (J. Sivic and A. Zisserman, "Video Google", ICCV 2003): N sqrt(N) comparisons, not N squared.

Shape letters: N examples, R directions, K neighbours, P cells searched, m pairs.
"""

from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

RANK, RATIO = 10, 0.6
"""A pair's distance, 1 - cosine, is at most 0.6 of that to the tenth neighbour of either: so up to ten copies
of one thing are told. Of 84 emoji cut to 80 or 90% of each side 76 are (``benchmarks/copies.py``), at 0.4 61;
at 0.8 there are twice as many pairs to look at."""
_CELLS_SEARCHED, _ONE_CELL = 8, 2_048
_MOST_IN_CELL = 16
"""Of a crowded cell no more than 16 sqrt(N) are compared: even then the search is not quadratic."""
_BLOCK = 2_048


def outstanding(x_NR: Array) -> Array:
    """Return the pairs [m, 2] of directions, float32 [N, R] of length 1, that stand out; each once."""
    count = len(x_NR)
    rank = min(RANK, count - 1)
    if rank < 2:
        return np.empty((0, 2), np.int64)
    places_NK, cosines_NK = neighbours(x_NR, rank)
    distances_NK = np.maximum(1.0 - cosines_NK, 0.0)
    last_N = distances_NK[:, -1]
    nearest_NK = distances_NK <= RATIO * np.minimum(last_N[:, None], last_N[places_NK])
    ones, columns = np.nonzero(nearest_NK & (places_NK >= 0))
    return np.unique(np.sort(np.stack([ones, places_NK[ones, columns]], axis=1), axis=1), axis=0)


def neighbours(x_NR: Array, count: int) -> tuple[Array, Array]:
    """Return each direction's nearest others by cosine [N, K] and the cosines, the nearest first.

    -1 stands for a neighbour where a search found too few. All are compared up to 2,048; beyond, cells are
    drawn among the directions themselves, which crowd where these do.
    """
    total = len(x_NR)
    places_NK = np.full((total, count), -1, np.int32)
    cosines_NK = np.full((total, count), -1.0, np.float32)
    cells = 1 if total <= _ONE_CELL else isqrt(total)
    centres = np.random.default_rng(0).choice(total, cells, replace=False)
    searched_NP = _nearest_cells(x_NR, x_NR[centres])
    home_N = searched_NP[:, 0]
    by_cell = np.argsort(home_N, kind="stable")
    ends = np.searchsorted(home_N[by_cell], np.arange(cells + 1))
    asking = np.argsort(searched_NP, axis=None, kind="stable")
    asking_ends = np.searchsorted(searched_NP.ravel()[asking], np.arange(cells + 1))
    most = max(_ONE_CELL, _MOST_IN_CELL * isqrt(total))
    for cell in range(cells):
        members_m = by_cell[ends[cell] : ends[cell + 1]][:most]
        askers_a = asking[asking_ends[cell] : asking_ends[cell + 1]] // searched_NP.shape[1]
        for start in range(0, len(askers_a), _BLOCK):
            _take_in(x_NR, askers_a[start : start + _BLOCK], members_m, places_NK, cosines_NK)
    return places_NK, cosines_NK


def _nearest_cells(x_NR: Array, centres_CR: Array) -> Array:
    """Return the cells to search for each direction [N, P], its own first."""
    most = min(_CELLS_SEARCHED, len(centres_CR))
    found_NP = np.empty((len(x_NR), most), np.int32)
    for start in range(0, len(x_NR), _BLOCK):
        cosines = x_NR[start : start + _BLOCK] @ centres_CR.T
        found_NP[start : start + _BLOCK] = _largest(cosines, most)
    return found_NP


def _take_in(x_NR: Array, askers_a: Array, members_m: Array, places_NK: Array, cosines_NK: Array) -> None:
    """Keep the nearest of what was known and of a cell's members."""
    cosines_am = x_NR[askers_a] @ x_NR[members_m].T
    cosines_am[askers_a[:, None] == members_m] = -2.0
    cosines = np.hstack([cosines_NK[askers_a], cosines_am])
    places = np.hstack([places_NK[askers_a], np.broadcast_to(members_m, cosines_am.shape)])
    kept = _largest(cosines, places_NK.shape[1])
    cosines_NK[askers_a] = np.take_along_axis(cosines, kept, axis=1)
    places_NK[askers_a] = np.take_along_axis(places, kept, axis=1)


def _largest(values: Array, count: int) -> Array:
    """Return the columns of each row's largest values, the largest first."""
    top = np.argpartition(-values, min(count, values.shape[1] - 1), axis=1)[:, :count]
    return np.take_along_axis(top, np.argsort(-np.take_along_axis(values, top, axis=1), axis=1), axis=1)
