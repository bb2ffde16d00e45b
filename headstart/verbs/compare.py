"""``compare``: several runs on the same examples, the best first, and how certain that is."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from headstart.contracts import Array, Task
from headstart.core import plugins
from headstart.core.errors import UserError
from headstart.core.plugins import nearest
from headstart.core.records import Comparison, Difference, Note, Standing
from headstart.core.run import read_run
from headstart.core.tallies import Measures, Tallies, load_tallies
from headstart.maths.comparison import Pair, Paired, compared
from headstart.maths.intervals import by_unit, scored
from headstart.ship.leaderboard import write_page
from headstart.specs import CompareSpec, EvaluateSpec
from headstart.verbs.evaluate import look

CERTAIN = 0.05
"""The p-value, corrected for all pairs, from which down one run is said to be better than another."""

log = logging.getLogger(__name__)


def compare(spec: CompareSpec) -> Comparison:
    """Compare runs on the examples that all of them were scored on; write the page.

    Raises UserError for fewer than two runs, runs of different tasks or classes, runs that share no
    example, and an unknown metric.
    """
    runs = _checked(spec)
    tallies = [_tallies(spec, run) for run in runs]
    task, measures = _common(runs, tallies)
    metric = spec.metric or next(iter(measures.values))
    if metric not in measures.values:
        known = tuple(measures.values)
        raise UserError(f"--metric {metric}", f"one of {', '.join(known)}", nearest(metric, known))
    shared, notes = _shared(runs, tallies, task.unit)
    units_N = np.unique(shared[0].units_N, return_inverse=True)[1]
    standings = [
        _standing(run, one, alone, measures) for run, one, alone in zip(runs, shared, tallies, strict=True)
    ]
    sign = 1 if metric in measures.lower else -1
    order = sorted(range(len(runs)), key=lambda place: sign * standings[place].metrics[metric].value)
    summed = [by_unit(shared[place].statistics_NM, units_N) for place in order]
    names = [str(runs[place]) for place in order]
    found = compared(summed, measures, len(units_N))
    result = Comparison(
        metric=metric,
        examples=len(units_N),
        units=summed[0].shape[0],
        runs=tuple(standings[place] for place in order),
        differences=_differences(names, found, measures),
        notes=notes,
        page=spec.out or str(runs[0].parent / "comparison.html"),
    )
    write_page(result, task.unit)
    return result


def _checked(spec: CompareSpec) -> list[Path]:
    runs = [Path(run) for run in spec.runs]
    twice = [run for run, count in Counter(run.resolve() for run in runs).items() if count > 1]
    if len(runs) < 2 or twice:
        what = f"{twice[0]} is named twice" if twice else f"a single run, {runs[0]}"
        raise UserError(what, "two or more different runs", "name the runs to compare")
    if spec.split is not None and spec.data is None:
        raise UserError("--split without --data", "data to split", "give --data too, or leave --split out")
    return runs


def _tallies(spec: CompareSpec, run: Path) -> Tallies:
    """Return what each example added: as the run keeps it, or by a look at the data now."""
    read_run(run)
    if spec.data is None:
        return load_tallies(run)
    log.info("scoring %s on %s", run, spec.data)
    return look(
        EvaluateSpec(run=str(run), data=spec.data, split=spec.split, trust=spec.trust, offline=spec.offline)
    )[1]


def _common(runs: Sequence[Path], tallies: Sequence[Tallies]) -> tuple[Task, Measures]:
    """Return the task of all runs and its measures. Raises UserError where they differ."""
    first = tallies[0]
    for run, one in zip(runs, tallies, strict=True):
        if (one.task, one.kind) != (first.task, first.kind):
            raise UserError(
                f"{runs[0]} is of {first.task}, {run} of {one.task}",
                "runs of one task",
                "compare those alike",
            )
        if one.classes != first.classes:
            differ = sorted(set(one.classes) ^ set(first.classes)) or ["their order"]
            raise UserError(
                f"{runs[0]} and {run} know different classes ({', '.join(differ[:3])})",
                "runs that choose among the same classes",
                "fit both on data with the same classes",
            )
    named: Task = plugins.load("task", first.task)
    task = named.of_kind(first.kind)
    return task, task.measures(first.classes)


def _shared(
    runs: Sequence[Path], tallies: Sequence[Tallies], unit: str
) -> tuple[list[Tallies], tuple[Note, ...]]:
    """Return the runs' tallies of the examples that all share, in one order, and what is left out."""
    names = [_named(one) for one in tallies]
    places = [{name: place for place, name in enumerate(one)} for one in names]
    common = [name for name in names[0] if all(name in others for others in places[1:])]
    if not common:
        raise UserError(
            f"{runs[0]} and {runs[1]} were scored on no {unit} in common",
            "runs that were tested on the same examples",
            "score them now on the same held-out data: --data DATA",
        )
    notes = []
    for run, one in zip(runs, tallies, strict=True):
        left = len(one) - len(common)
        if left:
            notes.append(Note(what=f"{unit} of {run} left out: not every run was scored on them", count=left))
    inputs = [{name[0] for name in one} for one in names]
    told_apart = len(set.intersection(*inputs)) - len({name[0] for name in common})
    if told_apart:
        notes.append(Note(what=f"{unit} left out: the runs were told different truths", count=told_apart))
    return [
        one.of(np.array([found[name] for name in common])) for one, found in zip(tallies, places, strict=True)
    ], tuple(notes)


def _named(one: Tallies) -> list[tuple[bytes, bytes, int]]:
    """Name each example by its content, its truth, and how many like it came before."""
    counted: Counter[tuple[bytes, bytes]] = Counter()
    found = []
    for content, truth in zip(one.inputs, one.truths, strict=True):
        name = content.tobytes(), truth.tobytes()
        found.append((*name, counted[name]))
        counted[name] += 1
    return found


def _standing(run: Path, shared: Tallies, alone: Tallies, measures: Measures) -> Standing:
    record = read_run(run)
    units_N: Array = np.unique(shared.units_N, return_inverse=True)[1]
    return Standing(
        run=str(run),
        task=record["task"],
        base=record["base"],
        strategy=record["strategy"],
        metrics=scored(shared.statistics_NM, measures, units_N),
        examples=len(alone),
    )


def _differences(
    names: Sequence[str], found: dict[Pair, dict[str, Paired]], measures: Measures
) -> tuple[Difference, ...]:
    told = []
    for (first, second), by_metric in found.items():
        for metric, one in by_metric.items():
            ahead = (one.difference.value > 0) != (metric in measures.lower)
            better = names[first if ahead else second] if one.p_holm <= CERTAIN else None
            told.append(
                Difference(
                    first=names[first],
                    second=names[second],
                    metric=metric,
                    difference=one.difference,
                    p=one.p,
                    p_holm=one.p_holm,
                    better=better,
                )
            )
    return tuple(told)
