"""What the report shows of any task that sorts inputs into classes."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from headstart.contracts import Array, Example
from headstart.core.records import Exhibit, Gallery, Matrix, Metric, Reliability, Section, Table
from headstart.maths import classification

_WORST = 12


def class_sections(
    probabilities_NK: Array,
    targets_N: Array,
    classes: Sequence[str],
    examples: Sequence[Example],
    show: Callable[[Example], Mapping[str, str]],
) -> tuple[Section, ...]:
    """Return the worst mistakes, the confusion matrix, reliability and figures per class.

    ``show`` gives an example's ``image`` (a data URI) or ``text``.
    """
    return (
        _mistakes(probabilities_NK, targets_N, classes, examples, show),
        _confusion(probabilities_NK, targets_N, classes),
        _reliability(probabilities_NK, targets_N),
        _per_class(probabilities_NK, targets_N, classes),
    )


def _mistakes(
    probabilities_NK: Array,
    targets_N: Array,
    classes: Sequence[str],
    examples: Sequence[Example],
    show: Callable[[Example], Mapping[str, str]],
) -> Gallery:
    predicted_N = probabilities_NK.argmax(axis=1)
    wrong = np.flatnonzero(predicted_N != targets_N)
    worst = wrong[np.argsort(probabilities_NK[wrong, targets_N[wrong]], kind="stable")][:_WORST]
    items = []
    for i in worst:
        guess, truth = predicted_N[i], targets_N[i]
        items.append(
            Exhibit(
                caption=f"taken for {classes[guess]} ({probabilities_NK[i, guess]:.0%})",
                detail=f"is {classes[truth]} ({probabilities_NK[i, truth]:.0%}): {examples[i].key}",
                **show(examples[i]),
            )
        )
    share = f"{len(wrong):,} of {len(targets_N):,} were wrong"
    note = f"{share}; shown are those whose true class was thought least likely."
    return Gallery(title="Worst mistakes", note=note, items=tuple(items))


def _confusion(probabilities_NK: Array, targets_N: Array, classes: Sequence[str]) -> Matrix:
    counts = classification.confusion(probabilities_NK, targets_N)
    return Matrix(
        title="Confusion matrix",
        note="True classes in rows, predicted ones in columns.",
        labels=tuple(classes),
        counts=tuple(tuple(int(count) for count in row) for row in counts),
    )


def _reliability(probabilities_NK: Array, targets_N: Array) -> Reliability:
    bins = classification.reliability(probabilities_NK, targets_N)
    return Reliability(
        title="Reliability",
        note="When the model says 80%, is it right 80% of the time? On the diagonal it is.",
        edges=bins.edges,
        confidence=bins.confidence,
        accuracy=bins.accuracy,
        counts=bins.counts,
    )


def _per_class(probabilities_NK: Array, targets_N: Array, classes: Sequence[str]) -> Table:
    scores = classification.per_class(probabilities_NK, targets_N)
    rows = [
        (
            name,
            str(score.support),
            *(_with_interval(figure) for figure in (score.precision, score.recall, score.f1)),
        )
        for name, score in zip(classes, scores, strict=True)
    ]
    return Table(
        title="Class by class",
        note="Precision: of those called so, how many are. Recall: of those that are, how many were found.",
        header=("class", "pictures", "precision", "recall", "F1"),
        rows=tuple(rows),
    )


def _with_interval(metric: Metric) -> str:
    if not np.isfinite(metric.value):
        return "undefined"
    if metric.low is None or metric.high is None:
        return f"{metric.value:.2f} (no interval)"
    return f"{metric.value:.2f} ({metric.low:.2f}-{metric.high:.2f})"
