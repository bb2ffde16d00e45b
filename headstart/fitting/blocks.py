"""The blocks of a trunk: which weights each of them uses first, and which module gives its output.

Both are found by running the trunk once, so that no architecture has to tell: the weights by walking the
graph of gradients back from each block's output, the module by whose output shares the block's memory.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from headstart.contracts import Array
from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Block:
    """A block above the one before: its weights by their names in ``trunk.inner``, and its module.

    ``module`` is the outermost whose output is the block's; None where that can't be told.
    """

    name: str
    parameters: tuple[str, ...]
    module: "nn.Module | None"


def blocks_of(trunk: Any, sample: Mapping[str, Array]) -> list[Block]:
    """Return the blocks that have weights, in order, from one run on a sample."""
    torch = prepare_torch()
    inputs = [torch.from_numpy(array) for array in sample.values()]
    with torch.enable_grad(), _recorded(trunk.inner) as given:
        outputs = trunk.outputs(*inputs)
    names = {id(one): name for name, one in trunk.inner.named_parameters()}
    walked: set[Any] = set()
    found = []
    for name, output in outputs.items():
        used = [names.pop(key) for key in _leaves(output, walked) if key in names]
        if used:
            order = [one for one, _ in trunk.inner.named_parameters() if one in set(used)]
            found.append(Block(name, tuple(order), given.get(output.untyped_storage().data_ptr())))
    return found


@contextmanager
def _recorded(module: "nn.Module") -> "Iterator[dict[int, nn.Module]]":
    """Yield which module was the last to give a tensor, by the tensor's memory."""
    torch = prepare_torch()
    given: dict[int, nn.Module] = {}
    kept: list[Tensor] = []  # so that no memory is used twice

    def note(one: "nn.Module", taken: object, output: Any) -> None:
        first = output[0] if isinstance(output, tuple) and len(output) == 1 else output
        if isinstance(first, torch.Tensor):
            given[first.untyped_storage().data_ptr()] = one
            kept.append(first)

    hooks = [one.register_forward_hook(note) for one in module.modules() if one is not module]
    try:
        yield given
    finally:
        for hook in hooks:
            hook.remove()


def _leaves(output: "Tensor", walked: set[Any]) -> Iterator[int]:
    """Yield the identities of the weights below an output that no earlier walk has met."""
    waiting: list[Any] = [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in walked:
            continue
        walked.add(node)
        if (leaf := getattr(node, "variable", None)) is not None:
            yield id(leaf)
        waiting.extend(below for below, _ in node.next_functions)


def depths(blocks: Sequence[Block]) -> dict[str, int]:
    """Return how many blocks from the top each weight is: 1 for the last block's."""
    return {name: len(blocks) - place for place, block in enumerate(blocks) for name in block.parameters}


def recompute(blocks: Sequence[Block]) -> None:
    """Let the blocks forget what they computed on the way up, and compute it again on the way down.

    As Chen et al. (arXiv 1604.06174, section 4) with a segment a block. Raises UserError where no block's
    module is known.
    """
    prepare_torch()
    from torch.utils.checkpoint import checkpoint

    from headstart.fitting.dropout import DropoutOfWords

    found = [block.module for block in blocks if block.module is not None]
    if not found:
        raise UserError("--recompute for this model", "blocks that are modules", "leave it out")
    for module in found:
        # What is computed again has to draw the same dropout: backwards, the loop's own mode is off.
        module.forward = partial(
            checkpoint,
            module.forward,
            use_reentrant=False,
            context_fn=lambda: (DropoutOfWords(), DropoutOfWords()),
        )


def scales(blocks: Sequence[Block], decay: float | None) -> dict[str, float]:
    """Return the factor of each weight's learning rate: decay to the number of blocks from the top.

    As Howard and Ruder (arXiv 1801.06146, section 3.2); the head has 1.
    """
    if decay is None:
        return {}
    return {f"0.inner.{name}": decay**depth for name, depth in depths(blocks).items()}


def freeze_unused(trunk: Any, blocks: Sequence[Block], above: "nn.Module") -> None:
    """Leave alone what neither a block nor what is above them uses: a classifier of other classes."""
    used = {name for block in blocks for name in block.parameters}
    held = {id(one) for one in above.parameters()}
    for name, one in trunk.inner.named_parameters():
        if blocks and name not in used and id(one) not in held:
            one.requires_grad_(False)


def freeze_below(module: "nn.Module", below: Sequence[Block]) -> None:
    """Let blocks below the line do as they always do, and leave the pretrained running means alone.

    Small batches only spoil the means and variances of batch normalisation.
    """
    from torch import nn

    for block in below:
        if block.module is not None:
            block.module.eval()
    for one in module.modules():
        if isinstance(one, nn.modules.batchnorm._BatchNorm):
            one.eval()
