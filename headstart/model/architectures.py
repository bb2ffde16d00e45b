"""Architectures cut into blocks: applied in order, the blocks are the model up to its classifier.

An architecture is written ``LIBRARY/NAME``. The freeze line may lie between any two blocks.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, final

from headstart.contracts import Network
from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch

if TYPE_CHECKING:
    from torch import Tensor, nn

_LITE_DEPTHS = {0: (1, 2, 2, 3, 3, 4, 1), 1: (1, 3, 3, 4, 4, 5, 1), 2: (1, 3, 3, 4, 4, 5, 1)}


def efficientnet_lite_block_names(architecture: str) -> list[str]:
    """Return timm's names of an EfficientNet-Lite's blocks, ``blocks.STAGE.INDEX``, in order."""
    depths = _LITE_DEPTHS[int(architecture[-1])]
    return [f"blocks.{stage}.{index}" for stage, depth in enumerate(depths) for index in range(depth)]


def chain(architecture: str, **options: Any) -> Network:
    """Build an architecture with random weights, cut into a chain of blocks; ``options`` are its own."""
    prepare_torch()
    library, _, name = architecture.partition("/")
    cut = {"timm": _timm_efficientnet, "torchvision": _torchvision}.get(library)
    if cut is None or not re.fullmatch(r"\w+", name):  # timm takes some names for addresses
        raise UserError(f"an architecture {architecture!r:.80}", "timm/NAME or torchvision/NAME", "check it")
    return Chain(*cut(name, **options))


@final
class Chain(Network):
    """Blocks applied one after another: each takes what the one before gave."""

    def __init__(self, module: "nn.Module", blocks: "Sequence[tuple[str, nn.Module]]") -> None:
        self.module = module
        self.blocks = tuple(name for name, _ in blocks)
        self._steps = tuple(block for _, block in blocks)

    def outputs(self, *inputs: "Tensor") -> "list[Tensor]":
        """Return every block's map [N, C, H, W] for normalised pixels [N, 3, H, W]."""
        (x_NCHW,) = inputs
        maps = []
        for step in self._steps:
            x_NCHW = step(x_NCHW)
            maps.append(x_NCHW)
        return maps


def _timm_efficientnet(name: str, **options: Any) -> "tuple[nn.Module, Sequence[tuple[str, nn.Module]]]":
    import timm
    from torch import nn

    model: Any = timm.create_model(name, pretrained=False, **options)
    blocks: list[tuple[str, nn.Module]] = [("stem", nn.Sequential(model.conv_stem, model.bn1))]
    for stage, layers in enumerate(model.blocks):
        blocks += [(f"blocks.{stage}.{index}", layer) for index, layer in enumerate(layers)]
    blocks.append(("head", nn.Sequential(model.conv_head, model.bn2)))
    return model, blocks


def _torchvision(name: str, **options: Any) -> "tuple[nn.Module, Sequence[tuple[str, nn.Module]]]":
    """Cut a plain chain of layers: a block ends where the next convolution or pooling begins."""
    import torchvision
    from torch import nn

    model = torchvision.models.get_model(name, weights=None, **options)
    if name.startswith("vgg") and not options:
        model.classifier = nn.Identity()  # 124 million weights above every freeze line
    blocks: list[tuple[str, nn.Module]] = []
    pending: list[Any] = []
    layers = _layers(model)
    for (path, layer), following in zip(layers, [*(one for _, one in layers[1:]), None], strict=True):
        pending.append(layer)
        inside = isinstance(layer, nn.Conv2d | nn.MaxPool2d) or isinstance(following, nn.ReLU)
        if following is None or not inside:
            blocks.append((path, nn.Sequential(*pending) if len(pending) > 1 else layer))
            pending = []
    return model, blocks


def _layers(model: Any) -> "list[tuple[str, nn.Module]]":
    """Return what a picture passes through up to the last layer that tells classes, in order, by path."""
    from torch import nn

    inner = dict(model.named_children())
    if "backbone" in inner:  # a segmentation model: its decoder's last convolution tells classes
        layers, head = _unfolded("backbone", inner["backbone"]), inner["classifier"]
        decoder = list(head.children())[:-1] if isinstance(head, nn.Sequential) else []
        return [*layers, ("classifier", nn.Sequential(*decoder))] if decoder else layers
    if "features" in inner:
        return _unfolded("features", inner["features"])
    stages = nn.ModuleDict({name: one for name, one in inner.items() if name not in ("avgpool", "fc")})
    return _unfolded("", stages)


def _unfolded(path: str, module: Any) -> "list[tuple[str, nn.Module]]":
    """Return a container's layers, those of stages that hold nothing but blocks one by one."""
    from torch import nn

    layers: list[tuple[str, nn.Module]] = []
    for name, child in module.named_children():
        place = f"{path}.{name}".strip(".")
        stage = type(child) is nn.Sequential and all(list(block.children()) for block in child)
        layers += _unfolded(place, child) if stage else [(place, child)]
    return layers
