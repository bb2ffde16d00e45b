"""The head that writes: a decoder above an encoder's cached states, and the vocabulary it writes with."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np

from headstart.contracts import Array, Column, Example, Floats, Head, Units, Written
from headstart.core.errors import MachineError
from headstart.core.frameworks import prepare_torch
from headstart.core.memory import OutOfMemory, memory_watched
from headstart.model.decoders import Decoder, Source, Writing
from headstart.model.rows import unpaged
from headstart.model.vocabulary import Vocabulary

log = logging.getLogger(__name__)

VOCABULARY = "vocabulary"
_AT_ONCE = 16


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class WriterHead(Head):
    """Writes a text for each input by beam search."""

    columns: tuple[Column, ...]
    decoder: Decoder
    vocabulary: Vocabulary
    writing: Writing

    def outputs(self, seen_mD: Floats, units: Units) -> list[Written]:
        """Return a text for each of n examples; those of like length are written together."""
        ids_NS, states_NSC, real_NS = unpaged(seen_mD)
        order = np.argsort(real_NS.sum(axis=1), kind="stable")
        found: dict[int, Written] = {}
        for start in range(0, len(order), _AT_ONCE):
            places_n = order[start : start + _AT_ONCE]
            longest = int(real_NS[places_n].sum(axis=1).max())
            written = self._tokens(*(array[places_n, :longest] for array in (states_NSC, real_NS, ids_NS)))
            for place, ids_T in zip(places_n, written, strict=True):
                found[place] = Written(self.vocabulary.decode(ids_T, _text(units[place])), {})
        return [found[place] for place in range(len(order))]

    def _tokens(self, states_NSC: Floats, real_NS: Array, ids_NS: Array) -> list[list[int]]:
        """Return the ids of each text that is written, in halves where memory is short."""
        try:
            with memory_watched():
                written: list[list[int]] = self.decoder.write(
                    as_source(states_NSC, real_NS, ids_NS), self.writing
                ).tolist()
            return written
        except OutOfMemory as error:
            if len(ids_NS) == 1:
                raise MachineError(
                    f"A text of {ids_NS.shape[1]} tokens does not fit into memory with {self.writing.beams} "
                    "beams; give a smaller --max-length or --beams when fitting."
                ) from error
        half = len(ids_NS) // 2
        log.warning("out of memory on %d texts at once: they are written in halves", len(ids_NS))
        first = self._tokens(states_NSC[:half], real_NS[:half], ids_NS[:half])
        return [*first, *self._tokens(states_NSC[half:], real_NS[half:], ids_NS[half:])]

    def parameters(self) -> int:
        """Return how many weights were trained."""
        return sum(one.numel() for one in self.decoder.module.parameters() if one.requires_grad)

    def tensors(self) -> dict[str, Array]:
        """Return the weights by name; none where the pretrained model holds them."""
        named = self.decoder.tensors()
        kept = self.vocabulary.to_bytes()
        return {**named, VOCABULARY: np.frombuffer(kept, dtype=np.uint8)} if kept else named

    def facts(self) -> dict[str, Any]:
        """Return how to write, and what shape the decoder has."""
        facts = {"writing": asdict(self.writing), "decoder": self.decoder.facts()}
        return {**facts, "words": self.vocabulary.facts()}

    def files(self) -> dict[str, Any]:
        """Return how to write, for the library of a pretrained model that writes by itself."""
        return dict(self.decoder.files(self.writing))


def as_source(states_NSC: Floats, real_NS: Array, ids_NS: Array) -> Source:
    """Return encoded texts as tensors."""
    torch = prepare_torch()
    mask_NS = torch.from_numpy(real_NS.astype(np.int64))
    return Source(
        torch.from_numpy(np.ascontiguousarray(states_NSC)), mask_NS, torch.from_numpy(ids_NS.copy())
    )


def _text(units: Sequence[Example]) -> str:
    return " ".join(unit.text or "" for unit in units)
