"""Pictures: uint8 [N, size, size, 3] in; block maps averaged over the whole and over a 2x2 grid."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np

from headstart.contracts import (
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
from headstart.core.errors import UserError
from headstart.data import augmentation
from headstart.model import rows

if TYPE_CHECKING:
    from torch import nn

PIXELS = "pixels"
_FEW_BLOCKS = 8

_LARGEST_SIZE = 8_192


@final
class Pictures(Modality):
    """Pictures of one size."""

    name = "picture"
    takes = "picture"
    mixes = True

    def restore(self, described: Mapping[str, Any]) -> PicturePreprocess:
        """Rebuild a preprocess from its JSON. Raises ValueError for a size that no model has."""
        size, crop = described["size"], described["crop"]
        if type(size) is not int or not 1 <= size <= _LARGEST_SIZE or not 0 < float(crop) <= 1:
            raise ValueError(f"pictures of {size!r:.40} px, cropped to {crop!r:.40}")
        numbers = {"mean": tuple(described["mean"]), "std": tuple(described["std"])}
        return PicturePreprocess(**{**described, **numbers})

    def adapt(self, preprocess: Preprocess, sizes: Mapping[str, int | None]) -> PicturePreprocess:
        """Apply ``image_size``; the crop fraction stays."""
        pictures = cast(PicturePreprocess, preprocess)
        if sizes["max_length"] is not None:
            raise UserError("--max-length for pictures", "--image-size", "leave --max-length out")
        if sizes.get("tiles"):
            raise UserError("--tiles for pictures that get one class", "pictures with masks", "leave it out")
        size = sizes["image_size"]
        return pictures if size is None else replace(pictures, size=size)

    def taps(self, preprocess: Preprocess, network: Network) -> list[Tap]:
        """Return the raw pixels, every block's mean, and the deeper blocks on a 2x2 grid.

        The grid starts at a third of the depth and takes every second block, where blocks are many:
        measured on small picture sets, where things are tells classes apart in the middle of a
        network, and neighbouring blocks say nearly the same.
        """
        blocks = network.blocks
        deep = blocks[len(blocks) // 3 : -1 : 2 if len(blocks) > _FEW_BLOCKS else 1]
        return [
            Tap(PIXELS, "", "16"),
            *(Tap(f"mean/{block}", block, "1") for block in blocks),
            *(Tap(f"grid/{block}", block, "2") for block in deep),
        ]

    def trunk(self, preprocess: Preprocess, network: Network, taps: Sequence[Tap]) -> "nn.Module":
        """Return the module from pixels to features."""
        from headstart.model.pooling import PooledPictures

        return PooledPictures(cast(PicturePreprocess, preprocess), network, taps)

    def columns(self, shapes: Mapping[str, tuple[int, ...]]) -> list[Column]:
        """Return the taps side by side."""
        return rows.side_by_side({name: shape[0] for name, shape in shapes.items()})

    def rows(self, features: Floats, inputs: Sequence[Inputs]) -> list[Floats]:
        """Return one row for each example."""
        return list(features[:, None])

    def rows_column(self, columns: Sequence[Column]) -> Column | None:
        """Return that each example has one row."""
        return None

    def augmented(self, inputs: Inputs, change: Augmentation) -> Inputs:
        """Return a picture, augmented."""
        return {"pixels": augmentation.of_picture(inputs["pixels"], change)}

    def sample(self, preprocess: Preprocess) -> Inputs:
        """Return two black pictures."""
        size = cast(PicturePreprocess, preprocess).size
        return {"pixels": np.zeros((2, size, size, 3), dtype=np.uint8)}

    def varying_axes(self) -> Mapping[str, Mapping[int, str]]:
        """Return that only the batch varies."""
        return {"pixels": {0: "n"}, "features": {0: "n"}}

    def layer_sets(self, columns: Sequence[Column]) -> dict[str, Sequence[Column]]:
        """Return the last block, every block, and the deeper blocks on a grid."""
        means = [column for column in columns if column.name.startswith("mean/")]
        return {
            "last": means[-1:],
            "all": means,
            "deep": [column for column in columns if column.name.startswith("grid/")],
        }

    def blocks(self, columns: Sequence[Column]) -> list[Sequence[Column]]:
        """Return every block's mean."""
        return [[column] for column in self.layer_sets(columns)["all"]]
