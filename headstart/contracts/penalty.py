"""Penalties: the R in min over theta of L(theta; D) + alpha R(theta).

Shape letters: n examples, P positions of a map or a text, C channels.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """The weights that train: the pretrained model's, by name, with where they started; and new ones."""

    pretrained: "Mapping[str, Tensor]"
    start: "Mapping[str, Tensor]"
    new: "Sequence[Tensor]"


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """A block's outputs [n, P, C], zero where a text has no token; ``count_n`` positions are real.

    ``attention_C`` is how much each channel counts, 1 on average.
    """

    values_nPC: "Tensor"
    count_n: "Tensor"
    attention_C: "Tensor"


class Penalty(ABC):
    """What is added to the loss, times alpha.

    ``alpha`` is how much of it there is where the user says nothing; ``needs_start`` that it measures
    from the pretrained weights, so that there must be some; ``attends`` that channels count by what leaving
    them out costs a trained head, where there is one to begin with. ``formula`` is R for people.
    """

    name: ClassVar[str]
    alpha: ClassVar[float]
    needs_start: ClassVar[bool]
    attends: ClassVar[bool]
    formula: ClassVar[str]

    @abstractmethod
    def of_weights(self, weights: Weights) -> "Tensor | None":
        """Return the part of R that is of the weights alone, None where there is none."""

    @abstractmethod
    def of_outputs(self, now: "Sequence[Seen]", start: "Callable[[], Sequence[Seen]]") -> "Tensor | None":
        """Return the part of R that is of what the trained blocks make of a batch, its mean over examples.

        ``start`` gives what the pretrained weights make of it. None where there is none.
        """
