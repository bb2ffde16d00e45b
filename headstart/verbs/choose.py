"""``choose``: pretrained models ranked on the user's own data before any training.

Every model's features of some examples are computed once, into the store that ``fit`` reads; estimators turn
them into figures, and ``maths.forecast`` those figures into one forecast with an interval. Those that
lead are looked at again on more examples (``verbs.race``).
"""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from headstart.contracts import Source, Task
from headstart.core import plugins
from headstart.core.errors import HeadstartError, MachineError, UserError
from headstart.core.records import Chosen, LeftOut, Metric, Ranked
from headstart.core.store import Store
from headstart.data.sample import sample
from headstart.fitting.recipe import parse_seconds
from headstart.maths.forecast import Forecast, pareto
from headstart.model.features import extract
from headstart.ship.choice import write_page
from headstart.specs import ChooseSpec
from headstart.verbs.candidates import Candidate, admitted, look
from headstart.verbs.common import guess_task
from headstart.verbs.confirm import confirm
from headstart.verbs.fit import read
from headstart.verbs.race import expected, prior, race

log = logging.getLogger(__name__)


def choose(spec: ChooseSpec) -> Chosen:
    """Rank the models that can take the task; what cannot be compared is listed with the reason.

    Raises UserError where the data is not usable, and where no model is left; MachineError where the machine
    refuses for all of them.
    """
    started = time.perf_counter()
    budget_s = math.inf if spec.budget is None else parse_seconds(spec.budget)
    bases = _bases(spec)
    asked = {base: spec.fit(base) for base in bases}
    named: Task = plugins.load("task", spec.task or guess_task(Path(spec.data)))
    data = read(asked[bases[0]], named)
    task = named.of_kind(data.kind)
    draw = partial(sample, (*data.train, *data.val), seed=spec.seed)
    examples = draw(spec.examples)
    found, refused = dict[str, Candidate](), dict[str, HeadstartError]()
    for base, one in asked.items():
        try:
            found[base] = look(admitted(spec, one, task, data, examples), data, examples)
        except (UserError, MachineError) as error:
            refused[base] = error
            log.info("%s left out: %s", base, error)
    since = time.perf_counter()
    refused |= race(found, data, draw, budget_s / 2 if spec.confirm else budget_s)
    left_out = [LeftOut(base=base, reason=str(error).removesuffix(".")) for base, error in refused.items()]
    if not found:
        raise _none_left(task, left_out, list(refused.values()))
    first = expected(list(found.values()), len(data.train))
    left_s = budget_s - (time.perf_counter() - since)
    settled_by, settled = confirm(left_s, [one for one, _ in first[: spec.confirm]], data)
    ranking = _ranked(first, settled)
    best = found[ranking[0].base]
    if len(data.train) + len(data.val) + len(data.test) <= spec.examples:
        # So few that all of them were meant: fit finds those of the chosen model, the test split's too.
        with extract(best.reading, (*data.train, *data.val, *data.test), best.model, Store.default()).table:
            pass
    chosen = Chosen(
        task=task.name,
        chosen=ranking[0].base,
        ranking=ranking,
        left_out=tuple(left_out),
        measure=best.measure,
        confirmed_by=settled_by,
        weak=best.weak,
        examples=len(examples),
        dropped=(*data.dropped, *best.dropped),
        notes=data.notes,
        seconds=round(time.perf_counter() - started, 3),
        page=spec.out,
    )
    if spec.out is not None:
        write_page(Path(spec.out), chosen, Path(spec.data).name)
    Store.default().enforce_cap()
    return chosen


def _bases(spec: ChooseSpec) -> list[str]:
    """Return the models to compare, each once: those named, else all that sources have here."""
    if spec.bases is not None:
        named = list(dict.fromkeys(one.strip() for one in spec.bases.split(",") if one.strip()))
        if not named:
            raise UserError(
                "--bases without a model", "SOURCE:NAME,SOURCE:NAME", "name some, or leave it out"
            )
        return named
    found = []
    for name in plugins.names("source"):
        source: Source = plugins.load("source", name)
        found += [f"{name}:{one}" for one in source.present()]
    if not found:
        raise UserError(
            "no pretrained model is installed or cached here",
            "one at least",
            "run: pip install 'headstart[packs]'",
        )
    return found


def _none_left(task: Task, left_out: Sequence[LeftOut], refusals: Sequence[HeadstartError]) -> HeadstartError:
    """Return what to say where no model could be compared."""
    reasons = "; ".join(f"{one.base}: {one.reason}" for one in left_out[:3])
    if all(isinstance(one, MachineError) for one in refusals):
        return MachineError(f"no model could be compared: {reasons}.")
    return UserError(
        f"none of {len(left_out)} models suits {task.name} here ({reasons})",
        "one that does",
        "name others with --bases, or widen the limits",
    )


def _ranked(first: Sequence[tuple[Candidate, Forecast]], settled: Mapping[str, Metric]) -> tuple[Ranked, ...]:
    """Return the models, those that were trained first, by what they reached; then by forecast."""
    scores = prior([one.base for one, _ in first])
    front = pareto([forecast.value for _, forecast in first], [one.milliseconds for one, _ in first])
    ranked = [
        Ranked(
            base=one.base,
            score=round(forecast.value, 4),
            low=round(forecast.low, 4),
            high=round(forecast.high, 4),
            looks=one.looks,
            source_score=score,
            confirmed=settled.get(one.base),
            milliseconds=one.milliseconds,
            parameters=one.parameters,
            mib=one.mib,
            licence=one.model.pretrained.licence,
            input_size=one.model.pretrained.preprocess.input_size,
            front=on_front,
            seconds=one.seconds,
        )
        for (one, forecast), score, on_front in zip(first, scores, front, strict=True)
    ]
    return tuple(sorted(ranked, key=lambda one: (one.confirmed is None, _settled(one), -one.score)))


def _settled(one: Ranked) -> float:
    return 0.0 if one.confirmed is None else -one.confirmed.value
