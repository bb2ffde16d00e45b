"""Where things lie in the report's charts. Lengths are percentages of the chart, so text keeps its size."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headstart.maths.intervals import exact_interval

Json = Mapping[str, Any]

MARKS = (
    "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0Z",
    "M-4 -4H4V4H-4Z",
    "M0 -5.5L5.5 0L0 5.5L-5.5 0Z",
    "M0 -5L5 4H-5Z",
)
"""SVG paths that tell baselines apart without colour: circle, square, diamond, triangle."""

LARGEST_GRID = 25
"""More classes than this make an unreadable grid; then the most confused pairs are listed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A value with its whisker on an axis, in percent; ``low`` and ``high`` are None without interval."""

    name: str
    path: str
    at: float
    low: float | None
    high: float | None
    value: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One metric: the model and every baseline that has it, on one axis with ticks (percent, label)."""

    name: str
    n: int
    model: Mark
    baselines: tuple[Mark, ...]
    ticks: tuple[tuple[float, str], ...]


def rows(metrics: Json, baselines: Json) -> list[Row]:
    """Lay out each metric: shares on an axis from 0 to 1, any other on its own."""
    return [_row(name, metric, baselines) for name, metric in metrics.items()]


def _row(name: str, metric: Json, baselines: Json) -> Row:
    others = {key: figures[name] for key, figures in baselines.items() if name in figures}
    largest = max(_reach(metric), *(_reach(one) for one in others.values()), 0.0)
    # The log loss has no upper bound, even where all its values happen to be small.
    top = 1.0 if largest <= 1 and "loss" not in name else nice_top(largest)
    marks = [_mark(key, one, top, MARKS[i % len(MARKS)]) for i, (key, one) in enumerate(others.items())]
    return Row(
        name=name,
        n=int(metric["n"]),
        model=_mark("this model", metric, top, MARKS[0]),
        baselines=tuple(marks),
        ticks=tuple((25.0 * i, f"{top * i / 4:g}") for i in range(5)),
    )


def _reach(metric: Json) -> float:
    return float(metric["value"] if metric["high"] is None else max(metric["high"], metric["value"]))


def _mark(name: str, metric: Json, top: float, path: str) -> Mark:
    def place(value: float | None) -> float | None:
        return None if value is None else round(100 * min(max(value / top, 0.0), 1.0), 2)

    value = float(metric["value"])
    at = place(value) or 0.0
    return Mark(
        name=name, path=path, at=at, low=place(metric["low"]), high=place(metric["high"]), value=value
    )


def nice_top(largest: float) -> float:
    """Return the smallest of 1, 2, 4, 6, 8, 10 times a power of ten that holds ``largest``; 1 for 0."""
    if not math.isfinite(largest) or largest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(largest))
    return next(step * power for step in (1, 2, 4, 6, 8, 10) if largest <= step * power * (1 + 1e-9))


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One cell of a confusion matrix: its count and its share of the row, 0 to 1."""

    count: int
    share: float
    right: bool


def heat(counts: Sequence[Sequence[int]]) -> list[list[Cell]]:
    """Return the cells of a confusion matrix, shaded by share of the true class."""
    return [
        [
            Cell(count=count, share=round(count / max(sum(row), 1), 3), right=i == j)
            for j, count in enumerate(row)
        ]
        for i, row in enumerate(counts)
    ]


def most_confused(
    labels: Sequence[str], counts: Sequence[Sequence[int]], most: int = 20
) -> list[tuple[str, str, int, float]]:
    """Return the commonest mistakes: true class, predicted class, count, share of the true class."""
    pairs = [
        (labels[i], labels[j], count, count / sum(row))
        for i, row in enumerate(counts)
        for j, count in enumerate(row)
        if i != j and count
    ]
    return sorted(pairs, key=lambda pair: (-pair[2], -pair[3]))[:most]


@dataclass(frozen=True, kw_only=True, slots=True)
class Bin:
    """One bin of a reliability diagram, in percent from the left and from the top.

    ``count_height`` is its count's share of the largest; the whisker is the exact interval of its
    accuracy. Places are None where the bin is empty.
    """

    left: float
    width: float
    count: int
    count_height: float
    x: float | None
    y: float | None
    top: float | None
    bottom: float | None


def reliability(section: Json) -> list[Bin]:
    """Lay out a reliability section."""
    edges, largest = section["edges"], max(section["counts"], default=0) or 1
    bins = zip(section["confidence"], section["accuracy"], section["counts"], strict=True)
    return [
        _bin((edges[i], edges[i + 1]), confidence, accuracy, (count, largest))
        for i, (confidence, accuracy, count) in enumerate(bins)
    ]


def _bin(
    edge: tuple[float, float], confidence: float | None, accuracy: float | None, count: tuple[int, int]
) -> Bin:
    low, high = (None, None) if accuracy is None else exact_interval(accuracy, count[0], 0.95)

    def down(value: float | None) -> float | None:
        return None if value is None else round(100 * (1 - value), 2)

    return Bin(
        left=round(100 * edge[0], 2),
        width=round(100 * (edge[1] - edge[0]), 2),
        count=count[0],
        count_height=round(100 * count[0] / count[1], 1),
        x=None if confidence is None else round(100 * confidence, 2),
        y=down(accuracy),
        top=down(high),
        bottom=down(low),
    )


def shares(amounts: Mapping[str, float]) -> list[tuple[str, float, float]]:
    """Return each amount as (name, amount, percent of the largest)."""
    largest = max(amounts.values(), default=0) or 1
    return [(name, amount, round(100 * amount / largest, 1)) for name, amount in amounts.items()]
