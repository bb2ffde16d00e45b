"""Texts token by token: ids and mask [N, T] in; the last layer's states, a page of tokens a row."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast, final

from headstart.contracts import Network, Preprocess, Tap, TextPreprocess
from headstart.modalities._pages import Pages, texts
from headstart.model.transformers.sentence_folder import VECTOR

if TYPE_CHECKING:
    from torch import nn


@final
class TextStates(Pages):
    """What an encoder says of each token, as a decoder above it reads it."""

    name = "text-states"
    pooled = False

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
