"""From a listing to what checks look at, and the checks in turn."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from headstart.auditing.contents import read_all
from headstart.contracts import AGAINST, Check, Example, Fingerprint, Listing, Survey, Task
from headstart.core import plugins
from headstart.core.errors import UserError
from headstart.core.records import Finding, Note
from headstart.data import cells
from headstart.data.split import Dataset

SEVERITIES = ("error", "warning", "note")
_FEW = 2
_MOST_CELL = 200


def survey(task: Task, found: Listing, path: Path, against: Sequence[Example] = ()) -> Survey:
    """Read all examples of a listing, and a corpus to compare them with. Raises MachineError."""
    listed = [(one, role) for role, examples in found.splits.items() for one in examples]
    examples = [*(one for one, _ in listed), *against]
    roles = [*(role for _, role in listed), *([AGAINST] * len(against))]
    fingerprint: Fingerprint = plugins.load("fingerprint", task.takes)
    classes = frozenset(found.classes) if all(one.label for one, _ in listed) else frozenset[str]()
    return Survey(
        task=task,
        listing=found,
        examples=examples,
        roles=roles,
        cells=lambda: _cells(path, examples),
        contents=read_all(task, fingerprint, examples, classes),
    )


def checks(survey: Survey) -> list[Check]:
    """Return the checks that have what they need, by name."""
    has = {"listing": True, "contents": survey.contents is not None, "model": survey.suspects is not None}
    found: list[Check] = [plugins.load("check", name) for name in plugins.names("check")]
    return [check for check in found if has[check.needs]]


def findings(survey: Survey, run: Sequence[Check]) -> tuple[Finding, ...]:
    """Run checks; the gravest findings first, then by kind."""
    found = list(chain.from_iterable(check.findings(survey) for check in run))
    return tuple(sorted(found, key=lambda one: (SEVERITIES.index(one.severity), one.kind)))


def unlisted(error: UserError) -> Finding:
    """Return what is wrong with data that cannot even be listed."""
    return Finding(
        kind="layout",
        severity="error",
        files=(),
        reason=f"{error.found}; expected {error.expected}",
        remedy=f"{error.remedy}; then audit again: nothing else was looked at",
    )


def quick(task: Task, data: Dataset) -> tuple[Note, ...]:
    """Return what names alone tell, without reading anything, as notes: for ``fit``, in its own split."""
    splits = {role: getattr(data, role) for role in ("train", "val", "test")}
    listed = [(one, role) for role, examples in splits.items() for one in examples]
    bare = Survey(
        task=task,
        listing=Listing(layout=data.layout, splits=splits, classes=data.classes),
        examples=[one for one, _ in listed],
        roles=[role for _, role in listed],
        cells=lambda: iter(()),
    )
    run = [check for check in checks(bare) if check.quick]
    grave = [one for one in findings(bare, run) if one.severity != "note"]
    by_kind: dict[tuple[str, str], list[Finding]] = {}
    for one in grave:
        by_kind.setdefault((one.kind, one.remedy), []).append(one)
    return tuple(
        Note(
            what=few[0].reason if len(few) == 1 else f"{few[0].kind}: {few[0].reason}, and others alike",
            count=len(few),
            examples=tuple(dict.fromkeys(chain.from_iterable(one.files[:_FEW] for one in few)))[:_FEW],
        )
        for few in by_kind.values()
    )


def _cells(path: Path, examples: Sequence[Example]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield each example's place with the short cells of its row, of data that are tables."""
    for place, row in cells.of_tables(path, examples):
        yield (
            place,
            {
                name: "" if cell is None else str(cell)
                for name, cell in row.items()
                if name and not isinstance(cell, list | dict | bytes) and len(str(cell)) <= _MOST_CELL
            },
        )
