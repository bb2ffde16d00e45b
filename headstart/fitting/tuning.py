"""Training below the freeze line: min over theta of L(theta; D), from the pretrained weights, with the head.

What comes out is again a pretrained model and a head: the trunk, with its new weights, is frozen anew, and
everything that follows (features, engines, evaluation, prediction) is as for any other.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, final

import numpy as np

from headstart.contracts import Above, Array, Column, Head, Learner, Prepared, Trained, Training
from headstart.core.errors import BadExample, MachineError
from headstart.core.frameworks import prepare_torch
from headstart.core.threads import cores
from headstart.fitting.batches import token_batches
from headstart.fitting.checkpoints import Checkpoints
from headstart.fitting.loop import Objective, minimise, shuffled
from headstart.fitting.recipe import Recipe
from headstart.model.batches import stacked

if TYPE_CHECKING:
    from torch import Tensor, nn

DEFAULTS = {
    "learning_rate": 5e-5,
    "schedule": "linear",
    "warmup": 20,
    "weight_decay": 0.01,
    "clip": 1.0,
    "epochs": 3,
    "batch_size": 16,
}
SCRATCH = {**DEFAULTS, "learning_rate": 5e-4, "warmup": 200, "epochs": 10, "patience": 3}
_VALIDATED, _READING = 500, 8


def tune(training: Training, learner: Learner, columns: Sequence[Column], head: Head | None) -> Trained:
    """Train the whole model and its head on the first fold; its epoch is chosen on what that holds out."""
    defaults = SCRATCH if training.spec.random_init else DEFAULTS
    recipe = Recipe.from_spec(training.spec, **defaults)
    trunk = training.frozen.new_trunk()
    with ThreadPoolExecutor(min(_READING, cores() + 1)) as pool:
        objective = _Tuning(training, trunk, learner.above(training, trunk, columns, head), recipe, pool)
        history = minimise(
            objective, recipe, "Training the model", Checkpoints(training.checkpoints / "model")
        )
    moved = objective.moved()
    return Trained(
        head=objective.above.head(),
        moved=moved,
        objective={
            "loss": "the head's loss, through the whole model",
            "penalty": "none",
            "examples": len(training.folds[0][0]),
            "parameters": sum(one.numel() for one in objective.module.parameters() if one.requires_grad),
            "formula": "min over θ of L(θ; D), from the pretrained θ₀",
            "solver": recipe.describe(),
            "epochs": history,
        },
    )


@final
class _Tuning(Objective):
    """A trunk and what is above it, on inputs that are prepared on threads, ahead of their step."""

    def __init__(
        self,
        training: Training,
        trunk: Any,
        above: Above,
        recipe: Recipe,
        pool: ThreadPoolExecutor,
    ) -> None:
        torch = prepare_torch()
        self.training, self.above, self.recipe, self.pool = training, above, recipe, pool
        self.trunk = trunk
        self.module = torch.nn.ModuleList([trunk, above.module])
        self.start = {name: one.detach().clone() for name, one in self._own().items()}
        self.fit, held_out = training.folds[0]
        self.held_out = held_out[:: max(1, len(held_out) // _VALIDATED)]
        self.lengths = {int(place): self._prepare(int(place)).length for place in self.fit}

    def batches(self, epoch: int) -> Sequence[Array]:
        """Return the examples shuffled; those of like length together where lengths differ."""
        key, size = (self.recipe.seed, epoch), self.recipe.batch_size
        lengths_n = np.array([self.lengths[int(place)] for place in self.fit])
        if lengths_n.any():
            found = token_batches(lengths_n, self.fit, int(size * lengths_n.mean()), key)
        else:
            order = shuffled(self.fit, key)
            found = [order[start : start + size] for start in range(0, len(order), size)]
        return found

    def loss(self, places_n: Array, epoch: int) -> "tuple[Tensor, float]":
        """Return the sum over what some examples teach, and how much that is."""
        torch = prepare_torch()
        prepared = list(self.pool.map(self._prepare, (int(place) for place in places_n)))
        inputs = {
            name: torch.from_numpy(stacked([one.inputs[name] for one in prepared]))
            for name in prepared[0].inputs
        }
        _freeze_statistics(self.trunk)
        parts = self.trunk.parts(*inputs.values())
        seen = {tap.name: part for tap, part in zip(self.trunk.taps, parts, strict=True)}
        return self.above.loss(seen, inputs, places_n)

    def validate(self) -> Mapping[str, float]:
        """Return the mean loss on held-out examples."""
        torch = prepare_torch()
        total, weight = 0.0, 0.0
        with torch.inference_mode():
            for start in range(0, len(self.held_out), self.recipe.batch_size):
                loss, part = self.loss(self.held_out[start : start + self.recipe.batch_size], 0)
                total, weight = total + float(loss), weight + part
        return {"log_loss": total / weight}

    def moved(self) -> dict[str, Array]:
        """Return the pretrained model's weights that have changed, by name."""
        torch = prepare_torch()
        return {
            name: one.detach().numpy().copy()
            for name, one in self._own().items()
            if not torch.equal(one, self.start[name])
        }

    def _own(self) -> "dict[str, Tensor]":
        found: dict[str, Tensor] = self.trunk.inner.state_dict()
        return found

    def _prepare(self, place: int) -> Prepared:
        reading, example = self.training.reading, self.training.rows.examples[place]
        try:
            (unit,) = reading.parts(example).units
            return reading.task.prepare(unit, reading.task.content(unit), self.training.frozen.pretrained)
        except BadExample as error:  # it could be read when its features were computed
            raise MachineError(f"{example.key} changed while it was in use: {error}.") from error


def _freeze_statistics(module: "nn.Module") -> None:
    """Leave the pretrained running means and variances alone: small batches only spoil them."""
    from torch import nn

    for one in module.modules():
        if isinstance(one, nn.modules.batchnorm._BatchNorm):
            one.eval()
