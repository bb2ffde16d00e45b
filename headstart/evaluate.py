"""One look at held-out examples: the model and its baselines scored alike, with intervals."""

from collections.abc import Iterator, Sequence

import numpy as np

from headstart.contracts import Array, Task
from headstart.core.records import Evaluation, Note
from headstart.maths import softmax
from headstart.model.features import Features
from headstart.model.head import Head
from headstart.model.saved import Model

_CHUNK = 2048


def probabilities(head: Head, features: Features, indices_n: Array) -> Array:
    """Return the head's probabilities float64 [n, K], read from the store in pieces."""
    parts = [head.probabilities(features.read(part, head.columns)) for part in _pieces(indices_n)]
    return np.concatenate(parts)


def evaluate(
    task: Task, model: Model, features: Features, targets_N: Array, indices_n: Array, split: str, looks: int
) -> Evaluation:
    """Score the model and its baselines on some of the examples.

    Baselines: the class frequencies of the training data, and the heads saved as such.
    """
    truth_n = targets_N[indices_n]
    predicted_nK = probabilities(model.head, features, indices_n)
    baselines = {"majority": np.tile(model.priors_K, (len(indices_n), 1))}
    for fitted in model.baselines:
        (baseline,) = (one for one in task.baselines if one.name == fitted.name)
        matrix_nD = baseline.matrix(fitted.learnt, features, indices_n)
        baselines[fitted.name] = softmax.probabilities(fitted.layer.logits(matrix_nD))
    examples = [features.examples[index] for index in indices_n]
    return Evaluation(
        split=split,
        metrics=task.score(predicted_nK, truth_n, model.classes),
        baselines={name: task.score(p_nK, truth_n, model.classes) for name, p_nK in baselines.items()},
        looks=looks,
        dropped=tuple(features.dropped),
        notes=count_notes(features.noted),
        sections=task.sections(predicted_nK, truth_n, model.classes, examples),
    )


def count_notes(noted: Sequence[tuple[str, str]]) -> tuple[Note, ...]:
    """Gather (what, example) pairs into one note a kind, with a few examples each."""
    kinds: dict[str, list[str]] = {}
    for what, key in noted:
        kinds.setdefault(what, []).append(key)
    return tuple(
        Note(what=what, count=len(keys), examples=tuple(keys[:3])) for what, keys in sorted(kinds.items())
    )


def _pieces(indices_n: Array) -> Iterator[Array]:
    for start in range(0, max(len(indices_n), 1), _CHUNK):
        yield indices_n[start : start + _CHUNK]
