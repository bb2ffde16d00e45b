"""Trunks as torch modules: a raw batch in, the pooled outputs of every block out.

Shape letters: N examples, H, W pixels, C channels of a block, T tokens, D features.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from headstart.contracts import Network, PicturePreprocess, Tap


class PooledPictures(nn.Module):
    """Normalises uint8 pictures [N, H, W, 3], runs the blocks, averages their maps over grids."""

    def __init__(self, preprocess: PicturePreprocess, network: Network, taps: Sequence[Tap]) -> None:
        super().__init__()
        self.taps, self.network, self.inner = tuple(taps), network, network.module
        self.flip = preprocess.order == "BGR"
        # Normalisation as one multiplication and one addition a channel: x * gain + offset.
        std = torch.tensor(preprocess.std)
        self.gain: Tensor
        self.offset: Tensor
        self.register_buffer("gain", (preprocess.scale / std).view(1, 3, 1, 1))
        self.register_buffer("offset", (-torch.tensor(preprocess.mean) / std).view(1, 3, 1, 1))

    def forward(self, pixels_NHWC: Tensor) -> Tensor:
        """Return features float32 [N, D]."""
        return torch.cat(self.parts(pixels_NHWC), dim=1)

    def parts(self, pixels_NHWC: Tensor) -> list[Tensor]:
        """Return each tap's features [N, d]."""
        return self.pooled(self.outputs(pixels_NHWC), pixels_NHWC)

    def outputs(self, pixels_NHWC: Tensor) -> dict[str, Tensor]:
        """Return every block's output by name."""
        pixels_NCHW = pixels_NHWC.permute(0, 3, 1, 2).float()
        ordered_NCHW = pixels_NCHW[:, [2, 1, 0]] if self.flip else pixels_NCHW
        outputs = self.network.outputs(ordered_NCHW * self.gain + self.offset)
        return dict(zip(self.network.blocks, outputs, strict=True))

    def pooled(self, outputs: Mapping[str, Tensor], pixels_NHWC: Tensor) -> list[Tensor]:
        """Return each tap's features [N, d] of the blocks' outputs."""
        maps = {"": pixels_NHWC.permute(0, 3, 1, 2).float() / 255.0, **outputs}
        return [on_grid(maps[tap.block], int(tap.how)).flatten(1) for tap in self.taps]


class _Texts(nn.Module, ABC):
    """Runs the blocks on tokens [N, T]."""

    def __init__(self, network: Network, taps: Sequence[Tap]) -> None:
        super().__init__()
        self.taps, self.network, self.inner = tuple(taps), network, network.module

    def parts(self, input_ids_NT: Tensor, attention_mask_NT: Tensor) -> list[Tensor]:
        """Return each tap's features."""
        return self.pooled(self.outputs(input_ids_NT, attention_mask_NT), input_ids_NT, attention_mask_NT)

    def outputs(self, input_ids_NT: Tensor, attention_mask_NT: Tensor) -> dict[str, Tensor]:
        """Return every block's states [N, T, C] by name, a vector [N, C] where the model sums texts up."""
        outputs = self.network.outputs(input_ids_NT, attention_mask_NT)
        return dict(zip(self.network.blocks, outputs, strict=True))

    @abstractmethod
    def pooled(
        self, outputs: Mapping[str, Tensor], input_ids_NT: Tensor, attention_mask_NT: Tensor
    ) -> list[Tensor]:
        """Return each tap's features of the blocks' outputs."""


class PooledTexts(_Texts):
    """Pools each block's states over the real tokens."""

    def forward(self, input_ids_NT: Tensor, attention_mask_NT: Tensor) -> Tensor:
        """Return features float32 [N, D]."""
        return torch.cat(self.parts(input_ids_NT, attention_mask_NT), dim=1)

    def pooled(
        self, outputs: Mapping[str, Tensor], input_ids_NT: Tensor, attention_mask_NT: Tensor
    ) -> list[Tensor]:
        """Return each tap's features [N, d]."""
        return [over_tokens(outputs[tap.block], attention_mask_NT, tap.how) for tap in self.taps]


class TokenStates(_Texts):
    """Gives one block's states as they are."""

    def forward(self, input_ids_NT: Tensor, attention_mask_NT: Tensor) -> Tensor:
        """Return states float32 [N, T, C]."""
        return self.parts(input_ids_NT, attention_mask_NT)[0]

    def pooled(
        self, outputs: Mapping[str, Tensor], input_ids_NT: Tensor, attention_mask_NT: Tensor
    ) -> list[Tensor]:
        """Return the only tap's states [N, T, C]."""
        return [outputs[tap.block] for tap in self.taps]


class TokenIds(nn.Module):
    """Gives the tokens [N, T] as they are; ``inner`` is the model that reads them above the line."""

    def __init__(self, network: Network, taps: Sequence[Tap]) -> None:
        super().__init__()
        self.taps, self.inner = tuple(taps), network.module

    def forward(self, input_ids_NT: Tensor, attention_mask_NT: Tensor) -> Tensor:
        """Return ids float32 [N, T, 1], exact up to 2 to the 24."""
        return self.parts(input_ids_NT, attention_mask_NT)[0]

    def parts(self, input_ids_NT: Tensor, attention_mask_NT: Tensor) -> list[Tensor]:
        """Return the only tap's ids [N, T, 1]; 0 where no token is."""
        return self.pooled(self.outputs(input_ids_NT, attention_mask_NT), input_ids_NT, attention_mask_NT)

    def outputs(self, input_ids_NT: Tensor, attention_mask_NT: Tensor) -> dict[str, Tensor]:
        """Return nothing: no block is below the line."""
        return {}

    def pooled(
        self, outputs: Mapping[str, Tensor], input_ids_NT: Tensor, attention_mask_NT: Tensor
    ) -> list[Tensor]:
        """Return the only tap's ids [N, T, 1]; 0 where no token is."""
        return [(input_ids_NT * attention_mask_NT).unsqueeze(-1).float()]


def on_grid(x_NCHW: Tensor, grid: int) -> Tensor:
    """Average over ``grid`` x ``grid`` cells that together cover the whole map: [N, C, G, G].

    A vector [N, C] stays as it is. A map smaller than the grid keeps its own size. Cells overlap where the
    side does not divide, so that kernel and stride are constants and every engine has the operation.
    """
    if x_NCHW.ndim == 2:
        return x_NCHW
    height, width = int(x_NCHW.shape[2]), int(x_NCHW.shape[3])
    rows, columns = min(grid, height), min(grid, width)
    stride = (height // rows, width // columns)
    kernel = (height - (rows - 1) * stride[0], width - (columns - 1) * stride[1])
    return functional.avg_pool2d(x_NCHW, kernel, stride)


class AveragesAsProducts(TorchFunctionMode):
    """While it is on, adaptive average pooling is two products with constant matrices.

    ONNX has no adaptive pooling; as products it runs in every engine. Cell i of G covers the rows from
    floor(i H / G) to ceil((i + 1) H / G), as torch has them.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run ``func``, or the products in its place."""
        if func is not functional.adaptive_avg_pool2d:
            return func(*args, **(kwargs or {}))
        x_NCHW, grid = args
        down_GH, across_GW = (_cells(grid, int(side)).to(x_NCHW) for side in x_NCHW.shape[2:])
        return down_GH @ x_NCHW @ across_GW.T


def _cells(grid: int, side: int) -> Tensor:
    cells_GS = torch.zeros(grid, side)
    for place in range(grid):
        start, stop = place * side // grid, -(-(place + 1) * side // grid)
        cells_GS[place, start:stop] = 1 / (stop - start)
    return cells_GS


def over_tokens(states_NTC: Tensor, mask_NT: Tensor, how: str) -> Tensor:
    """Return [N, C]: the mean over real tokens, the first or the last real one; of vectors themselves."""
    if states_NTC.ndim == 2:
        return states_NTC
    if how == "first":
        return states_NTC[:, 0]
    mask_NT1 = mask_NT.unsqueeze(-1).to(states_NTC.dtype)
    if how == "mean":
        return (states_NTC * mask_NT1).sum(dim=1) / mask_NT1.sum(dim=1)
    # The last real token is the one whose mask is 1 while the next one's is 0; padding is on the right.
    following_NT1 = functional.pad(mask_NT1[:, 1:], (0, 0, 0, 1))
    return (states_NTC * (mask_NT1 - following_NT1)).sum(dim=1)
