"""``fit``: data and a pretrained model in, a run out. Each stage hands the next a frozen record."""

import logging
import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from headstart.auditing.repeats import repeats, seen_before
from headstart.auditing.survey import quick
from headstart.contracts import Array, Example, Fold, Learner, Pretrained, Reading, Task, Trained, Training
from headstart.core import plugins
from headstart.core.errors import UserError
from headstart.core.files import write_bytes, write_json
from headstart.core.records import Evaluation, Fitted, Table, to_json
from headstart.core.run import claim, clear_beside, count_look
from headstart.core.store import Store
from headstart.core.tallies import Tallies
from headstart.core.timing import Stages
from headstart.data import dataset
from headstart.data.groups import grouped
from headstart.data.listing import in_order
from headstart.data.prompts import prompted
from headstart.data.split import Dataset, arrange, folds_of
from headstart.evaluation import beside, generalisation
from headstart.fitting.climbing import train
from headstart.fitting.linear import train_baseline
from headstart.model.features import Features, extract
from headstart.model.saved import Model, save_model
from headstart.model.trunk import FrozenModel, as_taken, find
from headstart.scoring import Look, evaluate
from headstart.ship.card import write_card
from headstart.ship.report import write_report
from headstart.specs import FitSpec, command
from headstart.verbs import begun
from headstart.verbs.common import (
    allowed,
    data_digest,
    engine_record,
    guess_task,
    say_engine,
    split_record,
    versions,
)
from headstart.verbs.places import checkpoint_folder, finished, forget_checkpoints, run_folder

_CROSS_VALIDATION_EXAMPLES = 1000

log = logging.getLogger(__name__)


def fit(spec: FitSpec) -> Fitted:
    """Fine-tune a pretrained model on the data, evaluate it once, write the run; return its record.

    Raises UserError for what the user can mend and MachineError for what the machine refuses; then
    no run is left behind, and every feature computed so far stays in the store.
    """
    run = run_folder(spec)
    done = finished(run, spec)
    if done is not None:
        log.info("%s is finished already: nothing was changed", run)
        clear_beside(run)
        forget_checkpoints(run)
        return done
    with claim(run) as staging:
        record = _fit(spec, run, staging)
    forget_checkpoints(run)
    return record


def _fit(spec: FitSpec, run: Path, staging: Path) -> Fitted:
    stages = Stages(staging / "log.jsonl")
    store = Store.default()
    with stages.timed("read"):
        if spec.engine is not None:
            plugins.load("engine", spec.engine)  # a wrong name is told before any work
        named: Task = plugins.load("task", spec.task or guess_task(Path(spec.data)))
        data = read(spec, named)
        task = named.of_kind(data.kind)
        model, learner = find_for(spec, task)
        told = prompted(model.pretrained, task.name, spec.prefix, data.languages)
        model = replace(model, pretrained=told)
        head = begun.head(told, allowed(spec), task, data)
    with stages.timed("features"):
        everything = (*data.train, *data.val, *data.test)
        reading = Reading(task, learner.whole, model.pretrained)
        features = extract(reading, everything, model, store, spec.engine, say_engine)
    with ExitStack() as opened:
        opened.enter_context(features.table)
        roles = _roles(task, data, features)
        beside.check(spec.detector, model.modality, features)
        with stages.timed("head"):
            checkpoints = checkpoint_folder(
                run, spec, data_digest(features, np.arange(len(features.examples)))
            )
            training = _training(spec, data, model, features, roles, checkpoints)
            training = begun.going_on(training, head)
            trained, fitted = _train(task, learner, data, training)
        if fitted.frozen is not model:  # the trunk is another function now
            with stages.timed("features of the trained model"):
                usable = features.examples
                features = extract(reading, usable, fitted.frozen, store, spec.engine, say_engine)
                opened.enter_context(features.table)
        with stages.timed("evaluate"):
            learnt, unlearnt = beside.learn(training, task, fitted.frozen.modality, trained, features)
            fitted = replace(fitted, beside=learnt)
            evaluation, tallies = _evaluate(staging, data, fitted, features, roles)
            for name, content in trained.files.items():
                write_bytes(staging / "model" / name, content)
            shown = _generalises((training, learner, trained), fitted, features, tallies)
            evaluation = replace(
                evaluation,
                notes=(*evaluation.notes, *unlearnt),
                sections=(*evaluation.sections, *shown),
                seen=int(seen_before(features, roles).sum()),
            )
            write_json(staging / "evaluation.json", to_json(evaluation))
    record = _record(spec, run, (data, features, roles), trained, fitted, evaluation, stages)
    write_json(staging / "run.json", to_json(record))
    write_report(staging)
    write_card(staging)
    store.enforce_cap()
    return record


def read(spec: FitSpec, task: Task) -> Dataset:
    """Read the data and give every example its role, saying what was found. Raises UserError."""
    wanted = spec.source_language or "", spec.target_language or ""
    path = Path(spec.data)
    data = arrange(grouped(dataset.read(path, task.layouts, wanted), path, spec.group), spec.seed)
    data = replace(data, notes=(*data.notes, *quick(task, data)))
    for note in data.notes:
        log.info("%s (%d)", note.what, note.count)
    sizes = f"{len(data.train):,} to train, {len(data.val):,} to select, {len(data.test):,} to test"
    kinds = f" in {len(data.classes)} classes" if data.classes else ""
    log.info("%s: %s%s; %s", spec.data, sizes, kinds, data.made)
    return data


def find_for(spec: FitSpec, task: Task) -> tuple[FrozenModel, Learner]:
    """Find the pretrained model, and the kind of head: as asked, else the first that suits the model."""
    if spec.head is not None and spec.head not in task.learners:
        raise UserError(
            f"--head {spec.head} for {task.name}", f"one of {', '.join(task.learners)}", "choose one"
        )
    base = spec.base or task.default_base
    source, found = find(base, not spec.random_init, allowed(spec))
    able = [plugins.load("learner", name) for name in ([spec.head] if spec.head else task.learners)]
    learner: Learner = next((one for one in able if one.suits(found)), able[0])
    if found.head_of is not None:
        learner = begun.learner(spec, task, found.head_of)
    if not found.trains:
        _check_frozen(spec, found, learner)
    sized = ("image_size", "max_length", "target_length", "tiles")
    sizes = {name: getattr(spec, name) for name in sized}
    seed = spec.seed if spec.random_init else None
    fit_for = [name for name in learner.modalities if plugins.load("modality", name).takes == task.takes]
    model = as_taken((source, found), fit_for[0], sizes, seed, spec.precision)
    log.info("%s, licence %s", model.pretrained.base, model.pretrained.licence)
    for what in model.pretrained.adapted:
        log.info("%s", what)
    return model, learner


def _check_frozen(spec: FitSpec, found: Pretrained, learner: Learner) -> None:
    """Raise UserError where a model that never trains is asked for more than its features."""
    if spec.strategy != "head":
        raise UserError(
            f"--strategy {spec.strategy} of {found.base}, which gives features and never trains",
            "--strategy head",
            "leave --strategy out, or choose another --base",
        )
    if not learner.suits(found):
        raise UserError(
            f"--head {learner.name} above {found.base}, which gives features alone",
            "a model that is built in torch, which this kind of head looks into",
            "choose another --base, or another --head",
        )


def _roles(task: Task, data: Dataset, features: Features) -> dict[str, Array]:
    """Return the places of the usable examples by role. Raises UserError where a role or class lost all."""
    role_of = {example.key: role for role in ("train", "val", "test") for example in getattr(data, role)}
    names = np.array([role_of[example.key] for example in features.examples])
    roles = {role: np.flatnonzero(names == role) for role in ("train", "val", "test")}
    left = {example.label for example, name in zip(features.examples, names, strict=True) if name == "train"}
    lost = [name for name in in_order(example.label for example in data.train) if name and name not in left]
    empty = [name for name, role in (("train", "train"), (data.reported, "test")) if not len(roles[role])]
    if lost or empty:
        what = f"class {lost[0]!r}" if lost else f"the {empty[0]} split"
        first = (
            f"{features.dropped[0].file}: {features.dropped[0].reason}" if features.dropped else "none given"
        )
        raise UserError(
            f"no {task.row} of {what} could be read ({len(features.dropped)} refused, the first {first})",
            "at least one usable example of each class and split",
            "mend or remove those files",
        )
    return roles


def _folds(spec: FitSpec, roles: dict[str, Array], examples: Sequence[Example]) -> list[Fold]:
    """Return what selection fits on and validates on: val where there is one, else folds of train."""
    train = roles["train"]
    if len(roles["val"]):
        return [(train, roles["val"])]
    carved = folds_of([examples[index] for index in train], spec.seed)
    # A single hold-out of that many examples is as telling as five small ones, at a fifth of the cost.
    used = carved if len(train) <= _CROSS_VALIDATION_EXAMPLES else carved[:1]
    return [(train[fit], train[validate]) for fit, validate in used]


def _training(
    spec: FitSpec,
    data: Dataset,
    model: FrozenModel,
    features: Features,
    roles: dict[str, Array],
    checkpoints: Path,
) -> Training:
    return Training(
        spec=spec,
        reading=features.reading,
        frozen=model,
        rows=features,
        classes=data.classes,
        indices_n=roles["train"],
        folds=_folds(spec, roles, features.examples),
        checkpoints=checkpoints,
    )


def _train(task: Task, learner: Learner, data: Dataset, training: Training) -> tuple[Trained, Model]:
    model = cast(FrozenModel, training.frozen)
    sets = model.modality.layer_sets(training.rows.columns)
    trained = train(training, learner, sets)
    learnt_by_name = {one.name: train_baseline(training, one) for one in task.baselines}
    return trained, Model(
        task=task,
        kind=data.kind,
        learner=learner.name,
        classes=data.classes,
        frozen=model.trained(trained.moved),
        head=trained.head,
        baselines={name: learnt for name, learnt in learnt_by_name.items() if learnt is not None},
    )


def _evaluate(
    staging: Path, data: Dataset, model: Model, features: Features, roles: dict[str, Array]
) -> tuple[Evaluation, Tallies]:
    """Write the model, and what its one look at the split that is reported on showed."""
    save_model(staging / "model", model)
    write_json(staging / "split.json", split_record(features, roles))
    looks = count_look(staging, data.reported, data_digest(features, roles["test"]))
    look = Look(split=data.reported, count=looks)
    evaluation, tallies = evaluate(model.task, model, features, roles["test"], look)
    tallies.save(staging)
    return evaluation, tallies


def _generalises(
    used: tuple[Training, Learner, Trained], model: Model, features: Features, tallies: Tallies
) -> list[Table]:
    """Return how the model does on what it trained on, and how that grew with the examples."""
    training, learner, trained = used
    seen = generalisation.gap(model.task, model.head, features, training.folds[0][0], tallies)
    sets = model.frozen.modality.layer_sets(features.columns)
    grown = generalisation.curve(model.task, learner, training, trained, sets)
    return [seen] if grown is None else [seen, grown]


def _record(
    spec: FitSpec,
    run: Path,
    used: tuple[Dataset, Features, dict[str, Array]],
    trained: Trained,
    model: Model,
    evaluation: Evaluation,
    stages: Stages,
) -> Fitted:
    data, features, roles = used
    pretrained = model.frozen.pretrained
    return Fitted(
        run=str(run),
        task=model.task.name,
        base=pretrained.base,
        strategy=trained.objective.get("strategy", spec.strategy),
        classes=data.classes,
        split={
            "made": data.made,
            "reported": data.reported,
            "layout": data.layout,
            "unit": model.task.unit,
            "languages": data.languages,
            **{role: len(indices) for role, indices in roles.items()},
        },
        objective=trained.objective,
        engine=engine_record(features, model.task.row),
        metrics=evaluation.metrics,
        baselines=evaluation.baselines,
        dropped=(*data.dropped, *features.dropped),
        notes=(*data.notes, *repeats(features, roles), *evaluation.notes),
        looks=evaluation.looks,
        seconds=stages.seconds(),
        versions=versions(),
        model={
            "architecture": pretrained.architecture,
            "licence": pretrained.licence,
            "revision": pretrained.revision,
            "weights_sha256": pretrained.weights_digest,
            "preprocess": to_json(pretrained.preprocess),
            "adapted": list(pretrained.adapted),
            "lineage": list(pretrained.lineage),
            "random_init": spec.random_init,
            "parameters_trained": model.head.parameters(),
        },
        spec=to_json(spec),
        command=shlex.join(command("fit", spec)),
        data_digest=data_digest(features, np.arange(len(features.examples))),
    )
