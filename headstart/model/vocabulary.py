"""What a decoder writes with: a text to token ids and back.

A model that writes has a vocabulary of its own. A new decoder takes the encoder's where it covers the texts,
else subwords learnt from them (byte-level BPE; Sennrich et al., arXiv 1508.07909).
"""

import re
import string
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from tokenizers import Tokenizer

COVERED = 0.98
_LOOKED, _PIECES = 1_000, 6
_AROUND = "()[]{}<>\"'.,;:!?"
_PAD, _START, _END = "<pad>", "<s>", "</s>"


class Vocabulary(ABC):
    """Turns texts into token ids and back."""

    @abstractmethod
    def encode(self, text: str, most: int) -> tuple[list[int], bool]:
        """Return a text's ids with the end, at most ``most`` of them, and whether it was cut."""

    @abstractmethod
    def decode(self, ids: Sequence[int], source: str) -> str:
        """Return the text of ids, which was written for ``source``."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Return as JSON what it takes to restore it, tokenizer and ``to_bytes`` apart."""

    @abstractmethod
    def to_bytes(self) -> bytes:
        """Return what a run has to keep of it; nothing where the pretrained model holds it."""


@final
@dataclass(frozen=True, slots=True)
class Own(Vocabulary):
    """The vocabulary of a pretrained model that writes, as Transformers reads it."""

    tokenizer: Any

    def encode(self, text: str, most: int) -> tuple[list[int], bool]:
        """Return a text's ids as the model takes targets."""
        ids = list(self.tokenizer(text_target=text)["input_ids"])
        if len(ids) <= most:
            return ids, False
        return list(self.tokenizer(text_target=text, truncation=True, max_length=most)["input_ids"]), True

    def decode(self, ids: Sequence[int], source: str) -> str:
        """Return the text without the special tokens."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def facts(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def to_bytes(self) -> bytes:
        """Return nothing."""
        return b""


@final
@dataclass(frozen=True, slots=True)
class Subwords(Vocabulary):
    """A fast tokenizer, and the ids that fill up, begin and end a text.

    ``learnt`` says that it was learnt here, and is not the encoder's; ``cased`` that a text comes back in
    the letter case that it had.
    """

    tokenizer: "Tokenizer"
    pad: int
    start: int
    end: int
    learnt: bool
    cased: bool

    def encode(self, text: str, most: int) -> tuple[list[int], bool]:
        """Return a text's ids with the end, at most ``most`` of them, and whether it was cut."""
        ids = self.tokenizer.encode(text, add_special_tokens=False).ids
        return [*ids[: most - 1], self.end], len(ids) >= most

    def decode(self, ids: Sequence[int], source: str) -> str:
        """Return the text of ids up to the end, in the form that its words have in ``source``."""
        kept = list(ids)[: ids.index(self.end) if self.end in ids else len(ids)]
        text = self.tokenizer.decode([one for one in kept if one not in (self.pad, self.start)])
        return text.strip() if self.cased else as_in(text, source)

    def facts(self) -> dict[str, Any]:
        """Return everything but the tokenizer."""
        return {name: getattr(self, name) for name in ("pad", "start", "end", "learnt", "cased")}

    def to_bytes(self) -> bytes:
        """Return the tokenizer as JSON where it was learnt here."""
        return self.tokenizer.to_str().encode() if self.learnt else b""


def of_encoder(tokenizer: "Tokenizer", cased: bool) -> Subwords | None:
    """Return the encoder's own subwords, or None where its texts have no beginning and end."""
    special = tokenizer.encode("", add_special_tokens=True).ids
    if len(special) < 2:
        return None
    pad = tokenizer.padding["pad_id"] if tokenizer.padding else special[-1]
    return Subwords(tokenizer, pad, special[0], special[-1], learnt=False, cased=cased)


def coverage(tokenizer: "Tokenizer", texts: Iterable[str]) -> tuple[float, bool]:
    """Return the share of texts that come back from their tokens, and whether in their letter case.

    Spaces are left aside.
    """
    pairs = []
    for text, _ in zip(texts, range(_LOOKED), strict=False):
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        pairs.append((_bare(text), _bare(tokenizer.decode(ids))))
    back = [(text, found) for text, found in pairs if text.casefold() == found.casefold()]
    return len(back) / max(len(pairs), 1), all(text == found for text, found in back)


def learn(texts: Iterable[str], size: int) -> Subwords:
    """Learn at most ``size`` subwords from texts; any text can be written with them."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer: Any = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[_PAD, _START, _END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return of_bytes(tokenizer.to_str().encode())


def of_bytes(content: bytes) -> Subwords:
    """Return subwords from what ``to_bytes`` gave."""
    from tokenizers import Tokenizer

    tokenizer: Any = Tokenizer.from_str(content.decode())
    pad, start, end = (tokenizer.token_to_id(token) for token in (_PAD, _START, _END))
    return Subwords(tokenizer, pad, start, end, learnt=True, cased=True)


def as_in(text: str, source: str) -> str:
    """Return a text whose words, and pieces that are a word together, look as they do in the source.

    A tokenizer that knows no capitals and parts words at hyphens gives ``c + +`` where the source has
    ``C++``.
    """
    known: dict[str, str] = {}
    for word in source.split():
        for form in (word.strip(string.punctuation), word.strip(_AROUND), word.rstrip(",.;:!?"), word):
            known.setdefault(form.casefold(), form)
    pieces, written, place = text.split(), list[str](), 0
    while place < len(pieces):
        count = next(
            (n for n in range(_PIECES, 0, -1) if "".join(pieces[place : place + n]).casefold() in known), 0
        )
        joined = "".join(pieces[place : place + count])
        written.append(known[joined.casefold()] if count else pieces[place])
        place += max(count, 1)
    return re.sub(r"\s+([,.;:!?)])", r"\1", " ".join(written))


def _bare(text: str) -> str:
    return re.sub(r"\s+", "", text)
