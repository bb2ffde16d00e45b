"""The head of a finished run as what another training begins with: continued fine-tuning."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from headstart.contracts import Allowed, Head, Learner, Pretrained, Task, Training
from headstart.core import plugins
from headstart.core.errors import UserError
from headstart.core.run import read_run
from headstart.data.split import Dataset
from headstart.model.saved import learner_of, load_model
from headstart.specs import FitSpec, flag

_THE_HEADS = ("layers", "head_hidden", "decoder")


def learner(spec: FitSpec, task: Task, run: Path) -> Learner:
    """Return the kind of head that a run has. Raises UserError where the user or the task wants another."""
    name, base = learner_of(run), spec.base
    if name not in task.learners or spec.head not in (None, name):
        raise UserError(
            f"{base} is a head of {name}",
            f"--head {spec.head}" if spec.head else f"a head for {task.name} ({', '.join(task.learners)})",
            "name a run of the same kind, or leave the head out of --base",
        )
    given = [flag(one) for one in _THE_HEADS if getattr(spec, one) not in (None, "auto")]
    if given:
        raise UserError(f"{given[0]} with {base}", "what that head has been made with", "leave it out")
    found: Learner = plugins.load("learner", name)
    return found


def head(pretrained: Pretrained, allowed: Allowed, task: Task, data: Dataset) -> Head | None:
    """Return the head that training is to begin with, None for a new one.

    Raises UserError where it is for another task, other classes or other languages than the data's.
    """
    run = pretrained.head_of
    if run is None:
        return None
    model = load_model(run, allowed)
    if model.task is not task:
        raise UserError(
            f"the head of {run} is for {_named_task(model.task.name, model.kind)}",
            _named_task(task.name, data.kind),
            "leave the head out of --base",
        )
    if model.classes != data.classes:
        raise UserError(
            f"the head of {run} and the data differ in their classes: {_apart(model.classes, data.classes)}",
            f"the same {len(model.classes)} classes",
            "leave the head out of --base: a new one is put on the run's model",
        )
    spoken = tuple(read_run(run)["split"].get("languages") or ())
    if any(spoken) and any(data.languages) and spoken != tuple(data.languages):
        raise UserError(
            f"the head of {run} is from {' to '.join(spoken)}",
            f"the languages of the data, {' to '.join(data.languages)}",
            "leave the head out of --base",
        )
    return model.head


def going_on(training: Training, begun: Head | None) -> Training:
    """Return a training that goes on from a head. Raises UserError where it reads other features."""
    if begun is not None and not {*begun.columns} <= {*training.rows.columns}:
        raise UserError(
            f"the head of {training.frozen.pretrained.head_of} reads other features than there are",
            "pictures or texts of the size that it was trained at",
            "leave --image-size and the like out, or the head out of --base",
        )
    return replace(training, begun=begun)


def _named_task(name: str, kind: str) -> str:
    return f"{name} of {kind}" if kind else name


def _apart(known: Sequence[str], given: Sequence[str]) -> str:
    """Say in which classes a head and the data differ."""
    new, lost = sorted({*given} - {*known}), sorted({*known} - {*given})
    told = [f"it does not know {_named(new)}"] if new else []
    told += [f"the data have no {_named(lost)}"] if lost else []
    return " and ".join(told) or "in their order"


def _named(classes: Sequence[str]) -> str:
    """Return some names, and how many more there are."""
    return ", ".join(map(repr, classes[:3])) + (f" and {len(classes) - 3} more" if len(classes) > 3 else "")
