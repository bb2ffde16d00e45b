"""Does what was learnt hold elsewhere, and would more data help: training against held-out, learning curve.

Neither looks at the split that is reported on more than the report does: the curve is drawn on what the
first fold holds out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy import sparse

from headstart.contracts import Array, Column, Head, Learner, Rows, Task, Trained, Training
from headstart.core.records import Metric, Table
from headstart.core.tallies import Measures, Statistics, Tallies, unit_numbers
from headstart.evaluation.figures import with_interval
from headstart.maths.comparison import compared
from headstart.maths.intervals import by_unit, scored
from headstart.maths.slices import sliced

_MOST_TRAINED, _MOST_HELD, _MOST_CELLS = 200, 2_000, 50_000_000
_PIECE = 64
_SHARES, _REPEATS, _FEWEST = (8, 4, 2), 3, 8


def gap(task: Task, head: Head, rows: Rows, train_n: Array, tallies: Tallies) -> Table:
    """Return the leading metric on examples that the head trained on beside that on ``tallies``' examples."""
    classes, measures = tallies.classes, task.measures(tallies.classes)
    name = next(iter(measures.values))
    some = train_n[:: -(-len(train_n) // _MOST_TRAINED)]
    trained_nM, units_n = statistics(task, head, rows, some, classes)
    rows_2 = [sparse.csr_array(one) for one in (trained_nM, tallies.statistics_NM)]
    both = sparse.vstack(rows_2, format="csr")
    units_N = np.concatenate([units_n, tallies.units_N + units_n.max() + 1])
    inside_N1 = (np.arange(len(units_N)) < len(some))[:, None]
    [seen] = sliced(both, measures, name, inside_N1, units_N)
    held = scored(tallies.statistics_NM, measures, tallies.units_N)[name]
    away = seen.above_rest
    spread = "how far it may be off cannot be computed" if away.low is None else _between(away, "+.3f")
    note = (
        f"On {len(some)} {task.unit} that it trained on the model is {away.value:+.3f} from what it is on "
        f"held-out ones ({spread}). A gap is usual, and no fault while the held-out figure is good; a wide "
        "one means that the model remembers examples, and that more of them, or a stronger penalty, may help."
    )
    rows_ = (
        ("trained on", f"{len(some):,}", with_interval(seen.metric)),
        ("held out", f"{held.n:,}", with_interval(held)),
    )
    return Table(
        title="Training against held-out", note=note, header=(task.unit, "how many", name), rows=rows_
    )


def curve(
    task: Task, learner: Learner, training: Training, trained: Trained, sets: Mapping[str, Sequence[Column]]
) -> Table | None:
    """Return the leading metric against the number of examples trained on; None where that costs too much.

    Heads of an eighth, a quarter, a half and all of what the first fold fits on, with the layers and the
    penalty that were chosen, are solved anew from the features that are there, the smaller ones three times
    on other examples, and scored on what the fold holds out.
    """
    objective, (fit, held) = trained.objective, training.folds[0]
    solved = learner.quick and "epochs" not in objective and not trained.moved
    if not solved or len(fit) * objective["features"] > _MOST_CELLS or len(fit) < _FEWEST * len(_SHARES):
        return None
    spec = replace(training.spec, layers=objective["layers"], l2=objective["lambda"])
    held = held[:: -(-len(held) // _MOST_HELD)]
    random = np.random.default_rng(spec.seed)
    points: list[tuple[int, Statistics]] = []
    for share in (*_SHARES, 1):
        size = len(fit) // share
        if size < max(_FEWEST, len(training.classes)):
            continue
        repeats = []
        for _ in range(1 if share == 1 else _REPEATS):
            some = np.sort(random.choice(fit, size, replace=False))
            part = replace(training, spec=spec, indices_n=some, folds=[(some, held)])
            head = learner.train(part, sets).head
            repeats.append(statistics(task, head, training.rows, held, training.classes)[0])
        points.append((size, sum(repeats[1:], start=repeats[0]) / len(repeats)))
    if len(points) < 2:
        return None
    units_n = unit_numbers([training.rows.examples[index].group for index in held])
    return _curve_table(task, task.measures(training.classes), points, units_n)


def _curve_table(
    task: Task, measures: Measures, points: Sequence[tuple[int, Statistics]], units_n: Array
) -> Table:
    name = next(iter(measures.values))
    (fewer, half), (most, whole) = points[-2:]
    last = compared([by_unit(one, units_n) for one in (whole, half)], measures, len(units_n))[0, 1][name]
    gained = last.difference
    spread = "no interval can be computed" if gained.low is None else _between(gained, "+.3f")
    better = gained.value < 0 if name in measures.lower else gained.value > 0
    text = f"From {fewer:,} to {most:,} {task.unit} to train on, {name} went {gained.value:+.3f} ({spread}): "
    if better and last.p <= 0.05:
        text += "more data would probably help further."
    elif gained.low is not None and max(abs(gained.low), abs(gained.high or 0.0)) < 0.01:
        text += "more data of this kind would hardly help."
    else:
        text += f"{len(units_n):,} held-out {task.unit} cannot tell whether more data would help."
    rows = [(f"{size:,}", with_interval(scored(found, measures, units_n)[name])) for size, found in points]
    note = f"{text} Each but the last is the mean of {_REPEATS} heads; all are scored on the same examples."
    return Table(
        title="Learning curve", note=note, header=(f"{task.unit} trained on", name), rows=tuple(rows)
    )


def statistics(
    task: Task, head: Head, rows: Rows, indices_n: Array, classes: Sequence[str]
) -> tuple[Statistics, Array]:
    """Return what some examples add to the metrics, and which of them are drawn as one."""
    examples = [rows.examples[int(index)] for index in indices_n]
    parts = []
    for start in range(0, len(indices_n), _PIECE):  # an example may be many large rows
        some = indices_n[start : start + _PIECE]
        said = head.outputs(rows.read(rows.places(some), head.columns), rows.units(some))
        parts.append(task.compare(said, examples[start : start + _PIECE], classes))
    compared_nM = np.concatenate(parts)
    return task.statistics(compared_nM, classes), unit_numbers([one.group for one in examples])


def _between(metric: Metric, how: str) -> str:
    return f"95% interval {metric.low:{how}} to {metric.high:{how}}"
