"""Heads that write: the pretrained model's own decoder, or one made above a frozen encoder."""

from collections.abc import Mapping, Sequence
from typing import Any, final

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

    def suits(self, pretrained: Pretrained) -> bool:
        """Say that it suits encoder-decoders, and an encoder whose embeddings can be looked into."""
        return pretrained.writes != "on" and pretrained.trains

    def train(self, training: Training, sets: Mapping[str, Sequence[Column]]) -> Trained:
        """Teach the decoder on the first fold; its epoch is chosen on what that fold holds out."""
        refuse_mask_options(training.spec, "a head that writes")
        columns, kind = sets["last"], _kind(training)
        recipe = Recipe.from_spec(training.spec, **_ALL, **(_NEW if kind == "new" else _PRETRAINED))
        words, targets = _written(training, kind)
        encoder: Any = training.frozen.network().module
        decoder = decoders.start(training, encoder, columns, kind, (words, targets))
        return taught(training, columns, (decoder, words, targets), recipe, {"decoder": kind})

    def evidence(self, training: Training, sets: Mapping[str, Sequence[Column]]) -> Evidence:
        """Return the mean of each text's states beside the words that its target holds."""
        return evidence.of_words(training, sets["last"])

    def above(self, training: Training, trunk: Any, columns: Sequence[Column], head: Head | None) -> Above:
        """Return the decoder, above the encoder in ``trunk`` that trains with it."""
        kind = _kind(training)
        words, targets = _written(training, kind)
        learnt = [one for one in trunk.parameters() if one.requires_grad]
        decoder = decoders.start(training, trunk.inner, columns, kind, (words, targets))
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
            decoder=_decoder(kept, words),
            vocabulary=words,
            writing=Writing(**kept.facts["writing"]),
        )


def _written(training: Training, kind: str) -> tuple[Vocabulary, Targets]:
    """Return what the decoder writes with, and the targets of the first fold in it."""
    used_n = np.unique(np.concatenate(training.folds[0]))
    words = decoders.choose_vocabulary(training, kind, used_n)
    most = decoders.target_length(training, kind)
    return words, Targets.of(training.rows, used_n, words, most)


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


def _decoder(kept: Kept, words: Vocabulary) -> Decoder:
    torch = prepare_torch()
    from headstart.model.encoder_decoder import warm_started, with_weights
    from headstart.model.pointer import Pointer, PointerDecoder, Shape

    facts = kept.facts["decoder"]
    if facts is None:
        return decoders.own_decoder(kept.frozen, kept.frozen.network().module)
    if "shared" in facts and isinstance(words, Subwords):
        started = warm_started(kept.frozen.network().module, decoders.ends_of(words), facts["shared"], 0)
        return with_weights(started, kept.tensors)
    tensors = {name: array for name, array in kept.tensors.items() if name != VOCABULARY}
    with torch.random.fork_rng(devices=[]):  # what is drawn is overwritten
        module: Any = PointerDecoder(Shape(**facts))
    module.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in tensors.items()})
    module.eval()
    encoder: Any = kept.frozen.network().module
    return Pointer(module, encoder.get_input_embeddings().weight.detach())
