"""One pretrained model looked at on the data: its features, what estimators make of them, and its costs."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from headstart.contracts import Estimator, Example, Learner, Reading, Task, Training
from headstart.core import plugins
from headstart.core.errors import UserError
from headstart.core.records import Dropped, Looked
from headstart.core.store import Store
from headstart.data.prompts import prompted
from headstart.data.split import Dataset, folds_of
from headstart.fitting.evidence import best_head, held_out
from headstart.fitting.probe import Tried
from headstart.maths.forecast import ANCHOR
from headstart.model.fastest import Choice, remembered_rate
from headstart.model.features import Features, extract, stream
from headstart.model.graph import file as graph_file
from headstart.model.trunk import FrozenModel
from headstart.specs import ChooseSpec, FitSpec
from headstart.verbs.common import say_engine
from headstart.verbs.fit import find_for

_TIMED = 8

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A model that the task can be learnt with, and what is known of it before training.

    ``head`` are the layers and lambda of the first look, ``seconds`` what it took to know all this; the other
    fields are as in ``Ranked``.
    """

    spec: FitSpec
    model: FrozenModel
    learner: Learner
    reading: Reading
    parameters: int
    mib: float
    milliseconds: float | None = None
    looks: tuple[Looked, ...] = ()
    head: Tried | None = None
    measure: str = ""
    weak: str = ""
    dropped: tuple[Dropped, ...] = ()
    seconds: float = 0.0

    @property
    def base(self) -> str:
        """The model's name, as it was asked for."""
        return self.spec.base or ""


def admitted(
    spec: ChooseSpec, asked: FitSpec, task: Task, data: Dataset, examples: Sequence[Example]
) -> Candidate:
    """Return a model that has not been looked at yet.

    Raises UserError where the model can't take the task, or a filter leaves it out.
    """
    started = time.perf_counter()
    model, learner = find_for(asked, task)
    if model.pretrained.head_of is not None:
        raise UserError(
            f"{asked.base}, with a head", "models alone, each with a new head", "leave the head out"
        )
    model = replace(model, pretrained=prompted(model.pretrained, task.name, None, data.languages))
    _check_licence(spec, model.pretrained.licence)
    parameters, mib = _sizes(model)
    _check(mib, spec.max_size, "MiB of weights", "--max-size")
    reading = Reading(task, learner.whole, model.pretrained)
    if spec.max_latency is not None:
        _check(
            _milliseconds(reading, model, examples), spec.max_latency, "ms an example here", "--max-latency"
        )
    return Candidate(
        spec=asked,
        model=model,
        learner=learner,
        reading=reading,
        parameters=parameters,
        mib=mib,
        seconds=time.perf_counter() - started,
    )


def look(one: Candidate, data: Dataset, examples: Sequence[Example]) -> Candidate:
    """Compute the model's features of some examples, and every estimate from them: one more of its looks.

    Raises UserError where nothing can be held out; MachineError where the weights do not fit.
    """
    started = time.perf_counter()
    features = extract(one.reading, examples, one.model, Store.default(), None, say_engine)
    with features.table:
        found = one.learner.evidence(
            _training(one.spec, features, one.model, data), one.model.modality.layer_sets(features.columns)
        )
    head = one.head or best_head(found)
    found = replace(found, held_out=held_out(found, head))  # once: several estimators read it
    estimates: dict[str, float | None] = {}
    for name in plugins.names("estimator"):
        estimator: Estimator = plugins.load("estimator", name)
        estimates[name] = estimator.estimate(found)
    if estimates[ANCHOR] is None:
        raise UserError(
            f"nothing to hold out of {len(examples)} {one.reading.task.unit} for {one.base}",
            "more examples",
            "add some",
        )
    seconds = time.perf_counter() - started
    log.info("%s: %s %.3f of %d, %.1f s", one.base, found.measure, estimates[ANCHOR], len(examples), seconds)
    return replace(
        one,
        looks=(*one.looks, Looked(examples=len(examples), estimates=estimates)),
        head=head,
        measure=found.measure,
        weak=found.weak,
        milliseconds=_milliseconds(one.reading, one.model, examples),
        dropped=tuple(features.dropped),
        seconds=round(one.seconds + seconds, 3),
    )


def _training(asked: FitSpec, features: Features, model: FrozenModel, data: Dataset) -> Training:
    return Training(
        spec=asked,
        reading=features.reading,
        frozen=model,
        rows=features,
        classes=data.classes,
        indices_n=np.arange(len(features.examples)),
        folds=folds_of(features.examples, asked.seed),
        checkpoints=Path(),  # nothing is trained that could be resumed
    )


def _sizes(model: FrozenModel) -> tuple[int, float]:
    """Return how many weights there are, and their MiB; a graph's are mostly of four bytes each."""
    if not model.pretrained.trains:
        mib = graph_file.mib(model.pretrained)
        return int(mib * 2**18), round(mib, 2)
    weights = [array for array in model.state.values() if np.issubdtype(array.dtype, np.floating)]
    return sum(one.size for one in weights), round(sum(one.nbytes for one in weights) / 2**20, 2)


def _milliseconds(reading: Reading, model: FrozenModel, examples: Sequence[Example]) -> float | None:
    """Return what an example takes with the fastest engine here: as noted, else as measured on a few now."""
    rate = remembered_rate(model.trunk())
    choices: list[Choice] = []
    if rate is None:
        for _ in stream(reading, examples[:_TIMED], model, None, choices.append):
            pass
        rate = choices[0].examples_per_s[choices[0].name] if choices else None
    return None if not rate else round(1000 / rate, 3)


def _check_licence(spec: ChooseSpec, licence: str) -> None:
    wanted = [one.strip().lower() for one in (spec.licence or "").split(",") if one.strip()]
    if wanted and licence.lower() not in wanted:
        raise UserError(f"its licence is {licence}", f"one of {', '.join(wanted)}", "see --licence")


def _check(found: float | None, most: float | None, what: str, flag: str) -> None:
    if most is not None and found is not None and found > most:
        raise UserError(f"{found:,.1f} {what}", f"at most {most:g}", f"see {flag}")
