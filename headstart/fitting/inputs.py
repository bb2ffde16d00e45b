"""The inputs of a trunk that trains: read on threads, augmented, mixed; a batch at a time."""

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING

import numpy as np

from headstart.contracts import Array, Augmentation, Inputs, Modality, Prepared, Training
from headstart.core.errors import BadExample, MachineError
from headstart.core.frameworks import prepare_torch
from headstart.model.batches import stacked

if TYPE_CHECKING:
    from torch import Tensor


class Examples:
    """A training's examples by their places; ``several`` says that some are of many units."""

    def __init__(self, training: Training, modality: Modality, pool: Executor) -> None:
        self.training, self.modality, self.pool = training, modality, pool
        rows = training.rows
        self.several = not training.reading.whole and int(rows.starts_N1[-1]) != len(rows.examples)

    def lengths(self, places_n: Array) -> Array:
        """Return each example's length [n], all its units together; zeros where all are of one."""
        if not len(places_n) or not self._prepare(int(places_n[0]))[0].length:
            return np.zeros(len(places_n), dtype=np.int64)
        found = self.pool.map(self._prepare, map(int, places_n))
        return np.array([sum(unit.length for unit in one) for one in found])

    def read(self, places_n: Array, augmentations: Sequence[Augmentation] | None) -> "dict[str, Tensor]":
        """Return the inputs of all units of some examples by name, augmented where that is asked for."""
        torch = prepare_torch()
        changes = [None] * len(places_n) if augmentations is None else augmentations
        found = [unit for one in self.pool.map(self._seen, map(int, places_n), changes) for unit in one]
        return {name: torch.from_numpy(stacked([one[name] for one in found])) for name in found[0]}

    def _seen(self, place: int, augmentation: Augmentation | None) -> list[Inputs]:
        found = [one.inputs for one in self._prepare(place)]
        return (
            found if augmentation is None else [self.modality.augmented(one, augmentation) for one in found]
        )

    def _prepare(self, place: int) -> list[Prepared]:
        reading, example = self.training.reading, self.training.rows.examples[place]
        task, pretrained = reading.task, self.training.frozen.pretrained
        try:
            units = reading.parts(example).units
            return [task.prepare(unit, task.content(unit), pretrained) for unit in units]
        except BadExample as error:  # it could be read when its features were computed
            raise MachineError(f"{example.key} changed while it was in use: {error}.") from error


class Mix:
    """How pictures are mixed in pairs: all of it drawn by (seed, epoch, place).

    ``mixup``: x = s x_i + (1 - s) x_j with s from Beta(a, a) (Zhang et al., arXiv 1710.09412, eq. 1).
    ``cutmix``: a box of x_j with the share 1 - s of the area is pasted on x_i (Yun et al., arXiv 1905.04899,
    section 3.1). With both, a coin decides. The loss is s l(y_i) + (1 - s) l(y_j).
    """

    def __init__(self, mixup: float | None, cutmix: float | None, among_n: Array) -> None:
        self.shapes = [(name, shape) for name, shape in (("mix", mixup), ("cut", cutmix)) if shape]
        self.among_n = among_n

    def partners(self, places_n: Array, key: tuple[int, int]) -> Array:
        """Return the example that each is mixed with."""
        chosen = [
            np.random.default_rng((*key, int(place), 1)).integers(len(self.among_n)) for place in places_n
        ]
        return self.among_n[np.array(chosen, dtype=np.int64)]

    def mixed(
        self, one: "Tensor", other: "Tensor", places_n: Array, key: tuple[int, int]
    ) -> "tuple[Tensor, Tensor]":
        """Return mixed pictures [n, H, W, 3], and each one's share s [n]."""
        torch = prepare_torch()
        pictures, shares_n = one.float(), torch.ones(len(places_n))
        height, width = one.shape[1:3]
        for index, place in enumerate(places_n):
            drawn = np.random.default_rng((*key, int(place), 2))
            name, shape = self.shapes[int(drawn.integers(len(self.shapes)))]
            share = float(drawn.beta(shape, shape))
            if name == "mix":
                pictures[index] = share * pictures[index] + (1 - share) * other[index]
            else:
                side = np.sqrt(1 - share)
                tall, wide = round(side * height), round(side * width)
                top, left = drawn.integers(height - tall + 1), drawn.integers(width - wide + 1)
                box = slice(top, top + tall), slice(left, left + wide)
                pictures[index][box] = other[index][box].float()
                share = 1 - tall * wide / (height * width)
            shares_n[index] = share
        return pictures, shares_n
