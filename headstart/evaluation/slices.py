"""Where a model is worse than elsewhere: by class, length, size, language and group, named with evidence."""

from collections.abc import Mapping, Sequence

import numpy as np

from headstart.contracts import Array, Example, Task, Trait
from headstart.core.errors import BadExample
from headstart.core.records import Table
from headstart.core.tallies import Tallies
from headstart.evaluation.figures import with_interval
from headstart.maths.slices import Slice, sliced

FEWEST = 20
"""A slice of fewer examples is not shown: its interval would be as wide as the axis."""

_CERTAIN = 0.05
_BUCKETS = 4
_MOST_VALUES = 200
_SHOWN = 24
Named = tuple[str, Array]
"""What a slice is called, and which examples are in it, bool [N]."""


def section(task: Task, tallies: Tallies, examples: Sequence[Example]) -> Table:
    """Return the slices by the task's leading metric, the worst first; those are named in the note."""
    measures = task.measures(tallies.classes)
    name = next(iter(measures.values))
    slices, small = _slices([_traits(task, example) for example in examples])
    header = ("slice", task.unit, name, "above all others by", "p (Holm)")
    if not slices:
        note = (
            f"No part of the {task.unit} holds {FEWEST} or more and leaves as many: no slice tells anything."
        )
        return Table(title="Slices", note=note, header=header, rows=())
    members_NS = np.stack([members for _, members in slices], axis=1)
    found = sliced(tallies.statistics_NM, measures, name, members_NS, tallies.units_N)
    sign = -1 if name in measures.lower else 1
    order = sorted(range(len(slices)), key=lambda place: sign * found[place].above_rest.value)
    worst = [
        (slices[place][0], found[place])
        for place in order
        if found[place].p_holm <= _CERTAIN and sign * found[place].above_rest.value < 0
    ]
    rows = tuple(_row(slices[place][0], found[place]) for place in order[:_SHOWN])
    return Table(
        title="Slices", note=_verdict(worst, len(slices), small, task.unit), header=header, rows=rows
    )


def _traits(task: Task, example: Example) -> Mapping[str, Trait]:
    """Return what slices an example belongs to; fewer where its content has gone since."""
    general: dict[str, Trait] = {"language": example.language, "group": example.group or ""}
    try:
        own = task.traits(example)
    except BadExample:
        own = {}
    return {**own, **{name: value for name, value in general.items() if value}}


def _slices(traits: Sequence[Mapping[str, Trait]]) -> tuple[list[Named], int]:
    """Return the slices that are large enough and leave enough, and how many are too small."""
    found: list[Named] = []
    for name in dict.fromkeys(name for one in traits for name in one):
        values = [one.get(name) for one in traits]
        if all(isinstance(value, int | float) for value in values if value is not None):
            found += _buckets(name, np.array(values, dtype=np.float64))  # None becomes nan
            continue
        kinds = sorted({str(value) for value in values if value is not None})
        if len(kinds) <= _MOST_VALUES:
            found += [(f"{name}: {kind}", np.array([value == kind for value in values])) for kind in kinds]
    large = [one for one in found if FEWEST <= one[1].sum() <= len(traits) - FEWEST]
    return large, len(found) - len(large)


def _buckets(name: str, values_N: Array) -> list[Named]:
    """Cut numbers at their quartiles, or in fewer parts where those hold too few; equals stay together."""
    known_N = np.isfinite(values_N)
    count = int(np.clip(known_N.sum() // (FEWEST + FEWEST // 4), 2, _BUCKETS))
    edges = np.unique(np.quantile(values_N[known_N], np.linspace(0, 1, count + 1)[1:-1], method="lower"))
    place_N = np.searchsorted(edges, values_N, side="left")
    found = []
    for place in np.unique(place_N[known_N]):
        inside_N = known_N & (place_N == place)
        low, high = values_N[inside_N].min(), values_N[inside_N].max()
        words = f"{low:,g}" if low == high else f"{low:,g} to {high:,g}"
        found.append((f"{name}: {words}", inside_N))
    return found if len(found) > 1 else []


def _row(name: str, one: Slice) -> tuple[str, ...]:
    figures = with_interval(one.metric), with_interval(one.above_rest, "+.3f")
    return name, f"{one.metric.n:,}", *figures, f"{one.p_holm:.3f}"


def _counted(count: int) -> str:
    return "1 slice" if count == 1 else f"{count:,} slices"


def _verdict(worst: Sequence[tuple[str, Slice]], count: int, small: int, unit: str) -> str:
    """Say which slices are worse than the rest, or that none is for certain."""
    if worst:
        named = "; ".join(
            f"{name} ({one.metric.value:.3f}, elsewhere {one.metric.value - one.above_rest.value:.3f})"
            for name, one in worst
        )
        text = f"Worse than elsewhere, beyond what chance explains in {_counted(count)}: {named}."
    else:
        text = f"No slice of {count} is worse than elsewhere beyond what chance explains."
    if small:
        text += f" {small} more hold too few {unit} ({FEWEST} are needed inside and outside)."
    return text
