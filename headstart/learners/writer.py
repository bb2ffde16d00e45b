"""Heads that write: the pretrained model's own decoder, or one made above a frozen encoder."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, cast, final

import numpy as np

from headstart.contracts import Above, Column, Evidence, Head, Kept, Learner, Pretrained, Trained, Training
from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch
from headstart.data.tokens import own_tokenizer, whole_tokenizer_of
from headstart.fitting import decoders, evidence
from headstart.fitting.recipe import Recipe
from headstart.fitting.writing import Targets, WriterAbove, head_of, taught
from headstart.learners._options import refuse_mask_options
from headstart.model import vocabulary
from headstart.model.decoders import Decoder, Writing
from headstart.model.vocabulary import Own, Subwords, Vocabulary
from headstart.model.writer import VOCABULARY, WriterHead

log = logging.getLogger(__name__)

_NEW = {"learning_rate": 1e-3, "schedule": "linear", "warmup": 100, "label_smoothing": 0.1}
_PRETRAINED = {"learning_rate": 1e-4, "schedule": "linear", "warmup": 20, "label_smoothing": 0.1}
_ALL = {"clip": 1.0, "epochs": 10, "patience": 2, "average": 3}


@final
class Writer(Learner):
    """A decoder taught by gradient steps on cached encoder states."""

    name = "writer"
    modalities = ("text-states",)
    stands = True
    whole = True
    stepped = True
    quick = False

    def suits(self, pretrained: Pretrained) -> bool:
        """Say that it suits encoder-decoders, and an encoder whose embeddings can be looked into."""
        return pretrained.writes != "on" and pretrained.trains

    def train(self, training: Training, sets: Mapping[str, Sequence[Column]]) -> Trained:
        """Teach the decoder on the first fold; its epoch is chosen on what that fold holds out."""
        refuse_mask_options(training.spec, "a head that writes")
        columns, encoder = sets["last"], cast(Any, training.frozen.network().module)
        kind, written = _started(training, encoder, columns)
        if kind == "new":
            log.info("%s: a new decoder is trained above its encoder", training.frozen.pretrained.base)
        recipe = Recipe.from_spec(training.spec, **_ALL, **(_NEW if kind == "new" else _PRETRAINED))
        return taught(training, columns, written, recipe, {"decoder": kind})

    def evidence(self, training: Training, sets: Mapping[str, Sequence[Column]]) -> Evidence:
        """Return the mean of each text's states beside the words that its target holds."""
        return evidence.of_words(training, sets["last"])

    def above(self, training: Training, trunk: Any, columns: Sequence[Column], head: Head | None) -> Above:
        """Return the decoder, above the encoder in ``trunk`` that trains with it."""
        learnt = [one for one in trunk.parameters() if one.requires_grad]
        _, (decoder, words, targets) = _started(training, trunk.inner, columns)
        if isinstance(head, WriterHead):
            decoder.module.load_state_dict(head.decoder.module.state_dict(), strict=False)
        for parameter in learnt:  # a decoder takes the encoder below it as frozen
            parameter.requires_grad_(True)
        smoothing = training.spec.label_smoothing
        return WriterAbove(
            decoder,
            targets,
            0.1 if smoothing is None else smoothing,
            lambda: head_of(training, columns, (decoder, words, targets)),
        )

    def restore(self, columns: Sequence[Column], kept: Kept) -> Head:
        """Rebuild a head."""
        words = _words(kept)
        return WriterHead(
            columns=tuple(columns),
            decoder=_decoder(kept, kept.frozen.network().module, words),
            vocabulary=words,
            writing=Writing(**kept.facts["writing"]),
        )


def _started(
    training: Training, encoder: Any, columns: Sequence[Column]
) -> tuple[str, tuple[Decoder, Vocabulary, Targets]]:
    """Return which decoder trains, as it is before, what it writes with, and the first fold's targets."""
    used_n, begun = np.unique(np.concatenate(training.folds[0])), training.begun
    if begun is not None and begun.facts()["decoder"] is not None:
        kept = Kept(tensors=begun.tensors(), facts=begun.facts(), frozen=training.frozen)
        words = _words(kept)
        most = decoders.length_to_go_on(training, kept.facts["decoder"])
        targets = Targets.of(training.rows, used_n, words, most)
        return "as it began", (_decoder(kept, encoder, words), words, targets)
    kind = _kind(training)
    words = decoders.choose_vocabulary(training, kind, used_n)
    targets = Targets.of(training.rows, used_n, words, decoders.target_length(training, kind))
    return kind, (decoders.start(training, encoder, columns, kind, (words, targets)), words, targets)


def _kind(training: Training) -> str:
    """Return which decoder is meant. Raises UserError for one that the model hasn't."""
    wanted, writes = training.spec.decoder, training.frozen.pretrained.writes
    if (wanted == "own") > (writes == "above"):
        raise UserError(
            f"--decoder own of {training.frozen.pretrained.base}",
            "a pretrained encoder-decoder",
            "give --decoder new, warm or shared",
        )
    if wanted in ("warm", "shared") and writes:
        raise UserError(
            f"--decoder {wanted} of {training.frozen.pretrained.base}",
            "an encoder alone, for this model writes by itself",
            "leave --decoder out",
        )
    return wanted or ("own" if writes == "above" else "new")


def _words(kept: Kept) -> Vocabulary:
    facts, pretrained = kept.facts, kept.frozen.pretrained
    if facts["decoder"] is None:
        return Own(own_tokenizer(pretrained))
    if VOCABULARY in kept.tensors:
        return vocabulary.of_bytes(kept.tensors[VOCABULARY].tobytes())
    words = facts["words"]
    return Subwords(whole_tokenizer_of(pretrained), **words)


def _decoder(kept: Kept, encoder: Any, words: Vocabulary) -> Decoder:
    """Rebuild a decoder above an encoder, which is Transformers' module."""
    torch = prepare_torch()
    from headstart.model.encoder_decoder import warm_started, with_weights
    from headstart.model.pointer import Pointer, PointerDecoder, Shape

    facts = kept.facts["decoder"]
    if facts is None:
        return decoders.own_decoder(kept.frozen, encoder)
    if "shared" in facts and isinstance(words, Subwords):
        started = warm_started(encoder, decoders.ends_of(words), facts["shared"], 0)
        return with_weights(started, kept.tensors)
    tensors = {name: array for name, array in kept.tensors.items() if name != VOCABULARY}
    with torch.random.fork_rng(devices=[]):  # what is drawn is overwritten
        module: Any = PointerDecoder(Shape(**facts))
    module.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in tensors.items()})
    module.eval()
    return Pointer(module, encoder.get_input_embeddings().weight.detach())
