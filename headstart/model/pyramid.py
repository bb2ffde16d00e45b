"""A light decoder of maps: a feature pyramid whose answer is finer than the finest map.

From the coarsest map down, as in feature pyramid networks (Lin et al., arXiv 1612.03144, section 3): what is
known so far is resized to the next map and added to it, and each sum goes through a convolution. Borders are
drawn on a finer grid, by sub-pixel convolution (Shi et al., arXiv 1609.05158, eq. 4): the channels of a cell
tell where in it a border runs, so each of its parts has weights of its own. Groups of channels are normalised
and not batches (Wu and He, arXiv 1803.08494), so that a picture gets the same answer in any batch.

Shape letters: n pictures, C channels, W the decoder's width, h w a map's sides, G the answer's, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

_GROUPS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """What it takes to build a decoder: each map's channels and side, and the sizes of what is above.

    The answer is ``finer`` times as fine as the finest map.
    """

    channels: tuple[int, ...]
    sides: tuple[int, ...]
    width: int
    classes: int
    finer: int
    dropout: float

    @property
    def side(self) -> int:
        """The answer's side."""
        return max(self.sides) * self.finer


class Pyramid(nn.Module):
    """Maps of any sides in; logits on one grid out."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        places = range(len(shape.sides))
        # Of maps with one side the later is the deeper one, and goes first.
        self.order = sorted(places, key=lambda place: (shape.sides[place], -place))
        self.lateral = nn.ModuleList(nn.Conv2d(count, shape.width, 1) for count in shape.channels)
        self.merged = nn.ModuleList(_block(shape.width, shape.width) for _ in places)
        self.split = nn.Sequential(
            nn.Conv2d(shape.width, shape.width // 2 * shape.finer**2, 1), nn.PixelShuffle(shape.finer)
        )
        self.fine = _block(shape.width // 2, shape.width // 2)
        self.dropout = nn.Dropout2d(shape.dropout)
        self.classes = nn.Conv2d(shape.width // 2, shape.classes, 1)
        for place, count in enumerate(shape.channels):
            self.register_buffer(f"mean_{place}", torch.zeros(count))
            self.register_buffer(f"gain_{place}", torch.ones(count))

    def scale(self, means: Sequence[Tensor], gains: Sequence[Tensor]) -> None:
        """Take each map's channels as (x - mean) * gain."""
        for place, (mean_C, gain_C) in enumerate(zip(means, gains, strict=True)):
            self.get_buffer(f"mean_{place}").copy_(mean_C)
            self.get_buffer(f"gain_{place}").copy_(gain_C)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return logits [n, K, G, G]."""
        coarsest, *finer = self.order
        known_nWhw: Tensor = self.merged[coarsest](self._own(coarsest, maps))
        for place in finer:
            known_nWhw = _resized(known_nWhw, self.shape.sides[place]) + self._own(place, maps)
            known_nWhw = self.merged[place](known_nWhw)
        logits_nKGG: Tensor = self.classes(self.dropout(self.fine(self.split(known_nWhw))))
        return logits_nKGG

    def _own(self, place: int, maps: Sequence[Tensor]) -> Tensor:
        """Return a map, scaled, at the decoder's width."""
        mean_C, gain_C = self.get_buffer(f"mean_{place}"), self.get_buffer(f"gain_{place}")
        scaled_nChw = (maps[place] - mean_C[:, None, None]) * gain_C[:, None, None]
        own_nWhw: Tensor = self.lateral[place](scaled_nChw)
        return own_nWhw


def _block(taken: int, given: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(taken, given, 3, padding=1, bias=False), nn.GroupNorm(_GROUPS, given), nn.ReLU()
    )


def _resized(map_nWhw: Tensor, side: int) -> Tensor:
    return functional.interpolate(map_nWhw, (side, side), mode="bilinear", align_corners=False)
