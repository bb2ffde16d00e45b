"""Training below the freeze line: min over theta of L(theta; D) + alpha R(theta), from pretrained weights.

What comes out is again a pretrained model and a head: the trunk, with its new weights, is frozen anew, and
everything that follows (features, engines, evaluation, prediction) is as for any other.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, final

import numpy as np

from headstart.contracts import Array, Augmentation, Column, Head, Learner, Modality, Trained, Training
from headstart.core import plugins
from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch
from headstart.core.threads import cores
from headstart.data import augmentation
from headstart.fitting import strategies
from headstart.fitting.attention import attention
from headstart.fitting.batches import token_batches
from headstart.fitting.blocks import (
    blocks_of,
    freeze_below,
    freeze_unused,
    recompute,
    scales,
)
from headstart.fitting.checkpoints import Checkpoints
from headstart.fitting.inputs import Examples, Mix
from headstart.fitting.line import Line, drawn
from headstart.fitting.loop import Objective, minimise, shuffled
from headstart.fitting.penalised import Penalised, penalty_of
from headstart.fitting.recipe import Recipe
from headstart.fitting.strategies import Strategy

if TYPE_CHECKING:
    from torch import Tensor, nn

    Tensors = Mapping[str, Tensor]

DEFAULTS = {
    "learning_rate": 5e-5,
    "schedule": "linear",
    "warmup": 20,
    "weight_decay": 0.01,
    "clip": 1.0,
    "epochs": 3,
    "batch_size": 16,
}
NORMALISED = {**DEFAULTS, "learning_rate": 2e-4}  # 2,000 of Fashion-MNIST: log loss 0.288, at 5e-5 0.306
SCRATCH = {**DEFAULTS, "learning_rate": 5e-4, "warmup": 200, "epochs": 10, "patience": 3}
ADAPTERS = {**DEFAULTS, "learning_rate": 2e-4}  # at 1e-3 held-out loss doubled on the emoji
_BATCH_MEANS = ("running_mean", "moving_mean")
"""What batch normalisation calls its means in torch and in Keras: such networks bear larger steps."""
_VALIDATED, _ATTENDED, _READING = 500, 200, 8
_NEW = 10.0
"""A head that begins at random learns so many times as fast as the weights below, as usual since L2-SP."""


@contextmanager
def opened(
    training: Training, above: tuple[Learner, Sequence[Column], Head | None], strategy: Strategy
) -> "Iterator[Tuning]":
    """Yield a model ready to train as a strategy says, with a kind of head, its columns, and perhaps a head.

    Raises UserError for what the model or the head can't be asked.
    """
    recipe = Recipe.from_spec(training.spec, **_defaults(training, strategy))
    with ThreadPoolExecutor(min(_READING, cores() + 1)) as pool:
        objective = Tuning(training, above, strategy, recipe, pool)
        try:
            yield objective
        finally:
            if objective.line is not None:
                objective.line.close()


def tuned(objective: "Tuning") -> Trained:
    """Train on the first fold; the epoch is chosen on what that holds out."""
    training, penalised = objective.training, objective.penalised
    parameters = sum(one.numel() for one in objective.module.parameters() if one.requires_grad)
    checkpoints = Checkpoints(training.checkpoints / objective.strategy.name)
    history = minimise(objective, objective.recipe, "Training the model", checkpoints)
    settled = objective.settled()
    files = objective.merged()
    added = " + α R(θ)" if penalised else ""
    told = {"alpha": penalised.alpha, "measure": penalised.penalty.formula} if penalised else {}
    return Trained(
        head=objective.above.head(),
        moved=objective.moved(),
        files=files,
        objective={
            "loss": "the head's loss, through the model",
            "penalty": penalised.penalty.name if penalised else "none",
            **told,
            **settled,
            "examples": len(objective.fit),
            "parameters": parameters,
            "formula": f"min over θ of L(θ; D){added}, from the pretrained θ₀",
            "solver": objective.recipe.describe()
            + ("; what is new learns ten times as fast" if objective.faster else ""),
            "epochs": history,
            "blocks": objective.distances(),
        },
    )


def _defaults(training: Training, strategy: Strategy) -> Mapping[str, Any]:
    """Return how weights are stepped where the user says nothing."""
    if strategy.moves == "lora":
        return ADAPTERS
    if training.spec.random_init:
        return SCRATCH
    normalised = any(name.endswith(_BATCH_MEANS) for name in training.frozen.state)
    return NORMALISED if normalised else DEFAULTS


@final
class Tuning(Objective):
    """A trunk and what is above it, on inputs that are prepared on threads, ahead of their step."""

    def __init__(
        self,
        training: Training,
        above: tuple[Learner, Sequence[Column], Head | None],
        strategy: Strategy,
        recipe: Recipe,
        pool: ThreadPoolExecutor,
    ) -> None:
        torch = prepare_torch()
        spec, pretrained = training.spec, training.frozen.pretrained
        self.training, self.strategy, self.recipe, self.spec = training, strategy, recipe, spec
        self.trunk: Any = training.frozen.new_trunk()
        modality: Modality = plugins.load("modality", pretrained.preprocess.modality)
        self.examples = Examples(training, modality, pool)
        self.blocks = blocks_of(self.trunk, modality.sample(pretrained.preprocess))
        learner, columns, head = above
        self.starts_trained = head is not None
        self.above = learner.above(training, self.trunk, columns, head)
        unseen = _names(training.rows.columns) - _names(columns) - _names(head.columns if head else ())
        trunk: Any = self.trunk
        trunk.taps = tuple(tap for tap in trunk.taps if tap.name not in unseen)
        asked = penalty_of(spec)
        self.penalised = (
            Penalised(asked, self.trunk, self.above.module, self._start(), training.frozen.new_trunk)
            if asked
            else None
        )
        training.frozen.forget()  # what computed features, and weights that nobody needs until the end
        freeze_unused(self.trunk, self.blocks, self.above.module)
        self.adapted = strategies.open_up(strategy, self.trunk, self.blocks, spec.seed)
        self.below = self.blocks[: -strategy.last] if strategy.last else []
        if spec.recompute:
            recompute(self.blocks[len(self.below) :])
        self.module = torch.nn.ModuleList([self.trunk, self.above.module])
        given = spec.random_init or spec.learning_rate is not None
        self.faster = {} if given or head is not None or strategy.moves == "lora" else self._faster()
        self.scales = {**scales(self.blocks, spec.layer_decay), **self.faster}
        self.fit, held_out = training.folds[0]
        self.held_out = held_out[:: max(1, len(held_out) // _VALIDATED)]
        self.lengths_n = self.examples.lengths(self.fit)
        self.mix = _mix(training, modality, self.fit)
        self.folded = nullcontext() if spec.recompute else self._folded()
        self.line = None if spec.augment or self.mix else self._line()
        if self.penalised and self.penalised.penalty.attends and self.starts_trained:
            self.module.eval()
            self.penalised.attention = attention(self._attended())

    def batches(self, epoch: int) -> Sequence[Array]:
        """Return the examples shuffled; those of like length together where lengths differ."""
        key, size = (self.recipe.seed, epoch), self.recipe.batch_size
        if self.lengths_n.any():
            return token_batches(self.lengths_n, self.fit, int(size * self.lengths_n.mean()), key)
        return self._parts(shuffled(self.fit, key))

    def loss(self, places_n: Array, epoch: int) -> "tuple[Tensor, float]":
        """Return the sum over what some examples teach, and how much that is."""
        key = (self.recipe.seed, epoch)
        if self.mix is not None:
            return self._mixed_loss(self.mix, places_n, key)
        inputs, outputs, seen, changes = self._through(places_n, key)
        losses_n, weights_n = self.above.losses(seen, inputs, places_n, changes)
        return self._summed(losses_n, weights_n, outputs, inputs)

    def _attended(self) -> "Iterator[tuple[Tensors, Tensors, Tensor]]":
        """Yield some examples as they are, in batches: inputs, the blocks' outputs, the sum of the losses."""
        for part_n in self._parts(self.fit[:: max(1, len(self.fit) // _ATTENDED)]):
            inputs, outputs, seen, _ = self._through(part_n, None)
            yield inputs, outputs, self.above.losses(seen, inputs, part_n, None)[0].sum()

    def _mixed_loss(self, mix: Mix, places_n: Array, key: tuple[int, int]) -> "tuple[Tensor, float]":
        """Return the same of pictures that are mixed in pairs."""
        others_n = mix.partners(places_n, key)
        (own, changes), (other, _) = self._read(places_n, key), self._read(others_n, key)
        ((name, pictures),) = own.items()
        pictures, share_n = mix.mixed(pictures, other[name], places_n, key)
        outputs, seen = self._run({name: pictures})
        losses_n, weights_n = self.above.losses(seen, own, places_n, changes)
        losses_n = share_n * losses_n + (1 - share_n) * self.above.losses(seen, own, others_n, changes)[0]
        return self._summed(losses_n, weights_n, outputs, {name: pictures})

    def _summed(
        self,
        losses_n: "Tensor",
        weights_n: Array,
        outputs: "Mapping[str, Tensor]",
        inputs: "Mapping[str, Tensor]",
    ) -> "tuple[Tensor, float]":
        """Return the sum of the losses and of alpha R of the outputs, and how much is taught."""
        total, weight = losses_n.sum(), float(weights_n.sum())
        penalty = self.penalised.of_outputs(outputs, inputs) if self.penalised else None
        # As much of it as the batch teaches, for both are divided by that in the end.
        return total if penalty is None else total + weight * penalty, weight

    def penalty(self) -> "Tensor | None":
        """Return alpha R of the weights, None where there is none."""
        return self.penalised.of_weights() if self.penalised else None

    def validate(self) -> Mapping[str, float]:
        """Return the mean loss on held-out examples, without penalty."""
        losses_n, weights_n = self.held_out_losses()
        return {"log_loss": float(losses_n.sum() / weights_n.sum())}

    def held_out_losses(self) -> tuple[Array, Array]:
        """Return the loss of each held-out example [n], summed over what it teaches, and how much that is.

        What is above has settled on them for as long: an epoch that is only too sure of itself, which is
        mended in the end, is not worse for it.
        """
        torch = prepare_torch()
        found = []
        first, again = itertools.tee(self._held_out())
        with torch.inference_mode(), _restored(self.above.module):
            self.above.settle((seen, part_n) for _, seen, part_n in first)
            del first  # else what it has not asked for is held for it
            for inputs, seen, part_n in again:
                losses_n, weights_n = self.above.losses(seen, inputs, part_n, None)
                found.append((losses_n.numpy(), weights_n))
        losses, weights = zip(*found, strict=True)
        return np.concatenate(losses), np.concatenate(weights)

    def settled(self) -> Mapping[str, float]:
        """Let what is above choose on held-out examples what no step trains; return it by name."""
        torch = prepare_torch()
        with torch.inference_mode():
            return self.above.settle((seen, part_n) for _, seen, part_n in self._held_out())

    def _held_out(self) -> "Iterator[tuple[Tensors, Tensors, Array]]":
        """Yield held-out examples in batches: inputs, what the taps gave, and places."""
        for part_n in self._parts(self.held_out):
            inputs, _, seen, _ = self._through(part_n, None)
            yield inputs, seen, part_n

    def _parts(self, places_n: Array) -> list[Array]:
        """Return places in their order, a batch at a time."""
        size = self.recipe.batch_size
        return [places_n[start : start + size] for start in range(0, len(places_n), size)]

    def merged(self) -> Mapping[str, bytes]:
        """Add adapters to the weights, if there are any, and return them as files."""
        if self.adapted is None:
            return {}
        files = self.adapted.files()
        self.adapted.merge()
        return files

    def moved(self) -> dict[str, Array]:
        """Return the pretrained model's weights that have changed, by name."""
        torch = prepare_torch()
        start = self._start()
        return {
            name: one.detach().numpy().copy()
            for name, one in self._own().items()
            if not torch.equal(one, start[name])
        }

    def distances(self) -> list[dict[str, Any]]:
        """Return how far each block's weights moved, relative to where they started."""
        now, start = self._own(), self._start()
        told = []
        for block in self.blocks:
            squares = [
                (float(((now[name] - start[name]) ** 2).sum()), float((start[name] ** 2).sum()))
                for name in block.parameters
            ]
            moved, began = (sum(one) ** 0.5 for one in zip(*squares, strict=True))
            told.append({"block": block.name, "moved": moved / max(began, 1e-12)})
        return told

    def _faster(self) -> dict[str, float]:
        """Return the factors of the learning rate of what is new above the pretrained weights, by name."""
        known = {id(one) for one in self.trunk.inner.parameters()}
        new = [name for name, one in self.above.module.named_parameters() if id(one) not in known]
        return {f"1.{name}": _NEW for name in new}

    def _read(
        self, places_n: Array, key: tuple[int, int] | None
    ) -> "tuple[dict[str, Tensor], list[Augmentation] | None]":
        """Return inputs, and how they were augmented: None where nothing is to be drawn."""
        kind = self.spec.augment
        changes = (
            [augmentation.draw(kind, (*key, int(place))) for place in places_n] if kind and key else None
        )
        return self.examples.read(places_n, changes), changes

    def _through(
        self, places_n: Array, key: tuple[int, int] | None
    ) -> "tuple[Tensors, Tensors, Tensors, list[Augmentation] | None]":
        """Return inputs, the outputs of blocks that may train, the taps' features, and augmentations."""
        if self.line is not None:
            freeze_below(self.trunk, self.below)
            return *self.line.through(places_n), None
        inputs, changes = self._read(places_n, key)
        return inputs, *self._run(inputs), changes

    def _line(self) -> Line | None:
        """Return what crosses the freeze line, where it can be kept."""
        if not self.below or self.examples.several:
            return None
        self.trunk.eval()
        used_n = np.concatenate([self.fit, self.held_out])
        lengths_n = np.concatenate([self.lengths_n, self.examples.lengths(self.held_out)])
        return drawn(self.trunk, self.below, used_n, lambda part: self.examples.read(part, None), lengths_n)

    def _folded(self) -> "AbstractContextManager[object]":
        """Return what folds normalisation into convolutions; blocks that compute again know nothing of it."""
        from headstart.fitting.folded import fold

        self.trunk.eval()
        return fold(self.trunk, self.examples.read(self.fit[:2], None)) or nullcontext()

    def _run(self, inputs: "Tensors") -> "tuple[Tensors, Tensors]":
        """Return the blocks' outputs and the taps' features, by name."""
        freeze_below(self.trunk, self.below)
        with self.folded:
            outputs = self.trunk.outputs(*inputs.values())
        parts = self.trunk.pooled(outputs, *inputs.values())
        return outputs, {tap.name: part for tap, part in zip(self.trunk.taps, parts, strict=True)}

    def _start(self) -> "dict[str, Tensor]":
        """Return the weights that the trunk began with, by name: copies of none but what is read-only."""
        torch = prepare_torch()
        state = self.training.frozen.state.items()
        return {name: torch.from_numpy(one if one.flags.writeable else one.copy()) for name, one in state}

    def _own(self) -> "dict[str, Tensor]":
        found: dict[str, Tensor] = self.trunk.inner.state_dict()
        return found


@contextmanager
def _restored(module: "nn.Module") -> Iterator[None]:
    """Give a module its weights back in the end."""
    kept = {name: one.clone() for name, one in module.state_dict().items()}
    try:
        yield
    finally:
        module.load_state_dict(kept)


def _mix(training: Training, modality: Modality, among_n: Array) -> Mix | None:
    """Return how examples are mixed. Raises UserError where their answers don't mix."""
    spec = training.spec
    if spec.mixup is None and spec.cutmix is None:
        return None
    labelled = all(training.rows.examples[int(place)].label for place in among_n)
    if not modality.mixes or not labelled:
        raise UserError("--mixup or --cutmix", "pictures of one class each", "leave it out")
    return Mix(spec.mixup, spec.cutmix, among_n)


def _names(columns: Sequence[Column]) -> set[str]:
    return {column.name for column in columns}
