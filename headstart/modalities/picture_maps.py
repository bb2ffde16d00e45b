"""Whole pictures: uint8 [N, size, size, 3] in; the last block's map at strides 8, 16 and 32.

The whole picture is squashed to a square, never cropped, for every pixel of it must get an answer.
Padding would keep the shape of things, but spend a quarter (4:3) to a half (2:1) of the map on
nothing; squashed, all cells see picture, and the way back to the picture's own pixels is one resize.

An encoder's map at stride 4 is left out: with EfficientNet-Lite0 on `examples/segmentation` it raised the
mean IoU from 0.439 to 0.453 at 128 px and from 0.489 to 0.494 at 224 px, a tenth of the interval, for one
and a half times the disk and 1.75 times the head's time. A decoder's last map is taken as fine as it is.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np

from headstart.contracts import (
    Array,
    Augmentation,
    Column,
    Floats,
    Inputs,
    Modality,
    Network,
    PicturePreprocess,
    Preprocess,
    Tap,
)
from headstart.core import plugins
from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch
from headstart.model import rows
from headstart.model.maps import unpacked

if TYPE_CHECKING:
    from torch import nn

STRIDES = (8, 16, 32)
_DEEP = 8
_MOST_NUMBERS = 1 << 20
COLOURS = "colours"


@final
class PictureMaps(Modality):
    """Pictures of one size, and maps of them; a column is named ``SIDExSIDE/BLOCK``, laid out [C, H, W]."""

    name = "picture-maps"
    takes = "picture"
    mixes = True

    def restore(self, described: Mapping[str, Any]) -> PicturePreprocess:
        """Rebuild a preprocess from its JSON."""
        return cast(PicturePreprocess, _pictures().restore(described))

    def adapt(self, preprocess: Preprocess, sizes: Mapping[str, int | None]) -> PicturePreprocess:
        """Apply ``image_size`` and ``tiles``; nothing is cropped."""
        pictures = cast(PicturePreprocess, _pictures().adapt(preprocess, {**sizes, "tiles": None}))
        tiled = bool(sizes.get("tiles"))
        return replace(pictures, modality=self.name, crop=1.0, squash=True, tiled=tiled)

    def taps(self, preprocess: Preprocess, network: Network) -> list[Tap]:
        """Return the maps to take in the blocks' order, and the colours on the finest of their grids.

        Where all blocks have one stride, as in a plain vision transformer, they are taken at a quarter,
        half and three quarters of the depth too, as DPT does (arXiv 2103.13413).
        """
        size = cast(PicturePreprocess, preprocess).size
        shapes = _shapes(network, size)
        strides = {block: _stride(side, size) for block, (_, side) in shapes.items()}
        fit = [block for block, stride in strides.items() if stride]
        if not fit:
            raise UserError(
                f"a model without maps at strides 8, 16 or 32 of {size} px",
                "one that keeps where things are",
                "choose another --base, or another --image-size",
            )
        taken = {{strides[block]: block for block in fit}[strides[block]] for block in fit}
        if len(taken) == 1:
            taken |= {fit[len(fit) * quarter // 4 - 1] for quarter in (1, 2, 3) if len(fit) >= _DEEP}
        final = list(shapes)[-1]
        if shapes[final][1] > size / STRIDES[0]:  # finer than any encoder's: a decoder's
            taken.add(final)
        grids = {block: _grid(*shapes[block]) for block in shapes if block in taken}
        finest = max(grids.values())
        maps = [Tap(f"{grid}x{grid}/{block}", block, str(grid)) for block, grid in grids.items()]
        return [Tap(f"{finest}x{finest}/{COLOURS}", "", str(finest)), *maps]

    def trunk(self, preprocess: Preprocess, network: Network, taps: Sequence[Tap]) -> "nn.Module":
        """Return the module from pixels to features: a mean over a grid as fine as the map is the map."""
        return _pictures().trunk(preprocess, network, taps)

    def columns(self, shapes: Mapping[str, tuple[int, ...]]) -> list[Column]:
        """Return the taps side by side."""
        return rows.side_by_side({name: shape[0] for name, shape in shapes.items()})

    def rows(self, features: Floats, inputs: Sequence[Inputs]) -> list[Floats]:
        """Return one row for each example."""
        return list(features[:, None])

    def rows_column(self, columns: Sequence[Column]) -> Column | None:
        """Return that each example has one row."""
        return None

    def augmented(self, inputs: Inputs, augmentation: Augmentation) -> Inputs:
        """Return a picture, augmented."""
        return _pictures().augmented(inputs, augmentation)

    def sample(self, preprocess: Preprocess) -> Inputs:
        """Return two black pictures."""
        return _pictures().sample(preprocess)

    def varying_axes(self) -> Mapping[str, Mapping[int, str]]:
        """Return that only the batch varies."""
        return _pictures().varying_axes()

    def layer_sets(self, columns: Sequence[Column]) -> dict[str, Sequence[Column]]:
        """Return the last map, all of them, and the last two."""
        maps = [column for column in columns if not column.name.endswith(f"/{COLOURS}")]
        return {"last": maps[-1:], "all": maps, "deep": maps[-2:] if len(maps) > 2 else []}

    def blocks(self, columns: Sequence[Column]) -> list[Sequence[Column]]:
        """Return every map; colours are no block's."""
        return [[column] for column in self.layer_sets(columns)["all"]]

    def vectors(self, seen_RD: Floats, block: Sequence[Column]) -> tuple[Floats, Array]:
        """Return the mean over a map's cells; every tile counts alike."""
        (maps_RCHW,) = unpacked(block, seen_RD)
        return maps_RCHW.reshape(*maps_RCHW.shape[:2], -1).mean(axis=2), np.ones(len(seen_RD), np.float32)


def _pictures() -> Modality:
    found: Modality = plugins.load("modality", "picture")
    return found


def _stride(side: int, size: int) -> int:
    """Return which of the strides a map's side stands for: the nearest within a factor of 1.4, else 0."""
    near = [stride for stride in STRIDES if 1 / math.sqrt(2) < side * stride / size < math.sqrt(2)]
    return near[0] if near else 0


def _grid(channels: int, side: int) -> int:
    """Return the side to keep of a map: halved until it is no more than a million numbers."""
    while channels * side * side > _MOST_NUMBERS and side > 1:
        side //= 2
    return side


def _shapes(network: Network, size: int) -> dict[str, tuple[int, int]]:
    """Return each block's channels and side, from one run on nothing, of those that give a map."""
    torch = prepare_torch()
    network.module.eval()
    with torch.inference_mode():
        outputs = network.outputs(torch.from_numpy(np.zeros((1, 3, size, size), np.float32)))
    pairs = zip(network.blocks, outputs, strict=True)
    return {block: (int(out.shape[1]), int(out.shape[-1])) for block, out in pairs if out.ndim == 4}
