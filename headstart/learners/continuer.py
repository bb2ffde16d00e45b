"""Heads that go on writing from what they have read: a decoder-only model, all of whose layers train."""

from collections.abc import Mapping, Sequence
from typing import Any, cast, final

import numpy as np

from headstart.contracts import Column, Frozen, Head, Kept, Learner, Pretrained, TextPreprocess, Trained, Training
from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch
from headstart.data.tokens import whole_tokenizer_of
from headstart.fitting import decoders
from headstart.fitting.recipe import Recipe
from headstart.fitting.writing import Targets, taught
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
    """A model taught to write the target after the source and a mark, by gradient steps on all its weights."""

    name = "continuer"
    modalities = ("text-tokens",)
    whole = True

    def suits(self, pretrained: Pretrained) -> bool:
        """Say that it suits a model that goes on from what it has read."""
        return pretrained.writes == "on"

    def train(self, training: Training, sets: Mapping[str, Sequence[Column]]) -> Trained:
        """Teach the model on the first fold; its epoch is chosen on what that fold holds out."""
        pretrained, spec = training.frozen.pretrained, training.spec
        if pretrained.writes != "on":
            expected = "a decoder-only model, saved with its output layer"
            raise UserError(f"--head {self.name} for {pretrained.base}", expected, "leave --head out")
        if spec.decoder not in (None, "own"):
            expected = "no other decoder than the model itself, which goes on from what it has read"
            raise UserError(f"--decoder {spec.decoder} of {pretrained.base}", expected, "leave --decoder out")
        texts, used_n = cast(TextPreprocess, pretrained.preprocess), np.unique(np.concatenate(training.folds[0]))
        decoder, words = _start(training.frozen)
        room = texts.longest - texts.max_length - 1
        most = spec.target_length or min(decoders.LONGEST, room)
        targets = Targets.of(training.rows, used_n, words, most)
        recipe = Recipe.from_spec(spec, **_DEFAULTS)
        return taught(training, sets["last"], (decoder, words, targets), recipe, {"decoder": "own"})

    def restore(self, columns: Sequence[Column], kept: Kept) -> Head:
        """Rebuild a head."""
        decoder, words = _start(kept.frozen)
        return WriterHead(
            columns=tuple(columns),
            decoder=decoder,
            vocabulary=words,
            writing=Writing(**kept.facts["writing"]),
        )


def _start(frozen: Frozen) -> tuple[Decoder, Subwords]:
    """Return the model with its own words. Raises UserError where no token of theirs ends a text."""
    prepare_torch()
    from headstart.model.continuation import Continuation

    module: Any = frozen.network().module
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
