"""Losses of masks on sampled truth, and the linear head of each pixel as it trains with the model below it.

Label smoothing e makes of the shares a of a cell (1 - e) a + e / K times how much of the cell is taught
(Szegedy et al., arXiv 1512.00567).

Shape letters: m units (pictures or tiles), C channels, h w a map's sides, K classes, G the grid's side.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from headstart.contracts import Above, Array, Augmentation, Column, Training
from headstart.core.frameworks import prepare_torch
from headstart.fitting import maps
from headstart.fitting.maps import Samples
from headstart.maths import mask_losses
from headstart.maths.mask_losses import Loss
from headstart.model.maps import MapHead, side_of

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class MaskLoss:
    """What is minimised of masks: the sum of some losses, with weights of classes and smoothed shares."""

    kinds: Sequence[Loss]
    samples: Samples
    weights_K: Array
    smoothing: float

    def of(
        self,
        logits_mKGG: "Tensor",
        places_m: Array,
        augmentations: Sequence[Augmentation] | None,
        smoothed: bool,
    ) -> "tuple[Tensor, Array]":
        """Return each unit's losses times the area of it that is taught, and those areas, both [m]."""
        torch = prepare_torch()
        shares_mKGG = torch.from_numpy(self.samples.shares(places_m, augmentations))
        areas_m = shares_mKGG.sum(dim=(1, 2, 3)).double().numpy()
        if self.smoothing and smoothed:
            taught_m1GG = shares_mKGG.sum(dim=1, keepdim=True)
            even = self.smoothing / shares_mKGG.shape[1]
            shares_mKGG = (1 - self.smoothing) * shares_mKGG + even * taught_m1GG
        logits_mKGG, weights_K = logits_mKGG.float(), torch.from_numpy(self.weights_K)
        return torch.stack([one(logits_mKGG, shares_mKGG, weights_K) for one in self.kinds]).sum(0), areas_m


@final
class PixelsAbove(Above):
    """A linear layer for every cell of the finest map, on maps as they are; a picture is one unit.

    Its class weights and cells are those of the solved head; without one it begins with zeros.
    """

    def __init__(self, training: Training, columns: Sequence[Column], head: MapHead | None) -> None:
        torch = prepare_torch()
        self.rows, self.columns = training.rows, tuple(columns) if head is None else head.columns
        spec, num_classes = training.spec, len(training.classes)
        fit_n, held_out_n = training.folds[0]
        self.side = max(map(side_of, self.columns)) if head is None else head.side
        used_n = np.unique(np.concatenate([fit_n, held_out_n]))
        samples = Samples(self.rows, used_n, training.classes, self.side)
        weights_K, _ = maps.weigh(samples, self.rows.places(fit_n), spec.class_weights)
        self.taught = MaskLoss(
            (mask_losses.cross_entropy,), samples, weights_K.astype(np.float32), spec.label_smoothing or 0.0
        )
        widths = [(one.stop - one.start) // side_of(one) ** 2 for one in self.columns]
        self.module: Any = torch.nn.ParameterList(
            [*(torch.zeros(width, num_classes) for width in widths), torch.zeros(num_classes)]
        )
        if head is not None:
            with torch.no_grad():
                for parameter, array in zip(self.module, (*head.weights, head.bias_K), strict=True):
                    parameter.copy_(torch.from_numpy(array))

    def losses(
        self,
        seen: Mapping[str, Any],
        inputs: Mapping[str, Any],
        places_n: Array,
        augmentations: Sequence[Augmentation] | None,
    ) -> "tuple[Tensor, Array]":
        """Return each picture's cross-entropy times the area of it that is taught, and those areas."""
        places_m = self.rows.places(places_n)
        return self.taught.of(
            self._logits(seen, len(places_n)), places_m, augmentations, self.module.training
        )

    def _logits(self, seen: Mapping[str, Any], count: int) -> "Tensor":
        """Return logits [m, K, G, G]: as ``model.maps.logits``, in torch."""
        torch = prepare_torch()
        *weights, bias_K = self.module
        total: Tensor = bias_K[:, None, None]
        for column, weight_CK in zip(self.columns, weights, strict=True):
            side = side_of(column)
            map_mChw = seen[column.name].reshape(count, -1, side, side)
            own_mKhw = torch.einsum("mchw,ck->mkhw", map_mChw, weight_CK)
            grid = (self.side, self.side)
            total = total + torch.nn.functional.interpolate(own_mKhw, grid, mode="bilinear")
        return total

    def settle(self, held_out: Iterable[tuple[Mapping[str, Any], Array]]) -> Mapping[str, float]:
        """Choose nothing: the likeliest class of a pixel is so at any temperature."""
        return {}

    def head(self) -> MapHead:
        """Return the layer as it stands."""
        *weights, bias_K = (one.detach().numpy().copy() for one in self.module)
        return MapHead(self.columns, tuple(weights), bias_K, self.side)
