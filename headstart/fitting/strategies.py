"""Where the freeze line lies and how what is above it moves."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from headstart.core.errors import UserError
from headstart.core.plugins import nearest
from headstart.fitting import lora
from headstart.fitting.blocks import Block


@dataclass(frozen=True, slots=True)
class Strategy:
    """Which weights train: ``head_first`` begins with the head alone, ``moves`` says what follows.

    ``last`` is how many blocks train, from the top.
    """

    name: str
    head_first: bool
    moves: Literal["nothing", "everything", "last", "lora"]
    last: int = 0


_FIXED = {
    "head": Strategy("head", True, "nothing"),
    "lora": Strategy("lora", True, "lora"),
    "full": Strategy("full", False, "everything"),
    "head-then-full": Strategy("head-then-full", True, "everything"),
}


def parse(name: str) -> Strategy:
    """Return the strategy of a name. Raises UserError."""
    numbered = re.fullmatch(r"last-([1-9][0-9]*)", name)
    if numbered:
        return Strategy(name, True, "last", int(numbered[1]))
    if name not in _FIXED:
        raise UserError(
            f"--strategy {name}",
            "head, last-1 (the last block), last-2 ..., lora, full, head-then-full or auto",
            nearest(name, (*_FIXED, "last-1", "auto")),
        )
    return _FIXED[name]


def open_up(strategy: Strategy, trunk: Any, blocks: Sequence[Block], seed: int) -> lora.Adapted | None:
    """Say of each weight of the trunk whether it trains. Returns the adapters, where some were added.

    Raises UserError where there are fewer blocks than are to train.
    """
    if strategy.moves == "lora":
        return lora.adapt(trunk, blocks, seed)
    if strategy.moves == "last":
        if strategy.last > len(blocks):
            raise UserError(
                f"--strategy {strategy.name} of a model with {len(blocks)} blocks",
                f"at most last-{len(blocks)}" if blocks else "head or full",
                "train fewer, or full",
            )
        named = dict(trunk.inner.named_parameters())
        for block in blocks[: -strategy.last]:
            for name in block.parameters:
                named[name].requires_grad_(False)
    return None
