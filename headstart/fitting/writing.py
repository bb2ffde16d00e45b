"""Teaching a decoder to write the targets, from what the store holds of the sources.

    min over theta of  - sum over target tokens of  (1 - e) log p(y_t | y_<t, x)  +  e mean over w of log p(w)

with e the label smoothing (Szegedy et al., arXiv 1512.00567). Shape letters: N texts, T target tokens.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from headstart.contracts import Above, Array, Augmentation, Column, Head, Rows, Trained, Training
from headstart.core.frameworks import prepare_torch
from headstart.fitting.batches import token_batches
from headstart.fitting.checkpoints import Checkpoints
from headstart.fitting.loop import Objective, minimise
from headstart.fitting.penalised import of_head
from headstart.fitting.recipe import Recipe
from headstart.model.decoders import NO_TOKEN, Decoder, Source, Writing
from headstart.model.rows import PAGE, unpaged
from headstart.model.vocabulary import Vocabulary
from headstart.model.writer import WriterHead, as_source

if TYPE_CHECKING:
    from torch import Tensor

_VALIDATED, _VALIDATED_AT_ONCE = 500, 16


@dataclass(frozen=True, slots=True)
class Targets:
    """The targets as ids, by example, ``most`` tokens at most, and how many had to be cut."""

    ids: Mapping[int, list[int]]
    most: int
    cut: int

    @staticmethod
    def of(rows: Rows, indices_n: Array, vocabulary: Vocabulary, most: int) -> "Targets":
        """Encode the targets of some examples, at most ``most`` tokens each."""
        found = {int(i): vocabulary.encode(rows.examples[i].target or "", most) for i in indices_n}
        return Targets({i: ids for i, (ids, _) in found.items()}, most, sum(cut for _, cut in found.values()))


@final
class WriterAbove(Above):
    """A decoder above an encoder that trains too; ``head_of`` makes a head of it as it stands."""

    def __init__(
        self, decoder: Decoder, targets: Targets, smoothing: float, head_of: Callable[[], Head]
    ) -> None:
        self.decoder, self.module, self.targets = decoder, decoder.module, targets
        self.smoothing, self._head_of = smoothing, head_of

    def losses(
        self,
        seen: Mapping[str, Any],
        inputs: Mapping[str, Any],
        places_n: Array,
        augmentations: Sequence[Augmentation] | None,
    ) -> "tuple[Tensor, Array]":
        """Return each example's sum over its target tokens, and how many it has."""
        (states_NSC,) = seen.values()
        source = Source(states_NSC, inputs["attention_mask"], inputs["input_ids"])
        smoothing = self.smoothing if self.module.training else 0.0
        return cross_entropies(self.decoder, source, self.targets, places_n, smoothing)

    def settle(self, held_out: Iterable[tuple[Mapping[str, Any], Array]]) -> Mapping[str, float]:
        """Choose nothing: what is written is the likeliest text, whatever the temperature."""
        return {}

    def head(self) -> Head:
        """Return the decoder as a head."""
        return self._head_of()


def cross_entropies(
    decoder: Decoder, source: Source, targets: Targets, places_n: Array, smoothing: float
) -> "tuple[Tensor, Array]":
    """Return the losses of some examples [N], each summed over its target tokens, and how many it has [N]."""
    torch = prepare_torch()
    ids = [targets.ids[int(place)] for place in places_n]
    lengths_N = np.array([len(one) for one in ids])
    there_NT = np.arange(lengths_N.max()) < lengths_N[:, None]
    target_NT = np.full(there_NT.shape, NO_TOKEN, dtype=np.int64)
    target_NT[there_NT] = np.concatenate(ids)
    picked_NT, mean_NT = decoder.log_probabilities(source, torch.from_numpy(target_NT))
    loss_NT = -(1 - smoothing) * picked_NT - smoothing * mean_NT
    return loss_NT.masked_fill(~torch.from_numpy(there_NT), 0.0).sum(dim=1), lengths_N.astype(np.float64)


@final
class Teaching(Objective):
    """Cross-entropy of every target token, over batches of like length."""

    def __init__(
        self,
        training: Training,
        columns: Sequence[Column],
        decoder: Decoder,
        targets: Targets,
        recipe: Recipe,
    ) -> None:
        self.rows, self.columns, self.decoder, self.spec = training.rows, columns, decoder, training.spec
        self.targets, self.recipe, self.module = targets, recipe, decoder.module
        self.starts_trained = training.begun is not None
        self.fit, held_out = training.folds[0]
        self.held_out = held_out[:: max(1, len(held_out) // _VALIDATED)]
        pages = np.diff(training.rows.starts_N1)[self.fit]
        self.lengths_n = pages * PAGE + np.array([len(targets.ids[int(i)]) for i in self.fit])
        self.tokens = int(recipe.batch_size * float(self.lengths_n.mean()))

    def batches(self, epoch: int) -> Sequence[Array]:
        """Return batches of like length, with as many tokens as ``batch_size`` examples have on average."""
        return token_batches(self.lengths_n, self.fit, self.tokens, (self.recipe.seed, epoch))

    def loss(self, places_n: Array, epoch: int) -> "tuple[Tensor, float]":
        """Return the sum over target tokens, and how many there are."""
        return self._summed(places_n, self.recipe.label_smoothing)

    def penalty(self) -> "Tensor | None":
        """Return the decoder's penalty."""
        return of_head(self.spec, self.module)

    def validate(self) -> Mapping[str, float]:
        """Return the log loss a token."""
        torch = prepare_torch()
        total, weight = 0.0, 0.0
        with torch.inference_mode():
            for start in range(0, len(self.held_out), _VALIDATED_AT_ONCE):
                loss, tokens = self._summed(self.held_out[start : start + _VALIDATED_AT_ONCE], 0.0)
                total, weight = total + float(loss), weight + tokens
        return {"log_loss": total / weight}

    def _summed(self, places_n: Array, smoothing: float) -> "tuple[Tensor, float]":
        ids_NS, states_NSC, real_NS = unpaged(self.rows.read(self.rows.places(places_n), self.columns))
        source = as_source(states_NSC, real_NS, ids_NS)
        losses_N, tokens_N = cross_entropies(self.decoder, source, self.targets, places_n, smoothing)
        return losses_N.sum(), float(tokens_N.sum())


def head_of(
    training: Training, columns: Sequence[Column], written: tuple[Decoder, Vocabulary, Targets]
) -> WriterHead:
    """Return a decoder as a head, which writes as its own settings say, else as the targets suggest."""
    decoder, words, targets = written
    spec, own = training.spec, decoder.module.generation_config
    longest = int(np.percentile([len(ids) for ids in targets.ids.values()], 99))
    writing = Writing(
        beams=spec.beams or max(int(own.num_beams or 0), 4),
        most=min(targets.most, longest + 8),
        no_repeat=int(own.no_repeat_ngram_size or 3),
        length_penalty=float(1.0 if own.length_penalty is None else own.length_penalty),
    )
    return WriterHead(columns=tuple(columns), decoder=decoder, vocabulary=words, writing=writing)


def taught(
    training: Training,
    columns: Sequence[Column],
    written: tuple[Decoder, Vocabulary, Targets],
    recipe: Recipe,
    facts: Mapping[str, Any],
) -> Trained:
    """Teach a decoder on the first fold, and return it as a head; ``facts`` are told of its objective."""
    decoder, _, targets = written
    objective = Teaching(training, columns, decoder, targets, recipe)
    checkpoints = Checkpoints(training.checkpoints / "head")
    history = minimise(objective, recipe, "Training the decoder", checkpoints)
    head = head_of(training, columns, written)
    return Trained(
        head=head,
        moved=decoder.moved(),
        objective={
            "loss": "cross-entropy of every target token",
            "penalty": training.spec.penalty or "none",
            **facts,
            "examples": len(training.folds[0][0]),
            "targets_cut": targets.cut,
            "parameters": head.parameters(),
            "formula": "min over θ of 1/T Σ −log p(yₜ|y₁…yₜ₋₁, x)",
            "solver": recipe.describe(),
            "epochs": history,
        },
    )
