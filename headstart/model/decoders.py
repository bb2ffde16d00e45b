"""Decoders as heads use them: taught on targets above an encoder's states, then writing by beam search."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.contracts import Array

if TYPE_CHECKING:
    from torch import Tensor


NO_TOKEN = -100
"""Fills targets up; every library leaves it out of the loss."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Writing:
    """How texts are written: beams, the most tokens, which n-grams may not come twice (0: all may).

    ``length_penalty`` is the power of the length that a text's log-probability is divided by.
    """

    beams: int = 4
    most: int = 64
    least: int = 0
    no_repeat: int = 3
    length_penalty: float = 1.0

    def options(self) -> dict[str, Any]:
        """Return these as Transformers' generation names them."""
        return {
            "num_beams": self.beams,
            "max_new_tokens": self.most,
            "min_new_tokens": self.least,
            "no_repeat_ngram_size": self.no_repeat,
            "length_penalty": self.length_penalty,
            "early_stopping": True,
            "do_sample": False,
        }


@dataclass(frozen=True, slots=True)
class Source:
    """Encoded texts: states [N, S, C], which tokens are real [N, S] and the tokens' ids [N, S]."""

    states_NSC: "Tensor"
    mask_NS: "Tensor"
    ids_NS: "Tensor"


class Decoder(ABC):
    """What writes above the freeze line; ``module`` is what trains."""

    module: Any

    @abstractmethod
    def log_probabilities(self, source: Source, target_NT: "Tensor") -> "tuple[Tensor, Tensor]":
        """Return each target token's log-probability [N, T], and the mean over all tokens there.

        Targets are filled up with ``NO_TOKEN``, whose figures mean nothing.
        """

    @abstractmethod
    def moved(self) -> dict[str, Array]:
        """Return the trained weights that are the pretrained model's, by its own names."""

    @abstractmethod
    def tensors(self) -> dict[str, Array]:
        """Return the weights that the pretrained model does not hold, by name."""

    @abstractmethod
    def facts(self) -> Mapping[str, Any] | None:
        """Return as JSON what it takes to build the decoder; None where the pretrained model has it."""

    @abstractmethod
    def files(self, writing: Writing) -> Mapping[str, Any]:
        """Return JSON files, by name, with which the pretrained model's own library writes the same."""

    @abstractmethod
    def write(self, source: Source, writing: Writing) -> "Tensor":
        """Return token ids [N, T] of the best text found for each source."""
