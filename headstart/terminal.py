"""What the commands print: tables for people, one JSON object for programs."""

import json
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from headstart.core.records import (
    Audited,
    Chosen,
    Comparison,
    Difference,
    Dropped,
    Finding,
    Metric,
    Note,
    Prediction,
    to_json,
)
from headstart.specs import (
    AuditSpec,
    CacheSpec,
    ChooseSpec,
    CompareSpec,
    EvaluateSpec,
    FitSpec,
    PredictSpec,
    SourcesSpec,
    command,
)

_FITTED = ("run", "task", "base", "strategy", "split", "metrics", "baselines", "dropped", "seconds")
_WIDTH = 100


def audit(spec: AuditSpec, as_json: bool) -> int:
    """Run ``audit`` and show what was found, the gravest first."""
    from headstart.verbs.audit import audit as run

    audited = run(spec)
    if as_json:
        record = to_json(audited)
        absent = {name for name in ("page", "manifest") if not record[name]}
        _print_json({name: value for name, value in record.items() if name not in absent})
        return 0
    console = _console()
    splits = ", ".join(f"{count:,} {name}" for name, count in audited.splits.items())
    console.print(
        f"{audited.data}: {audited.examples:,} examples ({splits or 'none could be listed'})", markup=False
    )
    console.print(_found(audited))
    for name, path in (("Page", audited.page), ("For headstart fit", audited.manifest)):
        if path:
            console.print(f"{name}: [bold]{path}[/]", soft_wrap=True)
    return 0


def _found(audited: Audited) -> Table | str:
    """Return findings that say and advise the same in one row each, with a file or two."""
    alike: dict[tuple[str, str, str], list[Finding]] = {}
    for one in audited.findings:
        alike.setdefault((one.severity, one.kind, one.remedy), []).append(one)
    if not alike:
        return f"Nothing found by {len(audited.checks)} checks in {audited.seconds:.1f} s."
    title = f"{len(audited.findings):,} findings of {len(audited.checks)} checks in {audited.seconds:.1f} s"
    shown = Table(title=title, title_justify="left")
    for name in ("severity", "kind", "times", "for instance", "what to do"):
        shown.add_column(name, justify="right" if name == "times" else "left", overflow="fold")
    for (severity, kind, remedy), findings in alike.items():
        first = findings[0]
        files = ", ".join(first.files[:2]) + (
            f" and {len(first.files) - 2:,} more" if len(first.files) > 2 else ""
        )
        told = escape(f"{files}: {first.reason}" if files else first.reason)
        shown.add_row(severity, kind, f"{len(findings):,}", told, escape(remedy))
    return shown


def fit(spec: FitSpec, as_json: bool) -> int:
    """Run ``fit`` and show its figures and where the report is."""
    from headstart.verbs.fit import fit as run

    fitted = run(spec)
    if as_json:
        record = to_json(fitted)
        _print_json({name: record[name] for name in _FITTED} | {"seconds": record["seconds"]["total"]} | {
            name: record[name] for name in ("notes", "objective", "engine", "looks")
        })  # fmt: skip
        return 0
    console = _console()
    start = " from random weights" if fitted.model["random_init"] else ""
    title = f"{fitted.base}{start} on {fitted.split['test']:,} {fitted.split['reported']} examples"
    console.print(_figures(title, fitted.metrics, fitted.baselines))
    if "climb" in fitted.objective:
        console.print(_climb(fitted.objective["climb"]))
    console.print(_trained(fitted.objective))
    _tell_dropped(console, fitted.dropped, fitted.notes)
    console.print(
        f"{fitted.seconds['total']:.1f} s. Report: [bold]{Path(fitted.run) / 'report.html'}[/]",
        soft_wrap=True,
    )
    return 0


def _trained(objective: Mapping[str, Any]) -> str:
    """Say on one line what was trained, on what and how."""
    what = "The model's and its head's" if "blocks" in objective else "A head of"
    words = [f"{what} {objective['parameters']:,} weights"]
    if "layers" in objective:
        words.append(f"on layers [bold]{objective['layers']}[/] ({objective['features']:,} features)")
    if objective.get("lambda"):
        words.append(f"λ = {objective['lambda']:.1e}")
    return ", ".join([*words, f"on {objective['examples']:,} examples by {objective['solver']}."])


def choose(spec: ChooseSpec, as_json: bool) -> int:
    """Run ``choose`` and show the ranking, best first, with what each model costs."""
    from headstart.ship.words import models_left_out
    from headstart.verbs.choose import choose as run

    chosen = run(spec)
    if as_json:
        _print_json(to_json(chosen))
        return 0
    console = _console()
    console.print(_ranking(chosen))
    console.print("* no other model here is both better and quicker: ms an example, fastest engine")
    if chosen.as_good:
        lie = "other lies" if chosen.as_good == 1 else "others lie"
        console.print(f"{chosen.as_good} {lie} within the first one's interval and may do as well.")
    if chosen.weak:
        console.print(f"Weak evidence: {chosen.weak}.", markup=False)
    for line in models_left_out(chosen):
        console.print(f"left out: {line}", markup=False, soft_wrap=True)
    _tell_dropped(console, chosen.dropped, chosen.notes)
    if chosen.page:
        console.print(f"Page: {chosen.page}", markup=False, soft_wrap=True)
    console.print(f"{chosen.seconds:.1f} s. Start from {chosen.chosen}:", markup=False, soft_wrap=True)
    console.print(f"  {shlex.join(command('fit', spec.fit(chosen.chosen)))}", markup=False, soft_wrap=True)
    return 0


def _ranking(chosen: Chosen) -> Table:
    most = max(one.examples for one in chosen.ranking)
    to = f" to {most:,}" if most > chosen.examples else ""
    title = f"Expected {chosen.measure.replace('_', ' ')}, from {chosen.examples:,}{to} training examples"
    shown = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown.add_column("", no_wrap=True)
    shown.add_column("model", overflow="fold")
    trained = (chosen.confirmed_by.replace("_", " "),) if chosen.confirmed_by else ()
    for name in ("expected", "95% interval", *(("seen",) if to else ()), *trained, "ms", "MiB", "input"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("licence", overflow="fold")
    for one in chosen.ranking:
        reached = () if not trained else ("" if one.confirmed is None else f"{one.confirmed.value:.3f}",)
        shown.add_row(
            "*" if one.front else "",
            one.base,
            f"{one.score:.3f}",
            f"{one.low:.3f}-{one.high:.3f}",
            *((f"{one.examples:,}",) if to else ()),
            *reached,
            "?" if one.milliseconds is None else f"{one.milliseconds:.1f}",
            f"{one.mib:.0f}",
            one.input_size,
            one.licence,
        )
    return shown


def _climb(rungs: Sequence[Mapping[str, Any]]) -> Table:
    """Lay out what ``--strategy auto`` tried: the loss with its interval, what it cost, why it was kept."""
    table = Table(title="strategies, by loss on held-out training data", title_justify="left")
    table.add_column("strategy")
    for name in ("loss", "95% interval", "seconds", "weights"):
        table.add_column(name, justify="right")
    table.add_column("why")
    for rung in rungs:
        tried = "log_loss" in rung
        loss = f"{rung['log_loss']:.3f}" if tried else ""
        interval = f"{rung['low']:.3f} - {rung['high']:.3f}" if tried else ""
        cost = (f"{rung['seconds']:.0f}", f"{rung['parameters']:,}") if tried else ("", "")
        table.add_row(rung["strategy"], loss, interval, *cost, rung["why"])
    return table


def evaluate(spec: EvaluateSpec, as_json: bool) -> int:
    """Run ``evaluate`` and show its figures."""
    from headstart.ship.words import looked
    from headstart.verbs.evaluate import evaluate as run

    found = run(spec)
    if as_json:
        record = to_json(found)
        names = ("metrics", "baselines", "split", "looks", "seen", "dropped", "notes")
        # Galleries hold whole pictures.
        sections = [one for one in record["sections"] if one["kind"] != "gallery"]
        _print_json({name: record[name] for name in names} | {"sections": sections})
        return 0
    console = _console()
    console.print(_figures(f"{spec.run} on {found.split} of {spec.data}", found.metrics, found.baselines))
    _tell_dropped(console, found.dropped, found.notes)
    times = "the first look" if found.looks == 1 else f"look number {found.looks}"
    console.print(f"This was {times} at these examples with this run.")
    if found.looks > 1:
        console.print(looked({"looks": found.looks, "split": found.split}), markup=False)
    if found.page:
        console.print(f"Page: [bold]{found.page}[/]", soft_wrap=True)
    return 0


def compare(spec: CompareSpec, as_json: bool) -> int:
    """Run ``compare`` and show the runs, the best first."""
    from headstart.ship.leaderboard import short_names, verdict
    from headstart.verbs.compare import compare as run

    found = run(spec)
    if as_json:
        _print_json(to_json(found))
        return 0
    console = _console()
    console.print(_leaderboard(found, short_names([one.run for one in found.runs])))
    console.print(verdict(found), markup=False)
    _tell_dropped(console, (), found.notes)
    console.print(f"All metrics, all pairs: [bold]{found.page}[/]", soft_wrap=True)
    return 0


def _leaderboard(found: Comparison, names: Mapping[str, str]) -> Table:
    shown = Table(title=f"On the same {found.examples:,} examples", title_justify="left")
    shown.add_column("run", overflow="fold")
    shown.add_column(found.metric, justify="right")
    shown.add_column("95% interval", justify="right")
    shown.add_column("from the first", justify="right")
    shown.add_column("95% interval", justify="right")
    shown.add_column("p (Holm)", justify="right")
    first = found.runs[0].run
    behind: dict[str, Difference] = {
        one.second: one for one in found.differences if one.first == first and one.metric == found.metric
    }
    for one in found.runs:
        metric, gap = one.metrics[found.metric], behind.get(one.run)
        away = ("", "", "")
        if gap is not None:
            low, high = gap.difference.low, gap.difference.high
            spread = "none" if low is None or high is None else f"{-high:+.3f}, {-low:+.3f}"
            away = (f"{-gap.difference.value:+.3f}", spread, f"{gap.p_holm:.3f}")
        shown.add_row(names[one.run], f"{metric.value:.3f}", _interval(metric), *away)
    return shown


def predict(spec: PredictSpec, as_json: bool) -> int:
    """Run ``predict`` and print one line per input; return 2 where an input could not be read."""
    from headstart.verbs.predict import predict as run

    failed = False
    for one in run(spec):
        failed |= one.error is not None
        if as_json:
            record = to_json(one)
            if one.error is None:
                del record["error"]
            for name in ("file", "unlike", "set"):
                if record[name] is None:
                    del record[name]
            print(json.dumps(record, ensure_ascii=False), flush=True)
        elif one.prediction is None:
            print(f"{one.input}\tnot read: {one.error}", flush=True)
        else:
            within = "" if one.set is None else f"\t{{{', '.join(one.set)}}}"
            flag = "\tunlike the training data" if (one.unlike or 0.0) > 0 else ""
            print(f"{one.input}\t{_told(one)}{within}{flag}", flush=True)
    return 2 if failed else 0


def _told(one: Prediction) -> str:
    """Return what was predicted: a name with its score, several names with theirs, or a text on one line."""
    written, said = f"\t{one.file}" if one.file else "", one.prediction
    if isinstance(said, tuple):
        return ", ".join(f"{name} {one.scores[name]:.3f}" for name in said) or "(no label)"
    if said is not None and said in one.scores:
        return f"{said}\t{one.scores[said]:.3f}{written}"
    largest = sorted(((name, score) for name, score in one.scores.items() if score), key=lambda it: -it[1])
    if said == ", ".join(name for name, _ in largest):
        return ", ".join(f"{name} {score:.3f}" for name, score in largest) + written
    return " ".join((said or "").split()) + written


def sources(spec: SourcesSpec, as_json: bool) -> int:
    """Show the kinds of models of each source, then what does not work of them, with the reasons."""
    from headstart.ship.support import remarks, rows
    from headstart.verbs.sources import sources as listed

    found = listed(spec)
    if as_json:
        _print_json({"sources": to_json(found)})
        return 0
    console = _console()
    shown = Table(title="kinds of models, tested against their own libraries", title_justify="left")
    for name in ("source", "takes", "models"):
        shown.add_column(name, overflow="fold", no_wrap=name != "models")
    for row in rows(found):
        shown.add_row(*row)
    console.print(shown)
    for line in remarks(found):
        console.print(line, markup=False, soft_wrap=True)
    return 0


def cache(spec: CacheSpec, as_json: bool) -> int:
    """Show what the feature store holds."""
    from headstart.verbs.cache import cache as listed

    tables = listed(spec)
    if as_json:
        _print_json({"tables": to_json(tables), "bytes": sum(table.bytes for table in tables)})
        return 0
    shown = Table(title="Feature store", title_justify="left")
    for name, justify in (
        ("model", "left"),
        ("px", "right"),
        ("examples", "right"),
        ("MB", "right"),
        ("last used", "left"),
    ):
        shown.add_column(name, justify=justify)  # type: ignore[arg-type]
    for table in tables:
        shown.add_row(
            str(table.about.get("base", "?")), str(table.about.get("image_size", "?")), f"{table.rows:,}",
            f"{table.bytes / 1e6:,.1f}", _when(table.last_used),
        )  # fmt: skip
    _console().print(shown)
    return 0


def _figures(
    title: str, metrics: Mapping[str, Metric], baselines: Mapping[str, Mapping[str, Metric]]
) -> Table:
    shown = Table(title=title, title_justify="left")
    shown.add_column("metric")
    shown.add_column("value", justify="right")
    shown.add_column("95% interval", justify="right")
    for name in baselines:
        shown.add_column(name, justify="right")
    for name, metric in metrics.items():
        others = (f"{one[name].value:.3f}" if name in one else "–" for one in baselines.values())
        shown.add_row(name, f"{metric.value:.3f}", _interval(metric), *others)
    return shown


def _interval(metric: Metric) -> str:
    if metric.low is None or metric.high is None:
        return "cannot be computed"
    return f"{metric.low:.3f} - {metric.high:.3f}"


def _tell_dropped(console: Console, dropped: Sequence[Dropped], notes: Iterable[Note]) -> None:
    for note in notes:
        shown = f", for instance {note.examples[0]}" if note.examples else ""
        console.print(f"{note.count:,} × {note.what}{shown}", markup=False, soft_wrap=True)
    if dropped:
        console.print(f"{len(dropped):,} left out:", markup=False)
        for one in dropped[:5]:
            console.print(f"  {one.file}: {one.reason}", markup=False, soft_wrap=True)
        if len(dropped) > 5:
            console.print("  ... all are in the report", markup=False)


def _when(unix_s: float) -> str:
    import datetime

    return datetime.datetime.fromtimestamp(unix_s).strftime("%Y-%m-%d %H:%M")


def _console() -> Console:
    console = Console(highlight=False)
    return Console(highlight=False, width=min(console.width, _WIDTH))


def _print_json(value: Any) -> None:
    json.dump(value, sys.stdout, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")
