"""The page of a comparison: runs on the same examples, the best first, and what of it is certain."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.core.files import write_bytes
from headstart.core.records import Comparison, Difference, Metric
from headstart.ship import words
from headstart.ship.report import environment


def write_page(found: Comparison, unit: str) -> Path:
    """Write ``found.page``; return its path. ``unit`` is what an example is called in the plural.

    Raises MachineError where the machine refuses.
    """
    path = Path(found.page)
    write_bytes(path, render(found, unit).encode(errors="backslashreplace"))
    return path


def render(found: Comparison, unit: str) -> str:
    """Return the page; all text in it is escaped."""
    names = short_names([one.run for one in found.runs])
    metrics = list(found.runs[0].metrics)
    leading = [found.metric, *(name for name in metrics if name != found.metric)]
    template = environment().get_template("leaderboard.html")
    return template.render(
        headline=verdict(found),
        unit=unit,
        found=found,
        names=names,
        heads=[words.metric(name) for name in leading],
        standings=[
            (names[one.run], one, [_spread(one.metrics[name], name) for name in leading])
            for one in found.runs
        ],
        pairs=[(words.metric(name)[0], _pairs(found, names, name)) for name in leading],
        several=len(found.runs) > 2,
    )


def short_names(runs: Sequence[str]) -> dict[str, str]:
    """Return the runs' folder names; their paths where two folders have the same name."""
    last = {run: Path(run).name or run for run in runs}
    return {run: name if list(last.values()).count(name) == 1 else run for run, name in last.items()}


def verdict(found: Comparison) -> str:
    """Say in a sentence which runs the first is better than, and from which it cannot be told apart."""
    names = short_names([one.run for one in found.runs])
    first = found.runs[0].run
    gaps = [one for one in found.differences if one.first == first and one.metric == found.metric]
    behind = [names[one.second] for one in gaps if one.better == first]
    level = [names[one.second] for one in gaps if one.better != first]
    name = words.metric(found.metric)[0]
    name = name[0].lower() + name[1:] if name[1:2].islower() else name
    if not behind:
        return (
            f"Nothing here tells {_listed([names[first], *level])} apart by {name}: chance would explain it."
        )
    told = f"{names[first]} is better than {_listed(behind)} by {name}"
    return f"{told}, and cannot be told apart from {_listed(level)}." if level else f"{told}."


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _spread(metric: Metric, name: str) -> tuple[str, str]:
    if metric.low is None or metric.high is None:
        return words.figure(metric.value, name), "no interval can be computed"
    return words.figure(
        metric.value, name
    ), f"{words.figure(metric.low, name)}–{words.figure(metric.high, name)}"


def _pairs(found: Comparison, names: Mapping[str, str], metric: str) -> list[dict[str, Any]]:
    return [_pair(one, names) for one in found.differences if one.metric == metric]


def _pair(one: Difference, names: Mapping[str, str]) -> dict[str, Any]:
    gap = one.difference
    digits = 1 if one.metric in words.OF_100 else 3
    spread = "no interval can be computed"
    if gap.low is not None and gap.high is not None:
        spread = f"{gap.low:+.{digits}f} to {gap.high:+.{digits}f}"
    return {
        "first": names[one.first],
        "second": names[one.second],
        "by": f"{gap.value:+.{digits}f}",
        "spread": spread,
        "p": f"{one.p:.4f}",
        "p_holm": f"{one.p_holm:.4f}",
        "better": "not told apart" if one.better is None else names[one.better],
    }
