"""Teaching a decoder of maps on masks, above cached features: the trunk is never run again.

    min over theta of  1/A sum over pictures of  l(theta; maps, shares)

with l the losses of ``maths.mask_losses``, the shares those that each class covers of each cell of the
decoder's own grid, and A the area that is taught.

Shape letters: m units (pictures or tiles), K classes, G the grid's side.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np

from headstart.contracts import Above, Array, Augmentation, Column, Training
from headstart.core.frameworks import prepare_torch
from headstart.fitting import maps
from headstart.fitting.loop import Objective, shuffled
from headstart.fitting.maps import Samples
from headstart.fitting.masks import MaskLoss
from headstart.fitting.penalised import of_head
from headstart.fitting.recipe import Recipe
from headstart.maths import mask_losses
from headstart.model.fpn import FpnHead
from headstart.model.maps import side_of

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.model.pyramid import Pyramid

FINER = 2
"""The answer's side over the finest map's: where borders are drawn."""
_PER_CELL = 2
_WIDTH, _DROPOUT = 64, 0.1
_VALIDATED, _AT_ONCE = 500, 16


@final
class Decoding(Objective):
    """Losses of masks, on maps that were computed before."""

    def __init__(self, training: Training, columns: Sequence[Column], loss: str, recipe: Recipe) -> None:
        rows, (fit_n, held_out_n) = training.rows, training.folds[0]
        self.columns, self.recipe = tuple(columns), recipe
        self.spec = training.spec
        self.side = FINER * max(map(side_of, columns))
        used_n = np.concatenate([fit_n, held_out_n])
        self.samples = Samples(rows, used_n, training.classes, self.side, _PER_CELL)
        self.read = maps.reader(rows, columns)
        kind = training.spec.class_weights
        self.weights_K, self.fit = maps.weigh(self.samples, rows.places(fit_n), kind)
        held_out = rows.places(held_out_n)
        self.held_out = held_out[:: max(1, len(held_out) // _VALIDATED)]
        kinds = mask_losses.LOSSES[loss]
        self.taught = MaskLoss(kinds, self.samples, self.weights_K, recipe.label_smoothing)
        self.module, self.starts_trained = self._start(training), training.begun is not None

    def batches(self, epoch: int) -> Sequence[Array]:
        """Return the units that teach anything, shuffled anew each epoch."""
        order, step = shuffled(self.fit, (self.recipe.seed, epoch)), self.recipe.batch_size
        return [order[start : start + step] for start in range(0, len(order), step)]

    def loss(self, places_n: Array, epoch: int) -> "tuple[Tensor, float]":
        """Return the sum over units of the losses times the area that is taught, and that area."""
        torch = prepare_torch()
        maps_mChw = [torch.from_numpy(one) for one in self.read(places_n)]
        losses_m, areas_m = self.losses(maps_mChw, places_n, None)
        return losses_m.sum(), float(areas_m.sum())

    def losses(
        self, maps_mChw: "Sequence[Tensor]", places_m: Array, augmentations: Sequence[Augmentation] | None
    ) -> "tuple[Tensor, Array]":
        """Return each unit's losses times the area of it that is taught, and those areas, both [m]."""
        return self.taught.of(self.module(maps_mChw), places_m, augmentations, self.module.training)

    def penalty(self) -> "Tensor | None":
        """Return the decoder's penalty."""
        return of_head(self.spec, self.module)

    def validate(self) -> Mapping[str, float]:
        """Return one less the mean IoU of held-out cells, and the log loss of what is taught of them."""
        torch = prepare_torch()
        loss, sums_3K = 0.0, np.zeros((3, len(self.weights_K)))
        with torch.inference_mode():
            for start in range(0, len(self.held_out), _AT_ONCE):
                part = self.held_out[start : start + _AT_ONCE]
                logits_mKGG = self.module([torch.from_numpy(one) for one in self.read(part)])
                shares = torch.from_numpy(self.samples.shares(part))
                loss -= float((shares * logits_mKGG.log_softmax(dim=1)).sum())
                sums_3K += _overlaps(logits_mKGG.argmax(dim=1).numpy(), shares.numpy())
        said_K, true_K, both_K = sums_3K
        union_K = said_K + true_K - both_K
        iou = float(np.mean(both_K[union_K > 0] / union_K[union_K > 0])) if union_K.any() else 0.0
        return {"iou_loss": 1 - iou, "log_loss": loss / max(float(true_K.sum()), 1e-9)}

    def head(self) -> FpnHead:
        """Return the decoder as it stands."""
        return FpnHead(columns=self.columns, module=self.module.eval())

    def _start(self, training: Training) -> "Pyramid":
        """Return the decoder that was begun with, else a random one, which takes the maps standardised."""
        torch = prepare_torch()
        from headstart.model.pyramid import Pyramid, Shape

        if training.begun is not None:  # with what it takes its maps to be scaled like
            return cast(Pyramid, copy.deepcopy(cast(FpnHead, training.begun).module))
        first = self.read(self.fit[:1])
        shape = Shape(
            channels=tuple(one.shape[1] for one in first),
            sides=tuple(one.shape[-1] for one in first),
            width=training.spec.head_hidden or _WIDTH,
            classes=len(training.classes),
            finer=FINER,
            dropout=_DROPOUT,
        )
        scaled = maps.scaling(self.read, self.fit).unit_variance()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.recipe.seed)
            module = Pyramid(shape)
        both = (scaled.means, scaled.gains)
        module.scale(*([torch.from_numpy(one).float() for one in kind] for kind in both))
        return module


@final
class MapsAbove(Above):
    """A decoder of maps together with the trunk that gives them; a picture is one unit."""

    def __init__(
        self, training: Training, columns: Sequence[Column], head: FpnHead | None, loss: str
    ) -> None:
        self.rows, seen = training.rows, tuple(columns) if head is None else head.columns
        self.decoding = Decoding(training, seen, loss, Recipe.from_spec(training.spec))
        self.module = self.decoding.module
        if head is not None:
            self.module.load_state_dict(head.module.state_dict())

    def losses(
        self,
        seen: Mapping[str, Any],
        inputs: Mapping[str, Any],
        places_n: Array,
        augmentations: Sequence[Augmentation] | None,
    ) -> "tuple[Tensor, Array]":
        """Return each picture's losses times the area of it that is taught, and those areas."""
        columns = self.decoding.columns
        maps_nChw = [seen[one.name].reshape(len(places_n), -1, side_of(one), side_of(one)) for one in columns]
        return self.decoding.losses(maps_nChw, self.rows.places(places_n), augmentations)

    def settle(self, held_out: Iterable[tuple[Mapping[str, Any], Array]]) -> Mapping[str, float]:
        """Choose nothing: the likeliest class of a pixel is so at any temperature."""
        return {}

    def head(self) -> FpnHead:
        """Return the decoder as it stands."""
        return self.decoding.head()


def _overlaps(said_mGG: Array, shares_mKGG: Array) -> Array:
    """Return by class the area that is said to be it, that is it, and that is both [3, K]."""
    num_classes = shares_mKGG.shape[1]
    taught_mGG = shares_mKGG.sum(axis=1)
    said = np.bincount(said_mGG.ravel(), taught_mGG.ravel(), num_classes)
    right_mGG = np.take_along_axis(shares_mKGG, said_mGG[:, None], axis=1)
    both = np.bincount(said_mGG.ravel(), right_mGG.ravel(), num_classes)
    return np.stack([said, shares_mKGG.sum(axis=(0, 2, 3)), both])
