"""Texts token by token: ids and mask [N, T] in; the last layer's states, a page of tokens a row."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast, final

from headstart.contracts import Array, Column, Floats, Network, Preprocess, Tap, TextPreprocess
from headstart.modalities._pages import Pages, texts
from headstart.model import rows
from headstart.model.transformers.sentence_folder import VECTOR

if TYPE_CHECKING:
    from torch import nn


@final
class TextStates(Pages):
    """What an encoder says of each token, as a decoder above it reads it."""

    name = "text-states"

    def adapt(self, preprocess: Preprocess, sizes: Mapping[str, int | None]) -> TextPreprocess:
        """Apply ``max_length``."""
        return replace(cast(TextPreprocess, texts().adapt(preprocess, sizes)), modality=self.name)

    def taps(self, preprocess: Preprocess, network: Network) -> list[Tap]:
        """Return the last layer: what a decoder was or will be trained on."""
        last = [block for block in network.blocks if block != VECTOR][-1]
        return [Tap(last, last, "")]

    def trunk(self, preprocess: Preprocess, network: Network, taps: Sequence[Tap]) -> "nn.Module":
        """Return the module from tokens to states [N, T, C]."""
        from headstart.model.pooling import TokenStates

        return TokenStates(network, taps)

    def blocks(self, columns: Sequence[Column]) -> list[Sequence[Column]]:
        """Return the only layer, with the ids that tell which of its tokens are real."""
        return [columns[1:]]

    def vectors(self, seen_RD: Floats, block: Sequence[Column]) -> tuple[Floats, Array]:
        """Return the mean over a page's real tokens, and how many they are."""
        return rows.page_means(seen_RD)
