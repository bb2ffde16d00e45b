"""Heads that go on writing from what they have read: a decoder-only model, all of whose layers train."""

from collections.abc import Mapping, Sequence
from typing import Any, cast, final

import numpy as np

from headstart.contracts import (
    Above,
    Column,
    Evidence,
    Frozen,
    Head,
    Kept,
    Learner,
    Pretrained,
    TextPreprocess,
    Trained,
    Training,
)
from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch
from headstart.data.tokens import whole_tokenizer_of
from headstart.fitting import decoders
from headstart.fitting.recipe import Recipe
from headstart.fitting.writing import Targets, WriterAbove, head_of, taught
from headstart.learners._options import refuse_mask_options
from headstart.model import generation
from headstart.model.decoders import Decoder, Writing
from headstart.model.vocabulary import Subwords
from headstart.model.writer import WriterHead

_DEFAULTS = {
    **{"learning_rate": 5e-5, "schedule": "linear", "warmup": 20, "clip": 1.0, "batch_size": 8},
    **{"epochs": 3, "patience": 1},
}


@final
class Continuer(Learner):
    """A model taught to write the target after the source and a mark; all its weights are stepped."""

    name = "continuer"
    modalities = ("text-tokens",)
    stands = False
    whole = True
    stepped = True
    quick = False

    def suits(self, pretrained: Pretrained) -> bool:
        """Say that it suits a model that goes on from what it has read."""
        return pretrained.writes == "on"

    def train(self, training: Training, sets: Mapping[str, Sequence[Column]]) -> Trained:
        """Teach the model on the first fold; its epoch is chosen on what that fold holds out."""
        _check(training)
        spec = training.spec
        decoder, words = _start(training.frozen, training.frozen.network().module)
        recipe, written = Recipe.from_spec(spec, **_DEFAULTS), (decoder, words, _targets(training, words))
        return taught(training, sets["last"], written, recipe, {"decoder": "own"})

    def evidence(self, training: Training, sets: Mapping[str, Sequence[Column]]) -> Evidence:
        """Refuse: below this head there are tokens alone."""
        raise UserError(
            f"{training.frozen.pretrained.base}, all of whose layers train to write: nothing of it is frozen",
            "a model with an encoder, whose states can be looked at before training",
            "fit it for a short time instead",
        )

    def above(self, training: Training, trunk: Any, columns: Sequence[Column], head: Head | None) -> Above:
        """Return the model itself, on what is read anew: all of it trains in any case."""
        _check(training)
        decoder, words = _start(training.frozen, trunk.inner)
        targets = _targets(training, words)
        if isinstance(head, WriterHead):
            decoder.module.load_state_dict(head.decoder.module.state_dict())
        smoothing = training.spec.label_smoothing or 0.0
        written = (decoder, words, targets)
        return WriterAbove(decoder, targets, smoothing, lambda: head_of(training, columns, written))

    def restore(self, columns: Sequence[Column], kept: Kept) -> Head:
        """Rebuild a head."""
        decoder, words = _start(kept.frozen, kept.frozen.network().module)
        return WriterHead(
            columns=tuple(columns),
            decoder=decoder,
            vocabulary=words,
            writing=Writing(**kept.facts["writing"]),
        )


def _check(training: Training) -> None:
    """Raise UserError for a model or a decoder that is none of this head's."""
    pretrained, spec = training.frozen.pretrained, training.spec
    refuse_mask_options(spec, "a head that writes")
    if pretrained.writes != "on":
        expected = "a decoder-only model, saved with its output layer"
        raise UserError(f"--head continuer for {pretrained.base}", expected, "leave --head out")
    if spec.decoder not in (None, "own"):
        expected = "no other decoder than the model itself, which goes on from what it has read"
        raise UserError(f"--decoder {spec.decoder} of {pretrained.base}", expected, "leave --decoder out")


def _targets(training: Training, words: Subwords) -> Targets:
    """Return the targets of the first fold, as long as the positions behind the longest source allow."""
    texts = cast(TextPreprocess, training.frozen.pretrained.preprocess)
    room = texts.longest - texts.max_length - 1
    used_n = np.unique(np.concatenate(training.folds[0]))
    most = training.spec.target_length or min(decoders.LONGEST, room)
    return Targets.of(training.rows, used_n, words, most)


def _start(frozen: Frozen, module: Any) -> tuple[Decoder, Subwords]:
    """Return the model with its own words. Raises UserError where no token of theirs ends a text."""
    prepare_torch()
    from headstart.model.continuation import Continuation

    generation.restore(module, frozen.pretrained)
    ends = module.generation_config.eos_token_id
    if ends is None:
        raise UserError(
            f"{frozen.pretrained.base} names no token that ends a text",
            "an eos_token_id in its configuration",
            "add it to config.json",
        )
    end = int(ends[0] if isinstance(ends, list) else ends)
    if module.generation_config.pad_token_id is None:
        module.generation_config.pad_token_id = end
    words = Subwords(
        whole_tokenizer_of(frozen.pretrained), pad=end, start=end, end=end, learnt=False, cased=True
    )
    return Continuation(module, end), words
