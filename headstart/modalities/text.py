"""Texts: token ids and mask [N, T] in; every layer's states pooled over the real tokens."""

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
    Preprocess,
    Tap,
    TextPreprocess,
)
from headstart.core.errors import UserError
from headstart.model import rows

if TYPE_CHECKING:
    from torch import nn


@final
class Texts(Modality):
    """Texts of any length, cut at the model's longest."""

    name = "text"
    takes = "text"
    mixes = False

    def restore(self, described: Mapping[str, Any]) -> TextPreprocess:
        """Rebuild a preprocess from its JSON."""
        return TextPreprocess(**{**described, "languages": tuple(described["languages"])})

    def adapt(self, preprocess: Preprocess, sizes: Mapping[str, int | None]) -> TextPreprocess:
        """Apply ``max_length``, which may not be longer than the model's positions."""
        texts = cast(TextPreprocess, preprocess)
        if sizes["image_size"] is not None:
            raise UserError("--image-size for texts", "--max-length", "leave --image-size out")
        if sizes.get("tiles"):
            raise UserError("--tiles for texts", "pictures with masks", "leave --tiles out")
        wanted = sizes["max_length"]
        if wanted is None:
            return texts
        if wanted > texts.longest:
            raise UserError(
                f"--max-length {wanted}",
                f"at most {texts.longest}, the model's positions",
                "give a smaller one",
            )
        return replace(texts, max_length=wanted)

    def taps(self, preprocess: Preprocess, network: Network) -> list[Tap]:
        """Return every layer, pooled as the model's own texts are."""
        pooling = cast(TextPreprocess, preprocess).pooling
        return [Tap(f"{pooling}/{block}", block, pooling) for block in network.blocks]

    def trunk(self, preprocess: Preprocess, network: Network, taps: Sequence[Tap]) -> "nn.Module":
        """Return the module from tokens to features."""
        from headstart.model.pooling import PooledTexts

        return PooledTexts(network, taps)

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
        """Raise UserError: there is no augmentation of a text."""
        raise UserError("--augment for texts", "pictures", "leave --augment out")

    def sample(self, preprocess: Preprocess) -> Inputs:
        """Return two texts of eight tokens, the second one shorter."""
        mask = np.ones((2, 8), dtype=np.int64)
        mask[1, 5:] = 0
        return {"input_ids": mask.copy(), "attention_mask": mask}

    def varying_axes(self) -> Mapping[str, Mapping[int, str]]:
        """Return that the batch and its length vary."""
        return {"input_ids": {0: "n", 1: "t"}, "attention_mask": {0: "n", 1: "t"}, "features": {0: "n"}}

    def layer_sets(self, columns: Sequence[Column]) -> dict[str, Sequence[Column]]:
        """Return the last layer, every layer, the upper half, and every layer with half on the last.

        That mixture suits what the last layer was trained for, topics for instance: see
        docs/architecture.md.
        """
        mixed = replace(columns[-1], weight=float(max(1, len(columns) - 1)))
        return {
            "last": columns[-1:],
            "all": columns,
            "deep": columns[len(columns) // 2 :],
            "mixed": [*columns[:-1], mixed],
        }

    def blocks(self, columns: Sequence[Column]) -> list[Sequence[Column]]:
        """Return every layer."""
        return [[column] for column in columns]
