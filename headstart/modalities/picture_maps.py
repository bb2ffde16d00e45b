"""Whole pictures: uint8 [N, size, size, 3] in; the last block's map at strides 8, 16 and 32.

The whole picture is squashed to a square, never cropped, for every pixel of it must get an answer.
Padding would keep the shape of things, but spend a quarter (4:3) to a half (2:1) of the map on
nothing; squashed, all cells see picture, and the way back to the picture's own pixels is one resize.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np

from headstart.contracts import (
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

if TYPE_CHECKING:
    from torch import nn

STRIDES = (8, 16, 32)
COLOURS = "colours"


@final
class PictureMaps(Modality):
    """Pictures of one size, and maps of them; a column is named ``SIDExSIDE/BLOCK``, laid out [C, H, W]."""

    name = "picture-maps"
    takes = "picture"

    def restore(self, described: Mapping[str, Any]) -> PicturePreprocess:
        """Rebuild a preprocess from its JSON."""
        return cast(PicturePreprocess, _pictures().restore(described))

    def adapt(self, preprocess: Preprocess, sizes: Mapping[str, int | None]) -> PicturePreprocess:
        """Apply ``image_size`` and ``tiles``; nothing is cropped."""
        pictures = cast(PicturePreprocess, _pictures().adapt(preprocess, {**sizes, "tiles": None}))
        return replace(pictures, modality=self.name, crop=1.0, tiled=bool(sizes.get("tiles")))

    def taps(self, preprocess: Preprocess, network: Network) -> list[Tap]:
        """Return the last block's map at each stride, and the colours on the finest of their grids."""
        size = cast(PicturePreprocess, preprocess).size
        sides = _sides(network, size)
        # A stride s gives a side between size / s and one more, as the borders are padded or not.
        found = {s: [b for b, side in sides.items() if abs(side - size / s) <= 1] for s in STRIDES}
        last = {stride: blocks[-1] for stride, blocks in found.items() if blocks}
        if not last:
            raise UserError(
                "a model without maps at strides 8, 16 or 32", "one that keeps where things are",
                "choose another --base",
            )  # fmt: skip
        finest = max(sides[block] for block in last.values())
        maps = [Tap(f"{sides[b]}x{sides[b]}/{b}", b, str(sides[b])) for b in last.values()]
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

    def sample(self, preprocess: Preprocess) -> Inputs:
        """Return two black pictures."""
        return _pictures().sample(preprocess)

    def varying_axes(self) -> Mapping[str, Mapping[int, str]]:
        """Return that only the batch varies."""
        return _pictures().varying_axes()

    def layer_sets(self, columns: Sequence[Column]) -> dict[str, Sequence[Column]]:
        """Return the coarsest map, all of them, and the two coarser ones."""
        maps = [column for column in columns if not column.name.endswith(f"/{COLOURS}")]
        return {"last": maps[-1:], "all": maps, "deep": maps[-2:] if len(maps) > 2 else []}


def _pictures() -> Modality:
    found: Modality = plugins.load("modality", "picture")
    return found


def _sides(network: Network, size: int) -> dict[str, int]:
    """Return the side of each block's map, from one run on nothing; blocks that give no map are left out."""
    torch = prepare_torch()
    network.module.eval()
    with torch.inference_mode():
        outputs = network.outputs(torch.from_numpy(np.zeros((1, 3, size, size), np.float32)))
    pairs = zip(network.blocks, outputs, strict=True)
    return {block: int(out.shape[-1]) for block, out in pairs if out.ndim == 4}
