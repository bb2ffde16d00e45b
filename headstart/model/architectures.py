"""Architectures cut into blocks: applied in order, the blocks are the model up to its classifier.

An architecture is written ``LIBRARY/NAME``. The freeze line may lie between any two blocks.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, final

from headstart.contracts import Network
from headstart.core.frameworks import prepare_torch

if TYPE_CHECKING:
    from torch import Tensor, nn

_LITE_DEPTHS = {0: (1, 2, 2, 3, 3, 4, 1), 1: (1, 3, 3, 4, 4, 5, 1), 2: (1, 3, 3, 4, 4, 5, 1)}


def efficientnet_lite_block_names(architecture: str) -> list[str]:
    """Return timm's names of an EfficientNet-Lite's blocks, ``blocks.STAGE.INDEX``, in order."""
    depths = _LITE_DEPTHS[int(architecture[-1])]
    return [f"blocks.{stage}.{index}" for stage, depth in enumerate(depths) for index in range(depth)]


def chain(architecture: str) -> Network:
    """Build an architecture with random weights, cut into a chain of blocks."""
    prepare_torch()
    library, _, name = architecture.partition("/")
    cut = {"timm": _timm_efficientnet, "torchvision": _torchvision_features}[library]
    return Chain(*cut(name))


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


def _timm_efficientnet(name: str) -> "tuple[nn.Module, Sequence[tuple[str, nn.Module]]]":
    import timm
    from torch import nn

    model: Any = timm.create_model(name, pretrained=False)
    blocks: list[tuple[str, nn.Module]] = [("stem", nn.Sequential(model.conv_stem, model.bn1))]
    for stage, layers in enumerate(model.blocks):
        blocks += [(f"blocks.{stage}.{index}", layer) for index, layer in enumerate(layers)]
    blocks.append(("head", nn.Sequential(model.conv_head, model.bn2)))
    return model, blocks


def _torchvision_features(name: str) -> "tuple[nn.Module, Sequence[tuple[str, nn.Module]]]":
    """Cut a plain chain of layers: a block ends where the next convolution or pooling begins."""
    import torchvision
    from torch import nn

    model = getattr(torchvision.models, name)(weights=None)
    if name.startswith("vgg"):
        model.classifier = nn.Identity()  # 124 million weights above every freeze line
    blocks: list[tuple[str, nn.Module]] = []
    pending: list[Any] = []
    for index, layer in enumerate(model.features):
        pending.append(layer)
        following = model.features[index + 1] if index + 1 < len(model.features) else None
        if not isinstance(layer, nn.Conv2d | nn.MaxPool2d) and not isinstance(following, nn.ReLU):
            blocks.append((f"features.{index}", nn.Sequential(*pending)))
            pending = []
    if pending:
        blocks.append((f"features.{len(model.features) - 1}", nn.Sequential(*pending)))
    return model, blocks
