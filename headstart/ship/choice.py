"""The page of ``choose``: forecasts against costs with the Pareto front drawn; no script, no network."""

import math
from dataclasses import dataclass
from pathlib import Path

from headstart.core.files import write_bytes
from headstart.core.records import Chosen
from headstart.ship.report import environment

_MARGIN = 0.08


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """A model in the drawing, by its place in the ranking; lengths are per cent from the left and the top."""

    rank: int
    base: str
    x: float
    y: float
    low: float
    high: float
    front: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawing:
    """Models by cost and forecast; ticks are (per cent, label) from the left and from the top."""

    points: tuple[Point, ...]
    across: tuple[tuple[float, str], ...]
    down: tuple[tuple[float, str], ...]
    front: str


def write_page(path: Path, chosen: Chosen, name: str) -> None:
    """Write the page; all text in it is escaped. Raises MachineError where the machine refuses."""
    template = environment().get_template("choice.html")
    page = template.render(
        chosen=chosen,
        name=name,
        task=chosen.task.replace("-", " "),
        measure=chosen.measure.replace("_", " "),
        drawing=draw(chosen),
        estimators=list(chosen.ranking[0].looks[0].estimates),
        most=max(one.examples for one in chosen.ranking),
    )
    write_bytes(path, page.encode(errors="backslashreplace"))


def draw(chosen: Chosen) -> Drawing:
    """Lay the models out: milliseconds on a logarithmic axis across, the forecast upwards."""
    timed = [(rank, one) for rank, one in enumerate(chosen.ranking, start=1) if one.milliseconds]
    if not timed:
        return Drawing(points=(), across=(), down=(), front="")
    logs = [math.log10(one.milliseconds or 1.0) for _, one in timed]
    left, right = _widened(min(logs), max(logs), 0.3)
    bottom, top = _widened(min(one.low for _, one in timed), max(one.high for _, one in timed), 0.02)

    def down(value: float) -> float:
        return round(100 * (top - value) / (top - bottom), 2)

    points = tuple(
        Point(
            rank=rank,
            base=one.base,
            x=round(100 * (at - left) / (right - left), 2),
            y=down(one.score),
            low=down(one.low),
            high=down(one.high),
            front=one.front,
        )
        for (rank, one), at in zip(timed, logs, strict=True)
    )
    ticks = [scale * 10**power for power in range(-3, 6) for scale in (1, 2, 5)]
    across = [(100 * (math.log10(one) - left) / (right - left), f"{one:g}") for one in ticks]
    levels = [bottom + (top - bottom) * part / 4 for part in range(5)]
    front = sorted((one for one in points if one.front), key=lambda one: one.x)
    return Drawing(
        points=points,
        across=tuple((round(at, 2), label) for at, label in across if 0 <= at <= 100),
        down=tuple((down(level), f"{level:.2f}") for level in levels),
        front=_stairs(front),
    )


def _widened(low: float, high: float, least: float) -> tuple[float, float]:
    more = max((high - low) * _MARGIN, least / 2)
    return low - more, high + more


def _stairs(front: list[Point]) -> str:
    """Return the front as a path: level from one model to the next, then up to it."""
    if not front:
        return ""
    first, *rest = front
    return f"M{first.x} {first.y}" + "".join(f"H{one.x}V{one.y}" for one in rest)
