"""Heads that give every pixel a class by a light decoder, trained by gradient steps on cached maps."""

from collections.abc import Mapping, Sequence
from typing import Any, cast, final

from headstart.contracts import Above, Column, Evidence, Head, Kept, Learner, Pretrained, Trained, Training
from headstart.core.errors import UserError
from headstart.fitting import evidence
from headstart.fitting.checkpoints import Checkpoints
from headstart.fitting.fpn import Decoding, MapsAbove
from headstart.fitting.loop import minimise
from headstart.fitting.probe import chosen_sets
from headstart.fitting.recipe import Recipe
from headstart.learners._options import refuse_tiles
from headstart.model.fpn import FpnHead

LOSS = "dice"
_DEFAULTS: Mapping[str, Any] = {
    **{"learning_rate": 2e-3, "schedule": "cosine", "weight_decay": 0.01},
    **{"epochs": 25, "batch_size": 16},
}


@final
class Fpn(Learner):
    """A feature pyramid above maps of several strides, which answers finer than the finest of them."""

    name = "fpn"
    modalities = ("picture-maps",)
    stands = True
    whole = False
    stepped = True
    quick = False

    def suits(self, pretrained: Pretrained) -> bool:
        """Say that any model will do."""
        return True

    def train(self, training: Training, sets: Mapping[str, Sequence[Column]]) -> Trained:
        """Teach the decoder on the first fold; its epoch is chosen on what that fold holds out."""
        spec = training.spec
        if spec.l2 is not None:
            raise UserError("--l2 for --head fpn", "--weight-decay", "give that instead")
        used = chosen_sets(spec.layers, sets)
        layers = next(name for name in ("all", *used) if name in used)
        columns = used[layers]
        if training.begun is not None:
            layers, columns = "as it began", training.begun.columns
        recipe, loss = Recipe.from_spec(spec, **_DEFAULTS), spec.loss or LOSS
        objective = Decoding(training, columns, loss, recipe)
        checkpoints = Checkpoints(training.checkpoints / "head")
        history = minimise(objective, recipe, "Training the decoder", checkpoints)
        head = objective.head()
        return Trained(
            head=head,
            objective={
                "loss": f"{loss} of every pixel that is not ignored",
                "class_weights": dict(zip(training.classes, map(float, objective.weights_K), strict=True)),
                "penalty": spec.penalty or ("weight decay" if recipe.weight_decay else "none"),
                "layers": layers,
                "features": sum(column.stop - column.start for column in head.columns),
                "examples": len(training.folds[0][0]),
                "parameters": head.parameters(),
                "formula": "min over θ of 1/A Σ l(θ; xᵢ, yᵢ), A the area that is taught",
                "solver": recipe.describe(),
                "epochs": history,
            },
        )

    def evidence(self, training: Training, sets: Mapping[str, Sequence[Column]]) -> Evidence:
        """Return the features of some cells of each picture beside the class that covers most of them."""
        return evidence.of_cells(training, sets)

    def above(self, training: Training, trunk: Any, columns: Sequence[Column], head: Head | None) -> Above:
        """Return the decoder, above whole pictures. Raises UserError for tiles."""
        refuse_tiles(training.spec)
        return MapsAbove(training, columns, cast(FpnHead | None, head), training.spec.loss or LOSS)

    def restore(self, columns: Sequence[Column], kept: Kept) -> Head:
        """Rebuild a head."""
        return FpnHead.restore(columns, kept)
