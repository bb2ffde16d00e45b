"""``evaluate``: a finished run scored on labelled data."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from headstart.contracts import Array, Example, Listing, Reading
from headstart.core.errors import UserError
from headstart.core.records import Evaluation, Note
from headstart.core.run import count_look, read_part, read_run
from headstart.core.store import Store
from headstart.core.tallies import Tallies
from headstart.data import dataset
from headstart.data.listing import UNSPLIT
from headstart.model.features import Features, extract
from headstart.model.saved import Model, load_model
from headstart.scoring import evaluate as score
from headstart.specs import EvaluateSpec
from headstart.verbs.common import data_digest, say_engine


def evaluate(spec: EvaluateSpec) -> Evaluation:
    """Score a run on one split of labelled data; the look is recorded in the run. Raises UserError."""
    return look(spec)[0]


def look(spec: EvaluateSpec) -> tuple[Evaluation, Tallies]:
    """Return what one look at labelled data showed, and what each example added to it.

    Unsplit data is scored whole, less what the run was trained or selected on. Raises UserError where
    the run or the data is not there, or the data has classes that the run does not know.
    """
    run = Path(spec.run)
    languages = read_run(run)["split"].get("languages") or ("", "")
    model = load_model(run)
    task = model.task
    listing = dataset.read(Path(spec.data), task.layouts, (languages[0], languages[1]))
    split, examples = _choose(listing, spec.split)
    _check_classes(listing, examples, model)
    reading = Reading(task, model.whole, model.frozen.pretrained)
    features = extract(reading, examples, model.frozen, Store.default(), spec.engine, say_engine)
    with features.table:
        indices, notes = _unseen(features, run, split)
        if not len(indices):
            raise UserError(
                f"nothing is left to score in {spec.data}",
                "usable examples that the run was not trained on",
                "give other data",
            )
        looks = count_look(run, split, data_digest(features, indices))
        found, tallies = score(task, model, features, indices, (split, looks))
    told = replace(
        found, dropped=(*listing.dropped, *found.dropped), notes=(*listing.notes, *found.notes, *notes)
    )
    return told, tallies


def _choose(listing: Listing, wanted: str | None) -> tuple[str, Sequence[Example]]:
    """Return the split to score: the wanted one, else test, val, or everything where there are none."""
    found = {name: examples for name, examples in listing.splits.items() if examples}
    if wanted is not None and wanted not in found:
        raise UserError(
            f"--split {wanted} of data that has {', '.join(found)}",
            "a split that is there",
            "leave --split out or choose one",
        )
    name = wanted or next(name for name in ("test", "val", *found) if name in found)
    return name, found[name]


def _check_classes(listing: Listing, examples: Sequence[Example], model: Model) -> None:
    if any(example.kind not in ("", model.kind) for example in examples):
        raise UserError(
            "data in which an example may have several labels, for a run that gives one class each",
            "one class an example",
            "fit a model on data with several labels",
        )
    # Where the examples name no class, their content may hold any class of the listing.
    named = {name for example in examples for name in example.names()} or set(listing.classes)
    unknown = sorted(named - set(model.classes))
    if unknown:
        raise UserError(
            f"{len(unknown)} classes that the run does not know, the first {unknown[0]!r}",
            f"some of {', '.join(model.classes[:10])}",
            "remove those examples, or fit a model that knows the classes",
        )


def _unseen(features: Features, run: Path, split: str) -> tuple[Array, tuple[Note, ...]]:
    """Return the places to score: of unsplit data only what the run has not seen, else all."""
    roles = read_part(run, "split.json")
    seen = {bytes.fromhex(one["sha256"]) for role in ("train", "val") for one in roles[role]}
    was_seen = np.array([digest in seen for digest in features.digests], dtype=bool)
    examples = [features.examples[index].key for index in np.flatnonzero(was_seen)[:3]]
    if split == UNSPLIT:
        what = "left out, because the run was trained or selected on the same content"
    else:
        what = "the run was trained or selected on the same content: the figures flatter it"
    notes = (Note(what=what, count=int(was_seen.sum()), examples=tuple(examples)),) if was_seen.any() else ()
    return np.flatnonzero(~was_seen) if split == UNSPLIT else np.arange(len(was_seen)), notes
