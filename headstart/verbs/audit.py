"""``audit``: data in, findings out; perhaps a page to look at and a table for ``fit``."""

import time
from dataclasses import replace
from pathlib import Path

from headstart.auditing.fixing import fixed
from headstart.auditing.survey import checks, findings, survey, unlisted
from headstart.contracts import Example, Survey, Task
from headstart.core import plugins
from headstart.core.errors import UserError
from headstart.core.records import Audited, Finding
from headstart.data import dataset, manifest
from headstart.data.groups import grouped
from headstart.ship.audit_page import write_page
from headstart.specs import AuditSpec
from headstart.verbs.common import allowed, guess_task, say_engine


def audit(spec: AuditSpec) -> Audited:
    """Look at data in every way there is; they stay as they are.

    Data that cannot be listed give one finding that says why. Raises UserError where there is nothing at the
    path or the task is not certain, MachineError for what the machine refuses.
    """
    started = time.perf_counter()
    path = Path(spec.data)
    task: Task = plugins.load("task", spec.task or guess_task(path))
    wanted = spec.source_language or "", spec.target_language or ""
    _check_outputs(spec)
    try:
        listing = dataset.read(path, task.layouts, wanted)
    except UserError as error:
        if any(wanted) or dataset.meant(path, task.layouts) is None:
            raise
        return _told(spec, task, None, (unlisted(error),), started)
    listing = grouped(listing, path, spec.group)
    kind = next(one.kind for examples in listing.splits.values() for one in examples)
    task = task.of_kind(kind)
    source = manifest.read(path).data if manifest.recognises(path) else path
    looked = survey(task, listing, source, _corpus(task, spec.against))
    if spec.deep:
        from headstart.auditing.features import closer  # features need a framework
        from headstart.auditing.suspects import suspects

        asked = spec.base, allowed(spec)
        looked = replace(looked, contents=closer(looked, asked, say_engine))
        looked = replace(looked, suspects=suspects(looked, asked, spec.seed, say_engine))
    found = findings(looked, checks(looked))
    if spec.fix is not None:
        manifest.write(Path(spec.fix), source, listing.layout, fixed(looked, spec.seed))
    audited = _told(spec, task, looked, found, started)
    if spec.html is not None:
        write_page(Path(spec.html), audited, looked)
    return audited


def _check_outputs(spec: AuditSpec) -> None:
    """Raise UserError for outputs that would overwrite something, before any work."""
    for option, name in (("--fix", spec.fix), ("--html", spec.html)):
        if name is not None and Path(name).exists():
            raise UserError(f"{option} {name} exists already", "a file that does not exist yet", "remove it")
    if spec.fix is not None:
        manifest.check_name(Path(spec.fix))


def _corpus(task: Task, against: str | None) -> list[Example]:
    return [] if against is None else list(task.inputs([against]))


def _told(
    spec: AuditSpec, task: Task, looked: Survey | None, found: tuple[Finding, ...], started: float
) -> Audited:
    roles = [] if looked is None else [looked.roles[place] for place in looked.own()]
    return Audited(
        data=spec.data,
        task=task.name,
        layout="" if looked is None else looked.listing.layout,
        examples=len(roles),
        splits={role: roles.count(role) for role in dict.fromkeys(roles)},
        checks=() if looked is None else tuple(check.name for check in checks(looked)),
        findings=found,
        seconds=round(time.perf_counter() - started, 2),
        page="" if looked is None else spec.html or "",
        manifest="" if looked is None else spec.fix or "",
    )
