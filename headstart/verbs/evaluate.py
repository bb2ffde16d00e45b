"""``evaluate``: a finished run scored on labelled data."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from headstart.auditing.repeats import flattering
from headstart.contracts import Array, Example, Listing, Reading, Task
from headstart.core.errors import MachineError, UserError
from headstart.core.records import Evaluation, Metric, Note, to_json
from headstart.core.run import count_look, read_part, read_run
from headstart.core.store import Store
from headstart.core.tallies import Tallies
from headstart.data import dataset
from headstart.data.groups import grouped
from headstart.data.listing import UNSPLIT
from headstart.evaluation import generalisation, prediction_sets, unlike
from headstart.evaluation.generalisation import statistics
from headstart.maths.intervals import scored
from headstart.model.features import Features, extract
from headstart.model.saved import Model, check_classes, load_model, telling
from headstart.scoring import Look
from headstart.scoring import evaluate as score
from headstart.ship.report import refresh_looks, write_look
from headstart.specs import EvaluateSpec
from headstart.verbs.common import allowed, data_digest, say_engine

_MOST_SPOILT = 1_000

log = logging.getLogger(__name__)


def evaluate(spec: EvaluateSpec) -> Evaluation:
    """Score a run on one split of labelled data; the look is recorded in the run. Raises UserError."""
    return look(spec)[0]


def look(spec: EvaluateSpec) -> tuple[Evaluation, Tallies]:
    """Return what one look at labelled data showed, and what each example added to it.

    Unsplit data is scored whole, less what the run was trained or selected on. Raises UserError where
    the run or the data is not there, or the data has classes that the run does not know.
    """
    run = Path(spec.run)
    record = read_run(run)
    model = load_model(run, allowed(spec))
    _check_beside(spec, model)
    task = model.task
    listing = _listed(spec, record, task)
    split, examples = _choose(listing, spec.split)
    _check_classes(listing, examples, model)
    reading = Reading(task, model.whole, model.frozen.pretrained)
    features = extract(reading, examples, model.frozen, Store.default(), spec.engine, say_engine)
    with features.table:
        indices, seen, notes = _unseen(features, run, split)
        if not len(indices):
            raise UserError(
                f"nothing is left to score in {spec.data}",
                "usable examples that the run was not trained on",
                "give other data",
            )
        _try_out(run, model, features, indices[:1])
        with ExitStack() as opened:
            against = _against(spec, model, reading, opened)
            looks = count_look(run, split, data_digest(features, indices))
            asked = Look(split=split, count=looks, coverage=spec.coverage, against=against)
            found, tallies = score(task, model, features, indices, asked)
        spoilt = _spoilt(spec, model, features, (indices, tallies.classes)) if spec.corrupt else {}
    told = replace(
        found,
        metrics={**found.metrics, **spoilt},
        dropped=(*listing.dropped, *found.dropped),
        notes=(*listing.notes, *found.notes, *notes),
        seen=seen,
        page=spec.html or "",
    )
    if looks > 1:
        refresh_looks(run)
    if spec.html is not None:
        write_look(Path(spec.html), run, spec.data, to_json(told))
    return told, tallies


def _listed(spec: EvaluateSpec, record: Mapping[str, Any], task: Task) -> Listing:
    """Read the data as the run read its own: from and into which language, and what belongs together."""
    path, spoken = Path(spec.data), record["split"].get("languages") or ("", "")
    source, target = spoken if len(spoken) == 2 else ("", "")
    found = dataset.read(path, task.layouts, (source, target), to_train=False)
    usual = record["spec"].get("group")
    if spec.group is not None or usual is None:
        return grouped(found, path, spec.group)
    try:
        return grouped(found, path, usual)
    except UserError as error:  # other data need not have that column
        note = Note(what=f"not grouped as the run was fitted: {error.found}", count=1, examples=())
        return replace(found, notes=(*found.notes, note))


def _try_out(run: Path, model: Model, features: Features, some_n: Array) -> None:
    """Apply all that a run describes to an example. Raises UserError where it belongs to no such features."""
    with telling(run):
        said = model.head.outputs(
            features.read(features.places(some_n), model.head.columns), features.units(some_n)
        )
        check_classes(model, said)
        statistics(model.task, model.head, features, some_n, model.classes)
        for baseline in model.task.baselines:
            if baseline.name in model.baselines:
                baseline.outputs(model.baselines[baseline.name], features, some_n)
        if unlike.NAME in model.beside:
            unlike.scores(model.beside[unlike.NAME], model.frozen.modality, features, some_n)


def _check_beside(spec: EvaluateSpec, model: Model) -> None:
    if spec.html is not None and Path(spec.html).exists():
        raise UserError(f"--html {spec.html} exists already", "a file that does not exist yet", "remove it")
    prediction_sets.check(model.beside.get(prediction_sets.NAME), spec.coverage)
    if spec.against is not None and unlike.NAME not in model.beside:
        raise UserError(
            f"--against for a model of {model.task.name} without a detector",
            "a model that has learnt what is unlike its training data",
            "leave --against out, or fit the model again with more examples to select on"
            if model.frozen.modality.blocks(model.frozen.columns())
            else "leave it out: features of this kind have no detector",
        )


def _against(spec: EvaluateSpec, model: Model, reading: Reading, opened: ExitStack) -> Features | None:
    """Return the features of inputs of another kind. Raises UserError where none can be used."""
    if spec.against is None:
        return None
    examples = list(model.task.inputs([spec.against]))
    found = extract(reading, examples, model.frozen, Store.default(), spec.engine, say_engine)
    opened.enter_context(found.table)
    if not len(found.examples):
        raise UserError(f"nothing in {spec.against} can be used", model.task.unit, "name other inputs")
    return found


def _spoilt(
    spec: EvaluateSpec, model: Model, features: Features, scored_on: tuple[Array, Sequence[str]]
) -> dict[str, Metric]:
    """Return the leading metric on examples spoilt in every way, as ``accuracy@noise``; on 1,000 at most."""
    indices_n, classes = scored_on
    task, measures = model.task, model.task.measures(classes)
    name = next(iter(measures.values))
    some = indices_n[:: -(-len(indices_n) // _MOST_SPOILT)]
    found = {}
    for how in task.corruptions:
        log.info("scoring under %s", how)
        with TemporaryDirectory() as folder, ExitStack() as opened:
            spoilt = [
                task.corrupted(features.examples[index], how, int(index), Path(folder)) for index in some
            ]
            store, engine = Store.default(), spec.engine
            own = extract(features.reading, spoilt, model.frozen, store, engine)
            opened.enter_context(own.table)
            every = np.arange(len(own.examples))
            added, units_n = generalisation.statistics(task, model.head, own, every, classes)
            found[f"{name}@{how}"] = scored(added, measures, units_n)[name]
    return found


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
    # Examples of a class that training never saw count as wrong, unless all are such.
    if unknown and (len(unknown) == len(named) or not any(example.names() for example in examples)):
        raise UserError(
            f"{len(unknown)} classes that the run does not know, the first {unknown[0]!r}",
            f"some of {', '.join(model.classes[:10])}",
            "remove those examples, or fit a model that knows the classes",
        )


def _unseen(features: Features, run: Path, split: str) -> tuple[Array, int, tuple[Note, ...]]:
    """Return the places to score: of unsplit data only what the run has not seen, else all.

    Then how many of them it has seen, and what to say of that.
    """
    roles = read_part(run, "split.json")
    try:
        seen = {bytes.fromhex(one["sha256"]) for role in ("train", "val") for one in roles[role]}
    except (LookupError, TypeError, ValueError) as error:
        raise MachineError(f"{run / 'split.json'} is damaged: {error!r}.") from error
    was_seen = np.array([digest in seen for digest in features.digests], dtype=bool)
    examples = [features.examples[index].key for index in np.flatnonzero(was_seen)[:3]]
    if split == UNSPLIT:
        what = "left out, because the run was trained or selected on the same content"
    else:
        what = f"the run was trained or selected on the same content: {flattering(was_seen)}"
    notes = (Note(what=what, count=int(was_seen.sum()), examples=tuple(examples)),) if was_seen.any() else ()
    if split == UNSPLIT:
        return np.flatnonzero(~was_seen), 0, notes
    return np.arange(len(was_seen)), int(was_seen.sum()), notes
