"""Large pictures in tiles of a model's own size, which overlap and together cover the picture.

As in U-Net (Ronneberger et al., arXiv 1505.04597, figure 2). Along each axis tiles are spread evenly, each a
quarter or more over the next one; an axis that is at most a quarter longer than a tile is not cut.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import final

from PIL import Image

from headstart.contracts import Part
from headstart.core.files import digest_bytes

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in px, right and bottom not included, as Pillow has them."""
Opened = tuple[Image.Image, tuple[str, ...]]
"""A picture, and what had to be done to it."""


@final
class Whole:
    """A picture of several tiles: read once and decoded once, when the first of them asks."""

    def __init__(self, read: Callable[[], bytes], decode: Callable[[bytes], Opened]) -> None:
        self._read, self._decode = read, decode

    @cached_property
    def bytes(self) -> bytes:
        """The picture's content. Raises BadExample."""
        return self._read()

    @cached_property
    def digest(self) -> str:
        """The content's digest."""
        return digest_bytes(self.bytes)

    @cached_property
    def opened(self) -> Opened:
        """The picture, upright, and what had to be done to it. Raises BadExample."""
        return self._decode(self.bytes)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Tile(Part):
    """A part of a picture."""

    box: Box
    whole: Whole

    def content(self) -> bytes:
        """Return which picture it is, and which part of it."""
        return f"{self.whole.digest} {self.box}".encode()

    def opened(self) -> Opened:
        """Return the tile's own pixels, and what had to be done to the picture."""
        image, notes = self.whole.opened
        return image.crop(self.box), notes


def boxes(width: int, height: int, side: int) -> list[Box]:
    """Return the boxes of a picture's tiles of ``side`` px, row by row; a single one is the whole picture."""
    both = itertools.product(spans(height, side), spans(width, side))
    return [(left, top, right, bottom) for (top, bottom), (left, right) in both]


def spans(length: int, side: int) -> list[tuple[int, int]]:
    """Return where tiles of ``side`` px begin and end along an axis of ``length`` px."""
    overlap = side // 4
    if length <= side + overlap:
        return [(0, length)]
    count = -(-(length - overlap) // (side - overlap))
    starts = [place * (length - side) // (count - 1) for place in range(count)]
    return [(start, start + side) for start in starts]
