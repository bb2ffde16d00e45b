"""Heads: what is above the freeze line, as it answers, as it trains by gradient steps, as a run keeps it.

Shape letters: n examples, m units of theirs, D features that a head sees.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headstart.contracts.data import Array, Augmentation, Example, Floats
from headstart.contracts.model import Column, Frozen

Units = Sequence[Sequence[Example]]
"""The units of each of n examples, m in all."""


Outputs = Any
"""What a model says of n examples, the first axis the examples: for classes, probabilities [n, K]."""


class Head(ABC):
    """Trained layers above the freeze line; ``columns`` are the features they see."""

    columns: tuple[Column, ...]

    @abstractmethod
    def outputs(self, seen_mD: Floats, units: Units) -> Outputs:
        """Return what the head says of n examples, from its columns of their m rows of features."""

    @abstractmethod
    def parameters(self) -> int:
        """Return how many numbers the head holds."""

    @abstractmethod
    def tensors(self) -> dict[str, Array]:
        """Return the weights by name, for safetensors."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Return, as JSON, what else it takes to restore the head, its columns apart."""

    @abstractmethod
    def files(self) -> Mapping[str, Any]:
        """Return JSON files, by name, with which the pretrained model's own library does as the head does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """What a run keeps of a head, its columns apart, and the model below it; ``facts`` are JSON."""

    tensors: Mapping[str, Array]
    facts: Mapping[str, Any]
    frozen: Frozen


class Above(ABC):
    """What is above the freeze line as it trains by gradient steps; ``module`` holds its weights.

    Of n examples it sees the trunk's inputs and what its taps gave, by name: each [m, d] or [m, T, C], of
    all their m units.
    """

    module: Any

    @abstractmethod
    def losses(
        self,
        seen: Mapping[str, Any],
        inputs: Mapping[str, Any],
        places_n: Array,
        augmentations: Sequence[Augmentation] | None,
    ) -> tuple[Any, Array]:
        """Return the losses of some examples [n], summed over what each teaches, and how much that is [n].

        ``augmentations`` say how each example was changed, None where the trunk saw it as it is.
        """

    @abstractmethod
    def settle(self, held_out: Iterable[tuple[Mapping[str, Any], Array]]) -> Mapping[str, float]:
        """Choose on held-out examples, when training is over, what no step trains; return it by name.

        They come in batches: what the taps gave, and places [n]. Nothing is returned where nothing is chosen.
        """

    @abstractmethod
    def head(self) -> Head:
        """Return the weights as they stand as a head."""
