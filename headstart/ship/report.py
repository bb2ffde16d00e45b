"""The report: one page of HTML that needs no network and no script, made from a run's JSON records.

It knows a section by its kind only, never a task by its name.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from headstart.core.errors import MachineError
from headstart.core.files import write_bytes
from headstart.core.run import looks_at_reported, read_part, read_run
from headstart.ship import charts, words

Json = Mapping[str, Any]

_SHORT_LIST = 8

log = logging.getLogger(__name__)


def write_report(run: Path) -> Path:
    """Write ``run/report.html`` from ``run.json``, ``evaluation.json`` and the looks; return its path.

    Raises UserError where ``run`` is no run, MachineError where the machine refuses.
    """
    fitted, evaluation = read_run(run), read_part(run, "evaluation.json")
    looks = looks_at_reported(run) or evaluation.get("looks", 0)
    path = run / "report.html"
    _write(path, render(fitted, {**evaluation, "looks": looks}))
    return path


def refresh_looks(run: Path) -> None:
    """Write a run's report anew after another look, where it can be: the count in it is out of date."""
    try:
        write_report(run)
    except MachineError as error:
        log.warning("%s", error)


def write_look(path: Path, run: Path, data: str, evaluation: Json) -> None:
    """Write the page of one look at data, an ``Evaluation`` as JSON. Raises MachineError."""
    # What fitting left out was other data.
    fitted = {**read_run(run), "dropped": (), "notes": ()}
    shown = {**_summary(fitted, evaluation), **_details(fitted, evaluation)}
    explained = words.looked(evaluation)
    _write(path, environment().get_template("look.html").render(**shown, data=data, explained=explained))


def _write(path: Path, html: str) -> None:
    # A file name that is no valid Unicode is shown with its bytes spelt out.
    write_bytes(path, html.encode(errors="backslashreplace"))


def render(fitted: Json, evaluation: Json) -> str:
    """Return the page for ``Fitted`` and ``Evaluation`` as JSON; all text in them is escaped."""
    template = environment().get_template("report.html")
    return template.render(**_summary(fitted, evaluation), **_details(fitted, evaluation))


@cache
def environment() -> Environment:
    """Return what fills in the templates beside this file: text is escaped, figures written for people."""
    found = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "figure": words.figure,
        "number": words.number,
        "plain": words.plain,
        "percent": words.percent,
        "seconds": words.seconds,
        "formula": words.formula,
        "layers": words.layers,
        "metric": words.metric,
        "baseline": words.baseline,
    }
    return found


def _summary(fitted: Json, evaluation: Json) -> dict[str, Any]:
    """Return what the page says first: the headline, the figures and what was done."""
    objective = fitted.get("objective", {})
    rows = charts.rows(evaluation.get("metrics", {}), evaluation.get("baselines", {}))
    return {
        "name": Path(str(fitted.get("run", ""))).name or "run",
        "base": fitted.get("base", ""),
        "task": str(fitted.get("task", "")).replace("-", " "),
        "noun": words.noun(fitted),
        "split": evaluation.get("split", "test"),
        "headline": words.headline(fitted, evaluation),
        "comparison": words.comparison(evaluation),
        "groups": [
            group
            for group in ([r for r in rows if _share(r)], *([r] for r in rows if not _share(r)))
            if group
        ],
        "metrics": evaluation.get("metrics", {}),
        "baselines": evaluation.get("baselines", {}),
        "marks": dict(zip(evaluation.get("baselines", {}), charts.MARKS * 9, strict=False)),
        "steps": words.steps(fitted, evaluation),
        "objective": objective,
        "tried": best_per_layers(objective.get("chosen", ())),
        "epochs": by_epoch(objective.get("epochs", ())),
    }


def _details(fitted: Json, evaluation: Json) -> dict[str, Any]:
    """Return the rest: sections, what was dropped, timings, versions, the command."""
    dropped = words.left_out(fitted, evaluation)
    engine = fitted.get("engine", {})
    timings = {name: float(value) for name, value in fitted.get("seconds", {}).items() if name != "total"}
    return {
        "sections_shown": [_section(section) for section in evaluation.get("sections", ())],
        "dropped": dropped,
        "reasons": Counter(one["reason"] for one in dropped).most_common(),
        "short_list": _SHORT_LIST,
        "notes": words.together(fitted.get("notes", ()), evaluation.get("notes", ())),
        "timings": charts.shares(timings),
        "total_s": fitted.get("seconds", {}).get("total"),
        "rates": charts.shares(engine.get("rates") or {}),
        "engine": engine,
        "model": fitted.get("model", {}),
        "versions": fitted.get("versions", {}),
        "command": fitted.get("command", ""),
        "digest": fitted.get("data_digest", ""),
        "looks": evaluation.get("looks", 0),
    }


def best_per_layers(tried: Sequence[Json]) -> list[Json]:
    """Return the best candidate of each layer set by log loss, best first."""
    best: dict[str, Json] = {}
    for one in tried:
        if one["layers"] not in best or _promise(one) < _promise(best[one["layers"]]):
            best[one["layers"]] = one
    return sorted(best.values(), key=_promise)


def by_epoch(history: Sequence[Json]) -> Json:
    """Return a training by steps as a table, and the place of the row whose weights were kept."""
    epochs = [one for one in history if "epoch" in one]
    if not epochs:
        return {"header": (), "rows": (), "kept": -1}
    names = [name for name in epochs[0] if name not in ("epoch", "seconds", "loss")]
    kept = min(range(len(epochs)), key=lambda place: float(epochs[place][names[0]]))
    rows = [
        [
            str(one["epoch"] or "before"),
            *(words.figure(one.get(name)) for name in ("loss", *names)),
        ]
        for one in epochs
    ]
    for one in history[len(epochs) :]:
        rows.append(
            [f"mean of the best {one['averaged']:g}", "–", *(words.figure(one[name]) for name in names)]
        )
        kept = len(rows) - 1 if one["kept"] else kept
    rows[kept][0] += " (kept)"
    return {
        "header": ("epoch", "loss", *(words.metric(name)[0] for name in names)),
        "rows": rows,
        "kept": kept,
    }


def _promise(one: Json) -> tuple[int, float]:
    """Order candidates: those tried on more folds first, then by log loss."""
    return -int(one.get("folds", 1)), float(one["log_loss"])


def _share(row: charts.Row) -> bool:
    return row.ticks[-1][1] == "1" and "loss" not in row.name


def _section(section: Json) -> Json:
    """Add the geometry that a section's kind needs. Raises ValueError for an unknown kind."""
    kind = section["kind"]
    if kind == "reliability":
        return {**section, "bins": charts.reliability(section)}
    if kind == "matrix" and len(section["labels"]) > charts.LARGEST_GRID:
        return {
            **section,
            "kind": "pairs",
            "pairs": charts.most_confused(section["labels"], section["counts"]),
        }
    if kind == "matrix":
        return {**section, "cells": charts.heat(section["counts"])}
    if kind in ("table", "gallery"):
        return section
    raise ValueError(f"found a section of kind {kind!r}; expected table, matrix, reliability or gallery")
