"""What a model learns beside its head: how far to trust it. Prediction sets, and what is unlike its data."""

import numpy as np

from headstart.contracts import Array, Head, HeldOut, Learnt, Modality, Rows, Task, Trained, Training
from headstart.core.errors import UserError
from headstart.core.records import Note
from headstart.data.labels import places
from headstart.evaluation import prediction_sets, unlike

_MOST = 5_000


def check(detector: str | None, modality: Modality, rows: Rows) -> None:
    """Raise UserError for a detector that such features do not allow, or that lacks the classes it needs."""
    if detector is not None and not modality.blocks(rows.columns):
        raise UserError(
            f"--detector {detector} for a model of which no layer is frozen",
            "features that a frozen layer gives",
            "leave it out: features of this kind have no detector",
        )
    if detector is not None and unlike.DETECTORS[detector].by_class and not _one_each(rows):
        others = [name for name, one in unlike.DETECTORS.items() if not one.by_class]
        raise UserError(
            f"--detector {detector} for examples without a class each",
            f"--detector {' or '.join(others)}",
            "leave it out",
        )


def learn(
    training: Training, task: Task, modality: Modality, trained: Trained, rows: Rows
) -> tuple[dict[str, Learnt], tuple[Note, ...]]:
    """Learn from examples that the head did not train on; ``rows`` are of the model as it trained.

    Returns what was learnt, and notes on what was not.
    """
    found: dict[str, Learnt] = {}
    held = None
    if _one_each(rows):  # else there are no sets, and answers may be slow to write
        held = trained.held_out or _held_out(trained.head, rows, training.folds[0][1])
    chances_mK = None if held is None else task.chances(held.outputs)
    if held is not None and chances_mK is not None:
        examples = [rows.examples[int(index)] for index in held.indices_n]
        found[prediction_sets.NAME] = prediction_sets.learn(chances_mK, places(examples, training.classes))
    if not modality.blocks(rows.columns):
        return found, ()
    detector = training.spec.detector or unlike.DEFAULT
    labels_N = np.array([example.label for example in rows.examples])
    learnt = unlike.learn(rows, modality, training.folds[0], labels_N, detector, training.spec.seed)
    if learnt is None:
        what = "examples held out to select on: too few to tell what is unlike the training data"
        return found, (Note(what=what, count=len(training.folds[0][1])),)
    return {**found, unlike.NAME: learnt}, ()


def _one_each(rows: Rows) -> bool:
    """Say whether each example has one class."""
    return all(example.label for example in rows.examples)


def _held_out(head: Head, rows: Rows, indices_m: Array) -> HeldOut:
    """Return what the head itself says of examples that it did not train on."""
    some = indices_m[:: max(1, len(indices_m) // _MOST)]
    said = head.outputs(rows.read(rows.places(some), head.columns), rows.units(some))
    return HeldOut(indices_n=some, outputs=said)
