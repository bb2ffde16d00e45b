"""Choosing a pretrained model before any training: what is known of it, and what estimates its worth.

Shape letters: M rows (examples, or parts of them), D features, m rows held out, K classes, Z source labels.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from headstart.contracts.data import Array, Floats


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What a model's features and the data's answers say together, before a head is trained.

    ``views`` are the features [M, D] by layer set, ``last`` among them. ``targets`` are places among K
    classes [M]; or, where a row may have any number of labels, 0 and 1 [M, K]. ``folds`` are rows to fit on
    and to validate on: the rows of one example are on one side. ``source_MZ`` is what the model's own
    classifier says of the rows, None where it has none. ``held_out`` is what the head itself says, by
    cross-validation: logits [m, K] and the places [m] of their rows, None where nothing can be held out.
    ``measure`` names the figure that is forecast; ``weak`` says why it tells little of what training will
    reach, empty where it tells what it should.
    """

    views: Mapping[str, Floats]
    targets: Array
    num_classes: int
    folds: Sequence[tuple[Array, Array]]
    measure: str
    source_MZ: Array | None = None
    weak: str = ""
    held_out: tuple[Array, Array] | None = None

    @property
    def indicators_MK(self) -> Array:
        """The targets as 0 and 1, float64 [M, K]."""
        if self.targets.ndim == 2:
            return self.targets.astype(np.float64)
        return np.eye(self.num_classes)[self.targets]


class Estimator(ABC):
    """A figure that is higher the better a model suits the data; one file each, with its paper."""

    name: ClassVar[str]

    @abstractmethod
    def estimate(self, evidence: Evidence) -> float | None:
        """Return the figure, None where the evidence lacks what it takes."""
