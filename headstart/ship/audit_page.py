"""The page of an audit: findings by kind, with the inputs that they concern side by side.

Like the report it needs no network and no script, and knows no task.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from headstart.contracts import Fingerprint, Survey
from headstart.core import plugins
from headstart.core.errors import BadExample
from headstart.core.files import write_bytes
from headstart.core.records import Audited, Exhibit, Finding, Gallery, Section, Table, to_json
from headstart.data.listing import UNSPLIT
from headstart.ship.report import environment

_MOST_SHOWN, _MOST_ROWS, _SIDE_BY_SIDE = 24, 200, 3
_SHOWN_KINDS = (
    "label-conflict",
    "duplicate",
    "near-duplicate",
    "overlap",
    "label-error",
    "empty",
    "language",
)
_TITLES = {"error": "Errors", "warning": "Warnings", "note": "Notes"}


def write_page(path: Path, audited: Audited, survey: Survey) -> None:
    """Write the page. Raises MachineError where the machine refuses."""
    html = (
        environment()
        .get_template("audit.html")
        .render(
            audited=audited,
            name=Path(audited.data).name or audited.data,
            headline=_headline(audited),
            splits="not split yet"
            if set(audited.splits) == {UNSPLIT}
            else ", ".join(f"{count:,} in {name}" for name, count in audited.splits.items()),
            sections_shown=[to_json(one) for one in _sections(audited.findings, survey)],
        )
    )
    write_bytes(path, html.encode(errors="backslashreplace"))


def _headline(audited: Audited) -> str:
    counts = {
        severity: sum(one.severity == severity for one in audited.findings)
        for severity in ("error", "warning")
    }
    told = [f"{count:,} {name}{'' if count == 1 else 's'}" for name, count in counts.items() if count]
    return (
        f"{' and '.join(told)} in {Path(audited.data).name}"
        if told
        else f"{Path(audited.data).name} looks clean"
    )


def _sections(findings: Sequence[Finding], survey: Survey) -> Iterator[Section]:
    """Yield what can be looked at, kind by kind, then everything in tables."""
    for kind in _SHOWN_KINDS:
        some = [one for one in findings if one.kind == kind and one.files]
        shown = tuple(islice(_exhibits(some, survey), _MOST_SHOWN))
        if shown:
            more = f"; {len(shown)} of {len(some):,} are shown" if len(some) > len(shown) else ""
            note = f"What to do: {some[0].remedy}{more}."
            wide = any(len(one.files) > 1 for one in some)
            yield Gallery(title=kind.replace("-", " ").capitalize(), note=note, items=shown, wide=wide)
    for severity, title in _TITLES.items():
        rows = [
            (one.kind, _named(one.files), one.reason, one.remedy)
            for one in findings
            if one.severity == severity
        ]
        if rows:
            more = f"The first {_MOST_ROWS} of {len(rows):,}." if len(rows) > _MOST_ROWS else ""
            header = ("kind", "files or rows", "reason", "what to do")
            yield Table(title=title, note=more, header=header, rows=tuple(rows[:_MOST_ROWS]))


def _exhibits(findings: Sequence[Finding], survey: Survey) -> Iterator[Exhibit]:
    """Yield inputs side by side, as many findings as can still be read."""
    fingerprint: Fingerprint = plugins.load("fingerprint", survey.task.takes)
    example_of = {one.key: one for one in survey.examples}
    for finding in findings:
        examples = [example_of[key] for key in finding.files[:_SIDE_BY_SIDE] if key in example_of]
        try:
            shown = fingerprint.show(survey.task, examples) if examples else {}
        except BadExample:  # the file went away since it was read
            continue
        if shown:
            yield Exhibit(caption=finding.reason, detail=_named(finding.files), **shown)


def _named(files: Sequence[str]) -> str:
    more = f" and {len(files) - 5:,} more" if len(files) > 5 else ""
    return ", ".join(files[:5]) + more
