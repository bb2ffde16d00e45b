"""A trunk as one torch module: pixels in, the pooled features of every block out.

Shape letters: N pictures, H, W pixels, C channels of a block, G grid cells a side, D features.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.contracts import Preprocess
from headstart.model.taps import Tap


class PooledBlocks(nn.Module):
    """Normalises uint8 pictures [N, H, W, 3], runs the blocks, pools the tapped ones into [N, D]."""

    def __init__(
        self, preprocess: Preprocess, blocks: Sequence[tuple[str, nn.Module]], taps: Sequence[Tap]
    ) -> None:
        super().__init__()
        self.taps = tuple(taps)
        self.names = tuple(name for name, _ in blocks)
        self.blocks = nn.ModuleList([block for _, block in blocks])
        # Normalisation as one multiplication and one addition a channel: x * gain + offset.
        std = torch.tensor(preprocess.std)
        self.flip = preprocess.order == "BGR"
        self.gain: Tensor
        self.offset: Tensor
        self.register_buffer("gain", (preprocess.scale / std).view(1, 3, 1, 1))
        self.register_buffer("offset", (-torch.tensor(preprocess.mean) / std).view(1, 3, 1, 1))

    def forward(self, pixels_NHWC: Tensor) -> Tensor:
        """Return features float32 [N, D], the taps side by side."""
        pixels_NCHW = pixels_NHWC.permute(0, 3, 1, 2).float()
        pooled = {"": pixels_NCHW / 255.0}
        if self.flip:
            pixels_NCHW = pixels_NCHW[:, [2, 1, 0]]
        x_NCHW = pixels_NCHW * self.gain + self.offset
        for name, block in zip(self.names, self.blocks, strict=True):
            x_NCHW = block(x_NCHW)
            pooled[name] = x_NCHW
        return torch.cat([pool(pooled[tap.block], tap.grid).flatten(1) for tap in self.taps], dim=1)


def pool(x_NCHW: Tensor, grid: int) -> Tensor:
    """Average over ``grid`` x ``grid`` cells that together cover the whole map: [N, C, G, G].

    A map smaller than the grid keeps its own size. Cells overlap where the side does not divide, so
    that kernel and stride are constants and every engine has the operation.
    """
    height, width = int(x_NCHW.shape[2]), int(x_NCHW.shape[3])
    rows, columns = min(grid, height), min(grid, width)
    stride = (height // rows, width // columns)
    kernel = (height - (rows - 1) * stride[0], width - (columns - 1) * stride[1])
    return functional.avg_pool2d(x_NCHW, kernel, stride)


def tap_widths(module: PooledBlocks, size: int) -> list[int]:
    """Return each tap's number of features for square pictures of ``size`` px."""
    widths: list[int] = []
    channels: dict[str, Any] = {"": torch.zeros(1, 3, size, size)}
    with torch.inference_mode():
        x_NCHW = channels[""]
        for name, block in zip(module.names, module.blocks, strict=True):
            x_NCHW = channels[name] = block(x_NCHW)
        widths = [pool(channels[tap.block], tap.grid).flatten(1).shape[1] for tap in module.taps]
    return widths
