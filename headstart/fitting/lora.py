"""Low-rank adapters (Hu et al., arXiv 2106.09685, eq. 3): W x becomes W x + (a/r) B A x; A and B train.

They go on every linear layer and every 1x1 convolution of the blocks, which is what matters most for quality
(Dettmers et al., arXiv 2305.14314, section 4); structure tells which those are, so no source has to.
PEFT does the work; afterwards B A is added to W and nothing of it remains but a folder for PEFT.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch
from headstart.fitting.blocks import Block

RANK = 8
_ALPHA = 16
FOLDER = "adapters"


@dataclass(frozen=True, slots=True)
class Adapted:
    """A model with adapters."""

    peft: Any
    config: Any

    def files(self) -> Mapping[str, bytes]:
        """Return the adapters as PEFT saves them, by file name."""
        from safetensors.torch import save

        tensors = {
            f"base_model.model.{name.replace('.default.', '.')}": one.detach().contiguous()
            for name, one in self.peft.model.named_parameters()
            if ".lora_" in name
        }
        described = json.dumps(self.config.to_dict(), indent=2, sort_keys=True, default=sorted)
        return {
            f"{FOLDER}/adapter_model.safetensors": save(tensors),
            f"{FOLDER}/adapter_config.json": described.encode(),
        }

    def merge(self) -> None:
        """Add the adapters to the weights, in place, and remove them."""
        self.peft.merge_and_unload()


def adapt(trunk: Any, blocks: Sequence[Block], seed: int) -> Adapted:
    """Add adapters to a trunk's blocks, all of the model where it has none; nothing else of those trains.

    Raises UserError where no layer takes one.
    """
    torch = prepare_torch()
    from peft import LoraConfig
    from peft.tuners.lora import LoraModel
    from transformers.pytorch_utils import Conv1D

    named = dict(trunk.inner.named_parameters())
    below = {name for block in blocks for name in block.parameters} or set(named)
    names = [name for name in _adaptable(trunk.inner) if f"{name}.weight" in below]
    if not names:
        raise UserError("--strategy lora for this model", "linear layers in its blocks", "choose last-1")
    # Otherwise PEFT would freeze what is above the blocks as well: a decoder of the model's own.
    free = [one for name, one in named.items() if name not in below and one.requires_grad]
    config = LoraConfig(
        r=RANK,
        lora_alpha=_ALPHA,
        target_modules="|".join(map(re.escape, names)),
        lora_dropout=0.0,
        fan_in_fan_out=isinstance(trunk.inner.get_submodule(names[0]), Conv1D),  # GPT-2's are transposed
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        adapted = Adapted(LoraModel(trunk.inner, {"default": config}, "default"), config)
    for one in free:
        one.requires_grad_(True)
    return adapted


def _adaptable(module: Any) -> Iterator[str]:
    """Yield the names of the layers that take an adapter."""
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    for name, one in module.named_modules():
        pointwise = isinstance(one, nn.Conv2d) and one.kernel_size == (1, 1) and one.groups == 1
        if pointwise or isinstance(one, nn.Linear | Conv1D):
            yield name
