"""One vector of each block for each example, whatever rows of features the example is in.

Rows are read in pieces and made into vectors at once, so that memory is flat however large they are.
"""

from collections.abc import Sequence

import numpy as np

from headstart.contracts import Array, Column, Floats, Modality, Rows

_PIECE_BYTES = 16 << 20


def of_rows(modality: Modality, seen_RD: Floats, block: Sequence[Column], counts_n: Array) -> Floats:
    """Return a block's vectors float32 [n, d] from its columns of n examples' rows, ``counts_n`` each."""
    x_Rd, weight_R = modality.vectors(seen_RD, block)
    if len(x_Rd) == len(counts_n):
        return x_Rd
    starts_n = np.cumsum(counts_n) - counts_n
    sums_nd = np.add.reduceat(x_Rd.astype(np.float64) * weight_R[:, None], starts_n)
    weights_n = np.add.reduceat(weight_R.astype(np.float64), starts_n)
    return np.asarray(sums_nd / weights_n[:, None], dtype=np.float32)


def of_examples(modality: Modality, rows: Rows, block: Sequence[Column], indices_n: Array) -> Floats:
    """Return a block's vectors float32 [n, d] of some examples."""
    width = sum(column.stop - column.start for column in block)
    counts_N = np.diff(rows.starts_N1)
    parts = [
        of_rows(modality, rows.read(rows.places(piece), block), block, counts_N[piece])
        for piece in pieces(rows, indices_n, width)
    ]
    return np.concatenate(parts)


def pieces(rows: Rows, indices_n: Array, width: int) -> list[Array]:
    """Cut examples into pieces whose rows of ``width`` features are few, or those of one example."""
    most = max(1, _PIECE_BYTES // (4 * width))
    sums_n = np.cumsum(rows.starts_N1[indices_n + 1] - rows.starts_N1[indices_n])
    found, begin = list[Array](), 0
    while begin < len(indices_n):
        before = int(sums_n[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(sums_n, before + most, side="right")))
        found.append(indices_n[begin:end])
        begin = end
    return found
