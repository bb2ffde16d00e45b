"""A frozen graph as a network: a torch module whose forward pass is OpenVINO's. Nothing in it can train.

Shape letters: N examples, C channels, H W a map's sides, T tokens.
"""

from collections.abc import Mapping
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from headstart.contracts import Network, Pretrained
from headstart.core.errors import EngineUnavailable
from headstart.model.graph import convert as graph_convert
from headstart.model.graph import file as graph_file
from headstart.model.picture_network import as_map, size_of


@final
class GraphNetwork(Network):
    """The tensors of a graph that everything flows through: maps [N, C, H, W], vectors [N, C], or states."""

    def __init__(self, pretrained: Pretrained) -> None:
        self.facts = pretrained.config
        self.module = GraphModule(pretrained)
        self.blocks = tuple(f"block.{place}" for place in range(len(self.facts["blocks"])))

    def outputs(self, *inputs: Tensor) -> list[Tensor]:
        """Return every block's output for normalised pixels [N, 3, H, W], or token ids and mask [N, T]."""
        found = self.module(*inputs)
        if self.facts["kind"] == "text":
            return list(found)
        return [_as_pictures(x, one) for x, one in zip(found, self.facts["blocks"], strict=True)]


class GraphModule(nn.Module):
    """Runs a graph on tensors; it has no parameters, for the graph holds its weights itself."""

    def __init__(self, pretrained: Pretrained) -> None:
        super().__init__()
        self.facts = pretrained.config
        self.request = _ready(pretrained).create_infer_request()

    def __deepcopy__(self, memo: object) -> "GraphModule":
        """Return the module itself: a copy would be the same function."""
        return self

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the graph's outputs for a batch, one example after another where it takes only one."""
        if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]  # torch's stubs lack it
            raise EngineUnavailable("the model is a frozen graph, which OpenVINO runs when torch calls it")
        fed = self._fed(*inputs)
        if self.facts["batched"]:
            outputs = self._run(fed)
        else:
            each = [
                self._run({name: array[[place] * self.facts["batch"]] for name, array in fed.items()})
                for place in range(len(inputs[0]))
            ]
            outputs = [np.concatenate([one[:1] for one in parts]) for parts in zip(*each, strict=True)]
        return tuple(torch.from_numpy(array).to(inputs[0].device) for array in outputs)

    def _run(self, fed: Mapping[str, Any]) -> list[Any]:
        found = self.request.infer(fed).to_tuple()
        return [np.array(array, dtype=np.float32) for array in found]

    def _fed(self, *inputs: Tensor) -> dict[str, Any]:
        """Return the graph's inputs by name, as it wants them."""
        plain, types = self.facts["inputs"], self.facts["types"]
        if self.facts["kind"] == "text":
            ids_NT, mask_NT = inputs
            given = {"input_ids": ids_NT, "attention_mask": mask_NT}
            named = {name: given.get(one, torch.zeros_like(ids_NT)) for name, one in plain.items()}
        else:
            named = {self.facts["start"]: self._laid(inputs[0])}
        return {
            name: np.ascontiguousarray(x.cpu().numpy().astype(graph_convert.TYPES[types[name]]))
            for name, x in named.items()
        }

    def _laid(self, pixels_NCHW: Tensor) -> Tensor:
        """Return pictures as they lie in the graph's input; one channel is the mean of three."""
        if self.facts["channels"] == 1:
            pixels_NCHW = pixels_NCHW.mean(dim=1, keepdim=True)
        if self.facts["types"][self.facts["start"]] == "u8":
            pixels_NCHW = pixels_NCHW.round().clamp(0, 255)
        return pixels_NCHW.permute(0, 2, 3, 1) if self.facts["channels_last"] else pixels_NCHW


def _ready(pretrained: Pretrained) -> Any:
    """Return the graph compiled, for pictures of one size where that may be chosen."""
    facts = pretrained.config
    model = graph_convert.core().read_model(graph_file.check(pretrained))
    if facts["kind"] == "picture" and facts["flexible"]:
        size, channels = size_of(pretrained), facts["channels"]
        shape = [-1, size, size, channels] if facts["channels_last"] else [-1, channels, size, size]
        model.reshape(shape)
    return graph_convert.compiled(model)


def _as_pictures(x: Tensor, block: Mapping[str, Any]) -> Tensor:
    """Return a block's output as a map [N, C, H, W] or a vector [N, C]."""
    if block["kind"] == "vector":
        return x.flatten(1)
    if block["kind"] == "map":
        return x.permute(0, 3, 1, 2) if block["channels_last"] else x
    laid = as_map(x, int(x.shape[1] ** 0.5))
    return x.mean(dim=1) if laid is None else laid
