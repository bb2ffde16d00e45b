"""Which features are taken from which block, and which of them a head may see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PIXELS = "pixels"
LAYER_SETS = ("last", "all", "deep")
"""What a head may see: the last block, every block, or the deeper blocks on a 2x2 grid."""


@dataclass(frozen=True, slots=True)
class Tap:
    """Features named ``name``: the block's map averaged over ``grid`` x ``grid`` cells.

    The empty block is the picture itself.
    """

    name: str
    block: str
    grid: int


@dataclass(frozen=True, slots=True)
class Column:
    """A tap's place in a row of features: [start, stop)."""

    name: str
    start: int
    stop: int


def plan(blocks: Sequence[str]) -> list[Tap]:
    """Return the taps of a chain of blocks.

    Every block is averaged over the whole map. Every second block from a third of the depth on is
    also averaged over a 2x2 grid: measured on small picture sets, where things are tells classes
    apart in the middle of a network, and neighbouring blocks say nearly the same.
    """
    taps = [Tap(PIXELS, "", 16)]
    taps += [Tap(f"mean/{block}", block, 1) for block in blocks]
    taps += [Tap(f"grid/{block}", block, 2) for block in blocks[len(blocks) // 3 : -1 : 2]]
    return taps


def columns(taps: Sequence[Tap], widths: Sequence[int]) -> list[Column]:
    """Lay the taps side by side."""
    laid: list[Column] = []
    start = 0
    for tap, width in zip(taps, widths, strict=True):
        laid.append(Column(tap.name, start, start + width))
        start += width
    return laid


def layer_sets(laid: Sequence[Column]) -> Mapping[str, tuple[Column, ...]]:
    """Return the columns of each layer set, and of the raw pixels."""
    means = tuple(column for column in laid if column.name.startswith("mean/"))
    return {
        "last": means[-1:],
        "all": means,
        "deep": tuple(column for column in laid if column.name.startswith("grid/")),
        PIXELS: tuple(column for column in laid if column.name == PIXELS),
    }
