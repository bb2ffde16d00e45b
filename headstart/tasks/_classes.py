"""What every task that sorts inputs into classes shares: baselines, scores, what the report shows."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
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
    Solved,
    Task,
)
from headstart.core.records import Exhibit, Gallery, Matrix, Metric, Reliability, Section, Table
from headstart.core.tallies import Measures, Statistics
from headstart.data.labels import places, widened
from headstart.maths import classification, softmax
from headstart.maths.classifier_sums import Verdicts, statistics, verdicts
from headstart.tasks._figures import with_interval

_WORST = 12


Show = Callable[[Example], Mapping[str, str]]


@final
class MajorityBaseline(Baseline):
    """Says of every input how common each class was in the training data."""

    name = "majority"

    def learn(self, rows: Rows, indices_n: Array, classes: Sequence[str], solve: Solve) -> Learnt:
        """Return the classes' shares of the training data, float64 [K]."""
        labels_n = places([rows.examples[int(index)] for index in indices_n], classes)
        return Learnt(arrays={"shares": np.bincount(labels_n, minlength=len(classes)) / len(labels_n)})

    def outputs(self, learnt: Learnt, rows: Rows, indices_n: Array) -> Array:
        """Return the shares for every example [n, K]."""
        return np.tile(learnt.arrays["shares"], (len(indices_n), 1))


class Representation(ABC):
    """A plain representation of the input, for baselines that are linear in it."""

    @abstractmethod
    def facts(self, rows: Rows, indices_n: Array) -> Mapping[str, Any]:
        """Return, as JSON, what the representation takes from the training examples."""

    @abstractmethod
    def matrix(self, facts: Mapping[str, Any], rows: Rows, indices_n: Array) -> Any:
        """Return the representation float32 [n, D], dense or sparse."""


@final
class LinearBaseline(Baseline):
    """Softmax regression on a plain representation of the input."""

    def __init__(self, name: str, representation: Representation) -> None:
        self.name, self.representation = name, representation  # type: ignore[misc]

    def learn(self, rows: Rows, indices_n: Array, classes: Sequence[str], solve: Solve) -> Learnt:
        """Fit the linear layer on the training examples."""
        facts = self.representation.facts(rows, indices_n)
        solved = solve(
            lambda some_n: self.representation.matrix(facts, rows, some_n), places(rows.examples, classes)
        )
        return Learnt(facts=facts, arrays=arrays(solved))

    def outputs(self, learnt: Learnt, rows: Rows, indices_n: Array) -> Array:
        """Return probabilities float64 [n, K]."""
        layer = softmax.Linear(learnt.arrays["weight"], learnt.arrays["bias"])
        return softmax.probabilities(layer.logits(self.representation.matrix(learnt.facts, rows, indices_n)))


def arrays(solved: Solved) -> dict[str, Array]:
    """Return a linear layer as it is kept, float32."""
    return {"weight": solved.weight_DK.astype(np.float32), "bias": solved.bias_K.astype(np.float32)}


class Classification(Task):
    """A task that sorts inputs into classes: outputs are probabilities [n, K]."""

    @abstractmethod
    def show(self, example: Example) -> Mapping[str, str]:
        """Return an example's ``image`` (a data URI) or ``text`` for the report; empty if it is gone."""

    def parts(self, example: Example, whole: bool, pretrained: Pretrained) -> Parts:
        """Return the example itself: it is one unit."""
        return Parts((example,))

    def answers(self, outputs: Outputs, examples: Sequence[Example], classes: Sequence[str]) -> list[Answer]:
        """Return the most probable class and every class's probability."""
        return [
            Answer(
                prediction=classes[int(p_K.argmax())],
                scores=dict(zip(classes, (float(p) for p in p_K), strict=True)),
            )
            for p_K in outputs
        ]

    def chances(self, outputs: Outputs) -> Array:
        """Return the probabilities."""
        return np.asarray(outputs)

    def compare(self, outputs: Outputs, examples: Sequence[Example], classes: Sequence[str]) -> Array:
        """Return which class is right, which was predicted, how probable both were, how wrong all, [n, 5]."""
        return verdicts(widened(outputs, classes), places(examples, classes)).kept

    def statistics(self, compared_NM: Array, classes: Sequence[str]) -> Statistics:
        """Return hits, true and predicted counts by class, confidence by bin and the losses."""
        return statistics(Verdicts.of(compared_NM, len(classes)))

    def measures(self, classes: Sequence[str]) -> Measures:
        """Return accuracy, macro precision, recall and F1, log loss, Brier score and calibration error."""
        return classification.measures(len(classes))

    def score(self, compared_NM: Array, classes: Sequence[str], units_N: Array) -> dict[str, Metric]:
        """Return the measures."""
        return classification.scores(Verdicts.of(compared_NM, len(classes)), units_N=units_N)

    def sections(
        self, compared_NM: Array, classes: Sequence[str], examples: Sequence[Example], again: Again
    ) -> tuple[Section, ...]:
        """Return the worst mistakes, the confusion matrix, reliability and figures per class."""
        said = Verdicts.of(compared_NM, len(classes))
        return (
            _mistakes(said, classes, examples, self.show),
            _confusion(said, classes),
            _reliability(said),
            _per_class(said, classes, self.unit),
        )


def _mistakes(said: Verdicts, classes: Sequence[str], examples: Sequence[Example], show: Show) -> Gallery:
    wrong = np.flatnonzero(said.predicted_N != said.targets_N)
    worst = wrong[np.argsort(said.likelihood_N[wrong], kind="stable")][:_WORST]
    items = []
    for i in worst:
        guess, truth = classes[said.predicted_N[i]], classes[said.targets_N[i]]
        items.append(
            Exhibit(
                caption=f"taken for {guess} ({said.confidence_N[i]:.0%})",
                detail=f"is {truth} ({said.likelihood_N[i]:.0%}): {examples[i].key}",
                **show(examples[i]),
            )
        )
    share = f"{len(wrong):,} of {len(said.targets_N):,} were wrong"
    note = f"{share}; shown are those whose true class was thought least likely."
    return Gallery(title="Worst mistakes", note=note, items=tuple(items))


def _confusion(said: Verdicts, classes: Sequence[str]) -> Matrix:
    counts = classification.confusion(said)
    return Matrix(
        title="Confusion matrix",
        note="True classes in rows, predicted ones in columns.",
        labels=tuple(classes),
        counts=tuple(tuple(int(count) for count in row) for row in counts),
    )


def _reliability(said: Verdicts) -> Reliability:
    bins = classification.reliability(said)
    return Reliability(
        title="Reliability",
        note="When the model says 80%, is it right 80% of the time? On the diagonal it is.",
        edges=bins.edges,
        confidence=bins.confidence,
        accuracy=bins.accuracy,
        counts=bins.counts,
    )


def _per_class(said: Verdicts, classes: Sequence[str], unit: str) -> Table:
    scores = classification.per_class(said)
    rows = [
        (
            name,
            str(score.support),
            *(with_interval(figure, "undefined") for figure in (score.precision, score.recall, score.f1)),
        )
        for name, score in zip(classes, scores, strict=True)
    ]
    return Table(
        title="Class by class",
        note="Precision: of those called so, how many are. Recall: of those that are, how many were found.",
        header=("class", unit, "precision", "recall", "F1"),
        rows=tuple(rows),
    )
