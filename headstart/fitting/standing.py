"""Where training stands: kept by the loop, put into checkpoints, taken from there again."""

import logging
import math
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.contracts import Array
from headstart.core.errors import machine_error
from headstart.core.frameworks import prepare_torch
from headstart.fitting.checkpoints import Checkpoints

if TYPE_CHECKING:
    from torch import Tensor, nn, optim

log = logging.getLogger(__name__)

WATCHED_STEPS, _DIVERGED, _SMALL = 8, 4.0, 1.0
_FACTS = ("epoch", "place", "step", "parts", "taught", "weight", "elapsed_s", "history")


class Aside:
    """Weights that nobody reads until the end, in a file: memory is for what trains."""

    def __init__(self, tensors: "Mapping[str, Tensor]") -> None:
        arrays = arrays_of(tensors)
        self.laid = {name: (one.shape, one.dtype) for name, one in arrays.items()}
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as this
        weakref.finalize(self, self.file.close)
        try:
            for one in arrays.values():
                one.tofile(self.file)
        except OSError as error:
            size = sum(one.nbytes for one in arrays.values())
            raise machine_error(error, "Putting an epoch's weights aside", size) from error

    def read(self) -> "dict[str, Tensor]":
        """Return the weights."""
        torch = prepare_torch()
        self.file.seek(0)
        return {
            name: torch.from_numpy(np.fromfile(self.file, dtype, math.prod(shape)).reshape(shape))
            for name, (shape, dtype) in self.laid.items()
        }


@dataclass
class State:
    """Where training stands, weights and optimizer apart; ``best`` are (figure, epoch, weights)."""

    epoch: int = 0
    place: int = 0
    step: int = 0
    parts: int = 1
    taught: float = 0.0
    weight: float = 0.0
    elapsed_s: float = 0.0
    losses: list[float] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)
    best: "list[tuple[float, int, Aside]]" = field(default_factory=list)

    def diverged(self) -> bool:
        """Say whether the loss is not finite, or far above where it began, for some steps on end."""
        first, last = self.losses[:WATCHED_STEPS], self.losses[-WATCHED_STEPS:]
        # A solved head begins with next to no loss: many times that is no divergence yet.
        began = max(float(np.mean(first)), _SMALL)
        return not math.isfinite(last[-1]) or min(last) > _DIVERGED * began


@dataclass(frozen=True)
class Keeper:
    """Puts where training stands into checkpoints, and back; does nothing where there are none."""

    module: "nn.Module"
    optimizer: "optim.Optimizer"
    state: State
    checkpoints: Checkpoints | None

    def is_due(self) -> bool:
        """Say whether it is time for one."""
        return self.checkpoints is not None and self.checkpoints.due()

    def save(self) -> None:
        """Write a checkpoint."""
        if self.checkpoints is None:
            return
        tensors = {f"module.{name}": one for name, one in trained_state(self.module).items()}
        for index, slots in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": one for name, one in slots.items()}
        for place, (_, _, weights) in enumerate(self.state.best):
            tensors |= {f"best.{place}.{name}": one for name, one in weights.read().items()}
        facts = {name: getattr(self.state, name) for name in _FACTS}
        facts["losses"] = (
            self.state.losses[:WATCHED_STEPS] + self.state.losses[WATCHED_STEPS:][-WATCHED_STEPS:]
        )
        facts["best"] = [one[:2] for one in self.state.best]
        self.checkpoints.save(self.state.step, arrays_of(tensors), facts)

    def restore(self) -> bool:
        """Go on from the newest checkpoint; say whether there is one."""
        found = None if self.checkpoints is None else self.checkpoints.newest()
        if found is None:
            return False
        torch = prepare_torch()
        tensors = {name: torch.from_numpy(array.copy()) for name, array in found[0].items()}
        facts = found[1]
        self.module.load_state_dict(_below(tensors, "module"), strict=False)
        described = self.optimizer.state_dict()
        slots: dict[int, dict[str, Any]] = {}
        for name, one in _below(tensors, "optimizer").items():
            index, _, slot = name.partition(".")
            slots.setdefault(int(index), {})[slot] = one
        self.optimizer.load_state_dict({**described, "state": slots})
        for name in (*_FACTS, "losses"):
            setattr(self.state, name, facts[name])
        self.state.best = [
            (figure, epoch, Aside(_below(tensors, f"best.{place}")))
            for place, (figure, epoch) in enumerate(facts["best"])
        ]
        log.info("going on from step %d", self.state.step)
        return True


def trained_state(module: "nn.Module") -> "dict[str, Tensor]":
    """Return a module's weights and buffers, without those that are frozen: they are where they were."""
    named = module.named_parameters(remove_duplicate=False)
    frozen = {name for name, one in named if not one.requires_grad}
    return {name: one for name, one in module.state_dict().items() if name not in frozen}


def arrays_of(tensors: "Mapping[str, Tensor]") -> dict[str, Array]:
    """Return tensors as arrays, which share their memory where they can."""
    return {name: one.detach().cpu().contiguous().numpy() for name, one in tensors.items()}


def _below(tensors: "Mapping[str, Tensor]", prefix: str) -> "dict[str, Tensor]":
    return {
        name.removeprefix(f"{prefix}."): one for name, one in tensors.items() if name.startswith(f"{prefix}.")
    }
