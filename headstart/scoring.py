"""One look at held-out examples: the model and its baselines scored alike, with intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from headstart.contracts import Array, Example, Learnt, Outputs, Task
from headstart.core.files import digest_bytes
from headstart.core.records import Evaluation, Metric, Note, Section
from headstart.core.tallies import Tallies, unit_digests, unit_numbers
from headstart.data.labels import places
from headstart.data.listing import in_order
from headstart.evaluation import prediction_sets, slices, unlike
from headstart.evaluation.vectors import pieces
from headstart.maths import detection
from headstart.model.features import Features
from headstart.model.saved import Model

_SHOWN = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """One look at a split: which, the how many-th, the coverage of sets, and inputs of another kind."""

    split: str
    count: int
    coverage: float | None = None
    against: Features | None = None


def evaluate(
    task: Task, model: Model, features: Features, indices_n: Array, look: Look
) -> tuple[Evaluation, Tallies]:
    """Score the model and its baselines on some of the examples.

    Outputs are made and compared with the truth in pieces, so that memory stays flat. Returns what was
    found, and what each example added to it.
    """
    head = model.head
    examples = [features.examples[index] for index in indices_n]
    classes, unlearnt = _all_classes(model, examples)
    units_n = unit_numbers([example.group for example in examples])

    def says(piece: Array) -> Outputs:
        return head.outputs(features.read(features.places(piece), head.columns), features.units(piece))

    def compared(outputs: Callable[[Array], Outputs], seen: Callable[[Array, Outputs], None]) -> Array:
        parts = []
        for piece in pieces(features, indices_n, features.columns[-1].stop):
            said = outputs(piece)
            seen(piece, said)
            parts.append(task.compare(said, [features.examples[index] for index in piece], classes))
        return np.concatenate(parts)

    beside = Beside(task, model, features, look.coverage)
    compared_nM = compared(says, beside.see)
    baselines = {baseline.name: baseline for baseline in task.baselines}
    tallies = Tallies(
        task=task.name,
        kind=model.kind,
        classes=classes,
        statistics_NM=task.statistics(compared_nM, classes),
        inputs=unit_digests([features.digests[index] for index in indices_n]),
        truths=unit_digests([bytes.fromhex(digest_bytes(one.target_bytes())) for one in examples]),
        units_N=units_n,
    )
    shown = task.sections(compared_nM, classes, examples, lambda places: says(indices_n[places]))
    evaluation = Evaluation(
        split=look.split,
        metrics={**task.score(compared_nM, classes, units_n), **beside.metrics(units_n, look.against)},
        baselines={
            name: task.score(
                compared(partial(baselines[name].outputs, learnt, features), _unseen), classes, units_n
            )
            for name, learnt in model.baselines.items()
        },
        looks=look.count,
        dropped=tuple(features.dropped),
        notes=(*count_notes(features.noted), *unlearnt),
        sections=(*shown, slices.section(task, tallies, examples), *beside.sections(units_n)),
    )
    return evaluation, tallies


def _all_classes(model: Model, examples: Sequence[Example]) -> tuple[tuple[str, ...], tuple[Note, ...]]:
    """Return the model's classes and after them those that it never saw, with a note on the latter."""
    known = set(model.classes)
    others = [one for one in examples if not known.issuperset(one.names())]
    if not others:
        return model.classes, ()
    names = in_order(name for one in others for name in one.names() if name not in known)
    shown = ", ".join(map(repr, names[:_SHOWN])) + (" ..." if len(names) > _SHOWN else "")
    what = f"of a class that training never saw ({shown}): never predicted, so counted as wrong"
    note = Note(what=what, count=len(others), examples=tuple(one.key for one in others[:_SHOWN]))
    return (*model.classes, *names), (note,)


def _unseen(piece: Array, said: Outputs) -> None:
    """See nothing: baselines know of nothing beside their answers."""


class Beside:
    """What is measured of the model beside its answers, gathered a piece at a time."""

    def __init__(self, task: Task, model: Model, features: Features, coverage: float | None) -> None:
        self.task, self.model, self.features, self.coverage = task, model, features, coverage
        self.sets = model.beside.get(prediction_sets.NAME)
        self.detector = model.beside.get(unlike.NAME)
        self.levels = (*((coverage,) if coverage else ()), *prediction_sets.LEVELS)
        self.observed: list[Array] = []
        self.scores: list[Array] = []

    def see(self, piece: Array, said: Outputs) -> None:
        """Take in what the model says of some examples."""
        chances_nK = self.task.chances(said)
        if self.sets is not None and chances_nK is not None:
            targets_n = places([self.features.examples[index] for index in piece], self.model.classes)
            self.observed.append(prediction_sets.observed(self.sets, chances_nK, targets_n, self.levels))
        if self.detector is not None:
            self.scores.append(self._unlike(self.detector, self.features, piece))

    def metrics(self, units_n: Array, against: Features | None) -> dict[str, Metric]:
        """Return how many are flagged, how well another kind is told apart, and the asked sets' coverage."""
        found: dict[str, Metric] = {}
        if self.coverage is not None:
            found |= prediction_sets.metrics(np.concatenate(self.observed)[:, :2], units_n)
        if self.detector is not None:
            scores_n = np.concatenate(self.scores)
            found["ood_rate"] = unlike.rate(scores_n, units_n)
            if against is not None:
                others_m = self._unlike(self.detector, against, np.arange(len(against.examples)))
                found["ood_rate_against"] = unlike.rate(others_m, np.arange(len(others_m)))
                found["ood_auroc"] = detection.auroc(scores_n, others_m)
        return found

    def sections(self, units_n: Array) -> tuple[Section, ...]:
        """Return the prediction sets' coverage at several levels."""
        if self.sets is None:
            return ()
        own = np.concatenate(self.observed)
        return (prediction_sets.section(self.sets, own, units_n, self.levels),)

    def _unlike(self, detector: Learnt, features: Features, indices_n: Array) -> Array:
        return unlike.scores(detector, self.model.frozen.modality, features, indices_n)


def count_notes(noted: Sequence[tuple[str, str]]) -> tuple[Note, ...]:
    """Gather (what, example) pairs into one note a kind, with a few examples each."""
    kinds: dict[str, list[str]] = {}
    for what, key in noted:
        kinds.setdefault(what, []).append(key)
    return tuple(
        Note(what=what, count=len(keys), examples=tuple(keys[:3])) for what, keys in sorted(kinds.items())
    )
