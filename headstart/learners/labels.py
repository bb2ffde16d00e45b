"""Heads that say which of many labels are right of an example: one against the rest, a convex problem."""

from collections.abc import Mapping, Sequence
from typing import Any, cast, final

from headstart.contracts import Above, Column, Evidence, Head, Kept, Learner, Pretrained, Trained, Training
from headstart.core.errors import UserError
from headstart.data.labels import indicators
from headstart.fitting import evidence
from headstart.fitting.labels import LabelsAbove
from headstart.fitting.linear import choose_and_solve
from headstart.fitting.probe import Problem, View, chosen_sets
from headstart.fitting.recipe import refuse_gradient_options
from headstart.learners._options import refuse_begun
from headstart.model.labels import LabelHead


@final
class Labels(Learner):
    """Logistic regression of each label on cached features, and one threshold to give labels at."""

    name = "labels"
    modalities = ("text", "picture")
    stands = True
    whole = False
    stepped = False
    quick = True

    def suits(self, pretrained: Pretrained) -> bool:
        """Say that any model will do."""
        return True

    def train(self, training: Training, sets: Mapping[str, Sequence[Column]]) -> Trained:
        """Choose layers, lambda and threshold on the folds, then train on all the given examples."""
        if training.spec.head_hidden is not None:
            raise UserError(
                "--head-hidden for data with several labels", "the convex head", "leave --head-hidden out"
            )
        refuse_gradient_options(training.spec, "for data with several labels", "leave it out")
        refuse_begun(training)
        used = chosen_sets(training.spec.layers, sets)
        views = {name: View.of_columns(training.rows, columns) for name, columns in used.items()}
        targets_NK = indicators(training.rows.examples, training.classes)
        problem = Problem(targets=targets_NK, num_classes=len(training.classes))
        layer, objective, _ = choose_and_solve(training, problem, views)
        columns = tuple(used[objective["layers"]])
        head = LabelHead(columns, layer.as_float32(), objective["threshold"])
        return Trained(head=head, objective={**objective, "parameters": head.parameters()})

    def evidence(self, training: Training, sets: Mapping[str, Sequence[Column]]) -> Evidence:
        """Return each example's features beside its labels."""
        targets_nK = indicators(training.rows.examples, training.classes)[training.indices_n]
        return evidence.of_examples(training, sets, targets_nK, "f1_micro")

    def above(self, training: Training, trunk: Any, columns: Sequence[Column], head: Head | None) -> Above:
        """Return the logistic regressions, from the solved ones or new."""
        targets_NK = indicators(training.rows.examples, training.classes)
        return LabelsAbove(targets_NK, columns, cast(LabelHead | None, head))

    def restore(self, columns: Sequence[Column], kept: Kept) -> Head:
        """Rebuild a head."""
        return LabelHead.restore(columns, kept.tensors, kept.facts)
