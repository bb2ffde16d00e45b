"""Texts token by token: ids and mask [N, T] in; the last layer's states, a page of tokens a row."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast, final

from headstart.contracts import Column, Floats, Inputs, Modality, Network, Preprocess, Tap, TextPreprocess
from headstart.core import plugins
from headstart.model import rows

if TYPE_CHECKING:
    from torch import nn


@final
class TextStates(Modality):
    """What an encoder says of each token, as a decoder above it reads it."""

    name = "text-states"
    takes = "text"

    def restore(self, described: Mapping[str, Any]) -> TextPreprocess:
        """Rebuild a preprocess from its JSON."""
        return cast(TextPreprocess, _texts().restore(described))

    def adapt(self, preprocess: Preprocess, sizes: Mapping[str, int | None]) -> TextPreprocess:
        """Apply ``max_length``."""
        return replace(cast(TextPreprocess, _texts().adapt(preprocess, sizes)), modality=self.name)

    def taps(self, preprocess: Preprocess, network: Network) -> list[Tap]:
        """Return the last layer: what a decoder was or will be trained on."""
        return [Tap(network.blocks[-1], network.blocks[-1], "")]

    def trunk(self, preprocess: Preprocess, network: Network, taps: Sequence[Tap]) -> "nn.Module":
        """Return the module from tokens to states [N, T, C]."""
        from headstart.model.pooling import TokenStates

        return TokenStates(network, taps)

    def columns(self, shapes: Mapping[str, tuple[int, ...]]) -> list[Column]:
        """Return a page's columns."""
        ((block, shape),) = shapes.items()
        return rows.page_columns(block, shape[-1])

    def rows(self, features: Floats, inputs: Sequence[Inputs]) -> list[Floats]:
        """Return each text's pages, without what was padded."""
        return [
            rows.paged(states_TC[: len(one["input_ids"])], one["input_ids"])
            for states_TC, one in zip(features, inputs, strict=True)
        ]

    def rows_column(self, columns: Sequence[Column]) -> Column | None:
        """Return the column that says how many pages a text has."""
        return columns[0]

    def sample(self, preprocess: Preprocess) -> Inputs:
        """Return two texts of eight tokens, the second one shorter."""
        return _texts().sample(preprocess)

    def varying_axes(self) -> Mapping[str, Mapping[int, str]]:
        """Return that the batch and its length vary."""
        return {**_texts().varying_axes(), "features": {0: "n", 1: "t"}}

    def layer_sets(self, columns: Sequence[Column]) -> dict[str, Sequence[Column]]:
        """Return the one set there is."""
        return {"last": columns, "all": columns}


def _texts() -> Modality:
    found: Modality = plugins.load("modality", "text")
    return found
