"""What every task shares that gives inputs any number of labels: baselines, scores, what the report shows."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np

from headstart.contracts import (
    Again,
    Answer,
    Array,
    Baseline,
    Example,
    Learnt,
    Outputs,
    Parts,
    Pretrained,
    Rows,
    Solve,
    Task,
)
from headstart.core.records import Exhibit, Gallery, Metric, Section, Table
from headstart.core.tallies import Measures, Statistics
from headstart.data.labels import indicators, widened
from headstart.maths import logistic, multilabel
from headstart.maths.multilabel import Decisions
from headstart.maths.softmax import Linear
from headstart.model.labels import Labelled
from headstart.tasks._classes import Representation, Show, arrays
from headstart.tasks._figures import with_interval

_WORST = 12
_NAMED = 5


@final
class Nothing(Representation):
    """No look at the input at all: what is left is how common each label is."""

    def facts(self, rows: Rows, indices_n: Array) -> Mapping[str, Any]:
        """Learn nothing."""
        return {}

    def matrix(self, facts: Mapping[str, Any], rows: Rows, indices_n: Array) -> Array:
        """Return zeros [n, 1]."""
        return np.zeros((len(indices_n), 1), np.float32)


@final
class LinearLabelsBaseline(Baseline):
    """Logistic regression of each label on a plain representation, its threshold chosen like the head's."""

    def __init__(self, name: str, representation: Representation) -> None:
        self.name, self.representation = name, representation  # type: ignore[misc]

    def learn(self, rows: Rows, indices_n: Array, classes: Sequence[str], solve: Solve) -> Learnt:
        """Fit the linear layer on the training examples."""
        facts = self.representation.facts(rows, indices_n)
        targets_NK = indicators(rows.examples, classes)
        solved = solve(lambda some_n: self.representation.matrix(facts, rows, some_n), targets_NK)
        return Learnt(
            facts={"threshold": solved.objective["threshold"], "seen": facts}, arrays=arrays(solved)
        )

    def outputs(self, learnt: Learnt, rows: Rows, indices_n: Array) -> Labelled:
        """Return every label's probability, and the threshold."""
        layer = Linear(learnt.arrays["weight"], learnt.arrays["bias"])
        logits_nK = layer.logits(self.representation.matrix(learnt.facts["seen"], rows, indices_n))
        return Labelled.of(logits_nK, learnt.facts["threshold"])


class LabelClassification(Task):
    """A task that says which labels are right of an input: outputs are ``Labelled``."""

    @abstractmethod
    def show(self, example: Example) -> Mapping[str, str]:
        """Return an example's ``image`` (a data URI) or ``text`` for the report; empty if it is gone."""

    def parts(self, example: Example, whole: bool, pretrained: Pretrained) -> Parts:
        """Return the example itself: it is one unit."""
        return Parts((example,))

    def answers(self, outputs: Labelled, examples: Sequence[Example], classes: Sequence[str]) -> list[Answer]:
        """Return the labels given, the likeliest first, and every label's probability."""
        found = []
        for p_K, given_K in zip(outputs.probabilities_nK, outputs.given_nK, strict=True):
            order = [place for place in np.argsort(-p_K, kind="stable") if given_K[place]]
            found.append(
                Answer(
                    prediction=tuple(classes[place] for place in order),
                    scores=dict(zip(classes, (float(p) for p in p_K), strict=True)),
                )
            )
        return found

    def chances(self, outputs: Outputs) -> None:
        """Return nothing: not one class is right."""

    def compare(self, outputs: Labelled, examples: Sequence[Example], classes: Sequence[str]) -> Array:
        """Return the probabilities, whether each label is given, and whether it is right, [n, 3 K]."""
        said = [widened(one, classes) for one in (outputs.probabilities_nK, outputs.given_nK)]
        return np.hstack([*said, indicators(examples, classes)])

    def statistics(self, compared_NM: Array, classes: Sequence[str]) -> Statistics:
        """Return what is all right, labels wrong, the loss, and hits, true and given counts by label."""
        return multilabel.statistics(_decisions(compared_NM))

    def measures(self, classes: Sequence[str]) -> Measures:
        """Return F1, precision, recall, subset accuracy, Hamming loss, log loss and Brier score."""
        return multilabel.measures()

    def score(self, compared_NM: Array, classes: Sequence[str], units_N: Array) -> dict[str, Metric]:
        """Return the measures and average precision, which is no function of sums."""
        return multilabel.scores(_decisions(compared_NM), units_N=units_N)

    def sections(
        self, compared_NM: Array, classes: Sequence[str], examples: Sequence[Example], again: Again
    ) -> tuple[Section, ...]:
        """Return the worst mistakes and figures per label."""
        said = _decisions(compared_NM)
        return (_mistakes(said, classes, examples, self.show), _per_label(said, classes, self.unit))


def _decisions(compared_NM: Array) -> Decisions:
    probabilities_NK, given_NK, true_NK = np.split(compared_NM, 3, axis=1)
    return Decisions(probabilities_NK, given_NK.astype(bool), true_NK.astype(bool))


def _mistakes(said: Decisions, classes: Sequence[str], examples: Sequence[Example], show: Show) -> Gallery:
    wrong_NK = said.given_NK != said.true_NK
    wrong = np.flatnonzero(wrong_NK.any(axis=1))
    loss_N = logistic.losses(said.probabilities_NK, said.true_NK).sum(axis=1)
    worst = wrong[np.argsort(-loss_N[wrong], kind="stable")][:_WORST]
    items = []
    for i in worst:
        p_K = said.probabilities_NK[i]
        missed = _named(said.true_NK[i] & ~said.given_NK[i], p_K, classes, "missed")
        added = _named(said.given_NK[i] & ~said.true_NK[i], -p_K, classes, "wrongly given")
        right = ", ".join(name for name, true in zip(classes, said.true_NK[i], strict=True) if true) or "none"
        items.append(
            Exhibit(
                caption="; ".join(part for part in (missed, added) if part),
                detail=f"labels: {right}: {examples[i].key}",
                **show(examples[i]),
            )
        )
    note = (
        f"{len(wrong):,} of {len(wrong_NK):,} have a label too many or too few; the unlikeliest truths first."
    )
    return Gallery(title="Worst mistakes", note=note, items=tuple(items))


def _named(wrong_K: Array, order_K: Array, classes: Sequence[str], what: str) -> str:
    """Name labels with their probabilities, those first whose ``order_K`` is low."""
    places = sorted(np.flatnonzero(wrong_K).tolist(), key=lambda k: order_K[k])
    if not places:
        return ""
    listed = ", ".join(f"{classes[k]} ({abs(order_K[k]):.0%})" for k in places[:_NAMED])
    more = f" and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
    return f"{what}: {listed}{more}"


def _per_label(said: Decisions, classes: Sequence[str], unit: str) -> Table:
    rows = [
        (
            name,
            str(score.support),
            *(
                with_interval(figure, "undefined")
                for figure in (score.precision, score.recall, score.f1, score.average_precision)
            ),
        )
        for name, score in zip(classes, multilabel.per_label(said), strict=True)
    ]
    return Table(
        title="Label by label",
        note="Precision: of those given it, how many have it. Recall: of those that have it, how many were "
        "given it. Average precision: how far up its own a ranking by probability puts them.",
        header=("label", unit, "precision", "recall", "F1", "average precision"),
        rows=tuple(rows),
    )
