"""The one training loop: min over theta of L(theta; D) + alpha R(theta), by gradient steps, top to bottom.

The order of the examples and whatever is drawn (dropout, augmentation) are pure functions of (seed,
epoch, step), never of a global random state. The loss of a step is a sum over what its examples teach
(examples, tokens, pixels) divided by how much that is: the same in however many parts a step is taken.
"""

import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.contracts import Array
from headstart.core.errors import MachineError, UserError
from headstart.core.frameworks import prepare_torch
from headstart.core.memory import OutOfMemory, memory_watched
from headstart.core.progress import progress
from headstart.fitting.checkpoints import Checkpoints, interruptible
from headstart.fitting.recipe import Recipe
from headstart.fitting.standing import WATCHED_STEPS, Aside, Keeper, State, trained_state

if TYPE_CHECKING:
    from torch import Tensor, nn, optim

log = logging.getLogger(__name__)


class Objective(ABC):
    """What is minimised: a module, the batches that teach it, their loss, and figures on held-out data."""

    module: "nn.Module"
    scales: Mapping[str, float] = MappingProxyType({})
    """Factors of the learning rate by weight, 1 where none is given."""
    starts_trained: bool = False
    """Whether the weights that it starts from are kept where no epoch is better."""

    @abstractmethod
    def batches(self, epoch: int) -> Sequence[Array]:
        """Return the epoch's batches as places of examples: a pure function of (seed, epoch)."""

    @abstractmethod
    def loss(self, places_n: Array, epoch: int) -> "tuple[Tensor, float]":
        """Return the sum of the losses over what some examples teach, and how much that is."""

    @abstractmethod
    def penalty(self) -> "Tensor | None":
        """Return what is added to the mean of the losses, of the weights alone; None where nothing is."""

    @abstractmethod
    def validate(self) -> Mapping[str, float]:
        """Return figures on held-out data, by name; the first one is to become small."""


def minimise(
    objective: Objective, recipe: Recipe, label: str, checkpoints: Checkpoints | None = None
) -> list[dict[str, float]]:
    """Train the module in place: it ends with the weights of the best epoch, or the mean of the best few.

    Weights that were trained before are epoch 0. Goes on from the newest of ``checkpoints``. Returns the
    history, a record an epoch. Raises UserError where the loss diverges at once, MachineError where a single
    example does not fit into memory, KeyboardInterrupt where it was told to stop: the step at hand is
    finished and saved first.
    """
    optimizer, state = recipe.build(objective.module, objective.scales), State(parts=recipe.accumulate)
    keep = Keeper(objective.module, optimizer, state, checkpoints)
    if not keep.restore() and objective.starts_trained:
        objective.module.eval()
        _consider(objective, recipe, state, objective.validate(), {})
    begun_s, steps = time.monotonic() - state.elapsed_s, recipe.epochs * len(objective.batches(0))
    with progress(steps, label, "steps") as advance, _own_random_state() as draw, interruptible() as told:
        advance(state.step)
        over, share = _is_over(recipe, state), 0.0
        while not over:
            objective.module.train()
            for places_n in objective.batches(state.epoch)[state.place :]:
                state.elapsed_s = time.monotonic() - begun_s
                share = max(state.step / steps, state.elapsed_s / recipe.seconds)
                _set_rate(optimizer, recipe.rate(state.step, share))
                draw(recipe.seed, state.step)
                _step(objective, optimizer, places_n, recipe, state)
                advance(1)
                if state.diverged() or share >= 1:
                    break
                if told() or keep.is_due():
                    keep.save()
                    if told():
                        raise KeyboardInterrupt
            if state.diverged():
                _tell_divergence(recipe, state)
                break
            objective.module.eval()
            objective.module.zero_grad(set_to_none=True)  # whose memory is then for validation
            _finish_epoch(objective, recipe, state, objective.validate())
            over = share >= 1 or _is_over(recipe, state)
    _keep_best(objective, state)
    return state.history


def _is_over(recipe: Recipe, state: State) -> bool:
    """Say whether there are no more epochs, or none of the last few was better."""
    waited = state.epoch - state.best[0][1] if state.best else 0
    return state.epoch >= recipe.epochs or (recipe.patience is not None and waited >= recipe.patience)


def _step(
    objective: Objective,
    optimizer: "optim.Optimizer",
    places_n: Array,
    recipe: Recipe,
    state: State,
) -> None:
    """Take one step, in more parts where memory is short."""
    while True:
        try:
            parts = np.array_split(places_n, min(state.parts, len(places_n)))
            with memory_watched():
                total, weight = _accumulate(objective, parts, state.epoch, recipe.precision)
            break
        except OutOfMemory as error:
            if state.parts >= len(places_n):
                raise MachineError(
                    "One example does not fit into memory; give a smaller --max-length or --image-size."
                ) from error
            state.parts *= 2
            log.warning("out of memory: each step is taken in %d parts from here on", state.parts)
    state.losses.append(total / weight)
    if math.isfinite(total):
        _apply(objective, optimizer, weight, recipe.clip)
    state.taught, state.weight = state.taught + total, state.weight + weight
    state.step, state.place = state.step + 1, state.place + 1


def _accumulate(
    objective: Objective, parts: Sequence[Array], epoch: int, precision: str
) -> tuple[float, float]:
    """Add up the gradients of the sum of losses; return that sum and its weight."""
    torch = prepare_torch()
    from headstart.fitting.dropout import DropoutOfWords

    objective.module.zero_grad(set_to_none=True)
    device = next(objective.module.parameters()).device.type
    total, weight = 0.0, 0.0
    for part_n in parts:
        with DropoutOfWords(), torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
            loss, part_weight = objective.loss(part_n, epoch)
        loss.backward()  # type: ignore[no-untyped-call]
        total, weight = total + float(loss.detach()), weight + part_weight
    return total, weight


def _apply(objective: Objective, optimizer: "optim.Optimizer", weight: float, clip: float | None) -> None:
    """Step along the gradient of the mean and the penalty, cut to the norm ``clip``."""
    from torch import nn

    gradients = [one.grad for one in objective.module.parameters() if one.grad is not None]
    for gradient in gradients:
        gradient.div_(weight)
    penalty = objective.penalty()
    if penalty is not None:
        penalty.backward()  # type: ignore[no-untyped-call]
    if clip is not None:
        nn.utils.clip_grad_norm_(objective.module.parameters(), clip)
    optimizer.step()


def _finish_epoch(objective: Objective, recipe: Recipe, state: State, figures: Mapping[str, float]) -> None:
    """Count an epoch, and see what it has reached."""
    state.epoch, state.place = state.epoch + 1, 0
    loss, state.taught, state.weight = state.taught / state.weight, 0.0, 0.0
    _consider(objective, recipe, state, figures, {"loss": loss})


def _consider(
    objective: Objective,
    recipe: Recipe,
    state: State,
    figures: Mapping[str, float],
    taught: Mapping[str, float],
) -> None:
    """Note where training stands, and keep the weights where they are among the best."""
    told = {"epoch": state.epoch, "seconds": round(state.elapsed_s, 1), **taught}
    state.history.append({**told, **figures})
    state.best.append((next(iter(figures.values())), state.epoch, Aside(trained_state(objective.module))))
    state.best.sort(key=lambda one: one[:2])
    del state.best[recipe.average :]


def _keep_best(objective: Objective, state: State) -> None:
    """Load the mean of the best epochs' weights where that is better on held-out data, else the best's."""
    _, epoch, best = state.best[0]
    if len(state.best) > 1:
        mean = _mean([weights.read() for _, _, weights in state.best])
        objective.module.load_state_dict(mean, strict=False)
        objective.module.eval()
        figures = objective.validate()
        kept = next(iter(figures.values())) < state.best[0][0]
        state.history.append({"averaged": float(len(state.best)), "kept": float(kept), **figures})
        if kept:
            return
    if epoch == 0:
        log.warning("no epoch was better on held-out examples than the start, which is kept")
    objective.module.load_state_dict(best.read(), strict=False)
    objective.module.eval()


def _mean(states: "Sequence[dict[str, Tensor]]") -> "dict[str, Tensor]":
    torch = prepare_torch()
    return {
        name: torch.stack([one[name] for one in states]).mean(0) if tensor.is_floating_point() else tensor
        for name, tensor in states[0].items()
    }


def _tell_divergence(recipe: Recipe, state: State) -> None:
    """Say that training stops. Raises UserError where it went wrong from the start."""
    lower = f"give a --learning-rate below {recipe.learning_rate:g}"
    if not state.best or state.step <= WATCHED_STEPS:
        raise UserError(f"the loss diverged at step {state.step}", "a finite loss that falls", lower)
    kept = f"epoch {state.best[0][1]}'s weights are kept" if state.best[0][1] else "training ends"
    log.warning("the loss diverged at step %d: %s; %s", state.step, kept, lower)


def _set_rate(optimizer: "optim.Optimizer", rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]


@contextmanager
def _own_random_state() -> Iterator[Any]:
    """Yield a function that seeds torch for a step; the user's own random state stays as it is."""
    torch = prepare_torch()
    with torch.random.fork_rng():

        def draw(seed: int, step: int) -> None:
            torch.manual_seed(int(np.random.SeedSequence((seed, step)).generate_state(1)[0]))

        yield draw


def shuffled(indices_n: Array, key: tuple[int, ...]) -> Array:
    """Return the examples in the order of one epoch: a pure function of the key."""
    return indices_n[np.random.default_rng(key).permutation(len(indices_n))]
