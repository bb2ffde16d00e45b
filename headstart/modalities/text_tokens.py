"""Texts as their tokens alone: ids and mask [N, T] in, the ids out, a page of tokens a row.

The freeze line lies before the first layer: every layer of a model that goes on from what it has read trains.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast, final

from headstart.contracts import Column, Network, Preprocess, Tap, TextPreprocess
from headstart.core.errors import UserError
from headstart.modalities._pages import Pages, texts

if TYPE_CHECKING:
    from torch import nn

_ROOM, _SHARE = 128, 4
_LEAST = 4


@final
class TextTokens(Pages):
    """Tokens as a model reads them, with room behind them for those that it is to write."""

    name = "text-tokens"

    def adapt(self, preprocess: Preprocess, sizes: Mapping[str, int | None]) -> TextPreprocess:
        """Apply ``max_length``; keep positions free for ``target_length`` tokens and the mark before them.

        Raises UserError where both together are more than the model's positions.
        """
        adapted = cast(TextPreprocess, texts().adapt(preprocess, sizes))
        wanted, target = sizes.get("max_length"), sizes.get("target_length")
        room = target or min(_ROOM, adapted.longest // _SHARE)
        most = adapted.longest - room - 1
        if most < (wanted or _LEAST):
            raise UserError(
                f"--max-length {wanted or _LEAST} with {room} tokens for the target",
                f"at most {adapted.longest - 1} together: the model reads and writes in the same positions",
                "give a smaller --max-length or --target-length",
            )
        return replace(adapted, modality=self.name, max_length=min(adapted.max_length, most))

    def taps(self, preprocess: Preprocess, network: Network) -> list[Tap]:
        """Return the input itself."""
        return [Tap("ids", "", "")]

    def trunk(self, preprocess: Preprocess, network: Network, taps: Sequence[Tap]) -> "nn.Module":
        """Return the module from tokens to their ids [N, T, 1]."""
        from headstart.model.pooling import TokenIds

        return TokenIds(network, taps)

    def blocks(self, columns: Sequence[Column]) -> list[Sequence[Column]]:
        """Return none: no block is below the line."""
        return []
