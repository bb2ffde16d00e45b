"""What a model learns beside its head: how far to trust it. Prediction sets, and what is unlike its data."""

import numpy as np

from headstart.contracts import Array, Head, HeldOut, Learnt, Modality, Rows, Task, Trained, Training
from headstart.core.errors import UserError
from headstart.core.records import Note
from headstart.data.labels import places
from headstart.evaluation import prediction_sets, unlike

_MOST = 5_000


def learn(
    training: Training, task: Task, modality: Modality, trained: Trained, rows: Rows
) -> tuple[dict[str, Learnt], tuple[Note, ...]]:
    """Learn from examples that the head did not train on; ``rows`` are of the model as it trained.

    Returns what was learnt, and notes on what was not. Raises UserError for a detector that needs classes.
    """
    found: dict[str, Learnt] = {}
    labels_N = np.array([example.label for example in rows.examples])
    one_each = all(labels_N)
    held = None
    if one_each:  # else there are no sets, and answers may be slow to write
        held = trained.held_out or _held_out(trained.head, rows, training.folds[0][1])
    chances_mK = None if held is None else task.chances(held.outputs)
    if held is not None and chances_mK is not None:
        examples = [rows.examples[int(index)] for index in held.indices_n]
        found[prediction_sets.NAME] = prediction_sets.learn(chances_mK, places(examples, training.classes))
    if not modality.pooled or len(rows.starts_N1) - 1 != int(rows.starts_N1[-1]):
        return found, ()
    detector = training.spec.detector or ("mahalanobis" if one_each else "neighbours")
    if detector == "mahalanobis" and not one_each:
        raise UserError(
            "--detector mahalanobis for examples without a class each",
            "--detector neighbours",
            "leave it out",
        )
    columns = modality.layer_sets(rows.columns)["all"]
    learnt = unlike.learn(rows, columns, training.folds[0], labels_N, detector, training.spec.seed)
    if learnt is None:
        what = "examples held out to select on: too few to tell what is unlike the training data"
        return found, (Note(what=what, count=len(training.folds[0][1])),)
    return {**found, unlike.NAME: learnt}, ()


def _held_out(head: Head, rows: Rows, indices_m: Array) -> HeldOut:
    """Return what the head itself says of examples that it did not train on."""
    some = indices_m[:: max(1, len(indices_m) // _MOST)]
    said = head.outputs(rows.read(rows.places(some), head.columns), rows.units(some))
    return HeldOut(indices_n=some, outputs=said)
