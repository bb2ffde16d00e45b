"""Heads that sort into classes: the convex one, and a dense one trained by gradient steps."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast, final

import numpy as np

from headstart.contracts import (
    Above,
    Column,
    Evidence,
    Head,
    HeldOut,
    Kept,
    Learner,
    Pretrained,
    Trained,
    Training,
)
from headstart.fitting import dense, evidence
from headstart.fitting.linear import choose_and_solve, problem_of
from headstart.fitting.probe import View, chosen_sets
from headstart.fitting.recipe import Recipe, refuse_gradient_options
from headstart.learners._options import refuse_begun, refuse_mask_options
from headstart.maths import softmax
from headstart.model.head import DenseHead
from headstart.model.source_labels import source_probabilities


@final
class Classes(Learner):
    """Softmax regression on cached features; with ``head_hidden``, one hidden layer below it."""

    name = "classes"
    modalities = ("picture", "text")
    stands = True
    whole = False
    stepped = False
    quick = True

    def suits(self, pretrained: Pretrained) -> bool:
        """Say that any model will do."""
        return True

    def train(self, training: Training, sets: Mapping[str, Sequence[Column]]) -> Trained:
        """Choose layers and lambda on the folds, then train on all the given examples."""
        refuse_mask_options(training.spec, "a head of classes")
        used = chosen_sets(training.spec.layers, sets)
        begun = cast(DenseHead | None, training.begun)
        if begun is not None and begun.hidden:
            return _dense(training, "as it began", begun.columns)
        refuse_begun(training)
        if training.spec.head_hidden is not None:
            layers = next(name for name in ("last", *used) if name in used)
            return _dense(training, layers, used[layers])
        refuse_gradient_options(
            training.spec, "without --head-hidden", "add --head-hidden 1024 or leave it out"
        )
        views = {name: View.of_columns(training.rows, columns) for name, columns in used.items()}
        layer, objective, settled = choose_and_solve(training, problem_of(training), views)
        head = DenseHead.of(used[objective["layers"]], [layer])
        held_out = None
        if np.isin(settled.indices_m, training.indices_n).any():
            held_out = HeldOut(indices_n=settled.indices_m, outputs=softmax.probabilities(settled.logits_mK))
        objective = {**objective, "parameters": head.parameters()}
        return Trained(head=head, objective=objective, held_out=held_out)

    def evidence(self, training: Training, sets: Mapping[str, Sequence[Column]]) -> Evidence:
        """Return each example's features beside its class, with the model's own labels where it has any."""
        targets_n = problem_of(training).targets[training.indices_n]
        found = evidence.of_examples(training, sets, targets_n, "accuracy")
        return replace(found, source_MZ=source_probabilities(training.frozen, found.views["last"]))

    def above(self, training: Training, trunk: Any, columns: Sequence[Column], head: Head | None) -> Above:
        """Return the dense layers, from the solved ones or new."""
        return dense.DenseAbove(problem_of(training), columns, cast(DenseHead | None, head), training.spec)

    def restore(self, columns: Sequence[Column], kept: Kept) -> Head:
        """Rebuild a head."""
        return DenseHead.restore(columns, kept.tensors)


def _dense(training: Training, layers: str, columns: Sequence[Column]) -> Trained:
    """Train dense layers by gradient steps: new ones, or on from those of a head."""
    spec, fold = training.spec, training.folds[0]
    recipe = Recipe.from_spec(spec)
    l2 = spec.l2 or 0.0
    head, history, temperature = dense.train(training, columns, l2, recipe)
    return Trained(
        head=head,
        objective={
            "loss": "cross-entropy",
            "penalty": "l2" if l2 else "none",
            "lambda": l2,
            "layers": layers,
            "features": sum(column.stop - column.start for column in columns),
            "examples": len(fold[0]),
            "parameters": head.parameters(),
            "formula": "min over W₁, b₁, W₂, b₂ of 1/N Σ −log p(yᵢ|xᵢ)" + (" + λ/2 ‖W‖²" if l2 else ""),
            "solver": recipe.describe(),
            "temperature": temperature,
            "epochs": history,
        },
    )
