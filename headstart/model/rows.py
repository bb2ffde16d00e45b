"""How what a trunk gives is laid out in rows of features: side by side, or a page of tokens a row.

A text of T tokens with states of width C takes ceil(T / ``PAGE``) rows. Each of them holds, side by side: how
many rows the text has, the ids of its tokens (-1 where the page is not full), and the tokens' states.

Shape letters: N texts, T tokens, C width of a state, R rows of all texts, P tokens a page.
"""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from headstart.contracts import Array, Column, Floats

PAGE = 16
COUNT, TOKENS, STATES = "rows", "tokens", "states/"


def side_by_side(widths: Mapping[str, int]) -> list[Column]:
    """Return the columns of features of some widths, one after another."""
    stops = list(itertools.accumulate(widths.values()))
    return [
        Column(name, stop - width, stop) for (name, width), stop in zip(widths.items(), stops, strict=True)
    ]


def page_columns(block: str, width: int) -> list[Column]:
    """Return the columns of a page of tokens whose states are ``width`` wide."""
    return side_by_side({COUNT: 1, TOKENS: PAGE, f"{STATES}{block}": PAGE * width})


def width_of(columns: Sequence[Column]) -> int:
    """Return how wide the states in pages are."""
    return (columns[-1].stop - columns[-1].start) // PAGE


def paged(states_TC: Floats, ids_T: Array) -> Floats:
    """Return a text's rows of features [R, 1 + P + P * C]."""
    tokens, width = states_TC.shape
    count = -(-tokens // PAGE)
    padded = np.zeros((count * PAGE, width), dtype=np.float32)
    padded[:tokens] = states_TC
    ids = np.full(count * PAGE, -1, dtype=np.float32)  # exact up to 2 to the 24, more than any vocabulary
    ids[:tokens] = ids_T
    counts = np.full((count, 1), count, dtype=np.float32)
    return np.hstack([counts, ids.reshape(count, PAGE), padded.reshape(count, PAGE * width)])


def unpaged(rows_RD: Floats) -> tuple[Array, Floats, Array]:
    """Return N texts from their rows: ids int64 [N, T], states [N, T, C], and which tokens are real [N, T].

    T is the longest text's; where a token is not real its id is 0 and its state zeros.
    """
    width = (rows_RD.shape[1] - 1) // PAGE - 1
    counts, place = list[int](), 0
    while place < len(rows_RD):
        counts.append(int(rows_RD[place, 0]))
        place += counts[-1]
    longest = max(counts, default=0)
    pages = np.zeros((len(counts), longest, rows_RD.shape[1] - 1), dtype=np.float32)
    pages[:, :, :PAGE] = -1.0
    there = np.arange(longest) < np.array(counts)[:, None]
    pages[there] = rows_RD[:, 1:]
    ids = pages[:, :, :PAGE].reshape(len(counts), -1).astype(np.int64)
    real = ids >= 0
    tokens = int(real.sum(axis=1).max(initial=0))
    states = pages[:, :, PAGE:].reshape(len(counts), -1, width)
    return np.where(real, ids, 0)[:, :tokens], states[:, :tokens], real[:, :tokens]


def page_means(pages_RD: Floats) -> tuple[Floats, Array]:
    """Return the mean over each page's real tokens [R, C], and how many they are [R].

    A page here is what ``paged`` gives without the count of rows: ids and states.
    """
    real_RP = pages_RD[:, :PAGE] >= 0
    states_RPC = pages_RD[:, PAGE:].reshape(len(pages_RD), PAGE, -1)
    counts_R = real_RP.sum(axis=1).astype(np.float32)
    sums_RC = np.einsum("rpc,rp->rc", states_RPC, real_RP.astype(np.float32))
    return sums_RC / counts_R[:, None], counts_R
