"""Which examples belong together, as the user says: frames of one video, slices of one patient, one author.

Examples of a group are no independent evidence of each other: splits and folds keep them on one side, and
intervals draw them as one.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from headstart.contracts import Example, Listing
from headstart.core.errors import UserError
from headstart.core.records import Note
from headstart.data import cells, manifest
from headstart.data.columns import folded
from headstart.data.rows import cell_text

_SHOWN = 3
_FORM = r"a column of the data, or a pattern with one pair of brackets, such as 'patient-(\d+)'"


def grouped(found: Listing, path: Path, by: str | None) -> Listing:
    """Give every example the group that ``by`` tells: a column of the tables at ``path``, else a pattern.

    A pattern is a regular expression that is searched for in an example's name (a picture's path below
    ``path``, for instance); what its one pair of brackets holds is the group. What has no value, or does not
    fit, is a group of its own. Raises UserError where ``by`` is neither, and where it fits nothing.
    """
    if by is None:
        return found
    source = manifest.read(path).data if manifest.recognises(path) else path
    examples = list(chain.from_iterable(found.splits.values()))
    column = _column(cells.names(source), by)
    names = _by_name(examples, source, by) if column is None else _by_column(examples, source, column)
    how = f"column {column!r}" if column is not None else f"the pattern '{by}'"
    alone = [one.key for one, name in zip(examples, names, strict=True) if not name]
    if len(alone) == len(examples):
        raise UserError(
            f"--group {by} fits none of {len(examples):,} examples, the first {examples[0].key!r}",
            _FORM,
            "mend it, or leave --group out",
        )
    count, held = len(set(names) - {""}), len(names) - len(alone)
    notes = [Note(what=f"grouped by {how}: {count:,} groups", count=held, examples=())]
    if alone:
        what = f"no group by {how}: each is one of its own"
        notes.append(Note(what=what, count=len(alone), examples=tuple(alone[:_SHOWN])))
    named = iter(names)
    splits = {
        split: [replace(one, group=next(named) or None) for one in some]
        for split, some in found.splits.items()
    }
    return replace(found, splits=splits, notes=(*found.notes, *notes))


def _column(names: Sequence[str], by: str) -> str | None:
    """Return the column that is meant: of that name, else of that name in other letter case."""
    alike = [name for name in names if folded(name) == folded(by)]
    return by if by in names else next(iter(alike), None)


def _by_column(examples: Sequence[Example], source: Path, column: str) -> list[str]:
    """Return each example's cell in the column, empty where there is none. Raises UserError for a list."""
    found = [""] * len(examples)
    for place, row in chain(cells.of_tables(source, examples), cells.of_saved(source, examples)):
        found[place] = cell_text(row.get(column), f"{examples[place].key}, {column}")
    return found


def _by_name(examples: Sequence[Example], source: Path, by: str) -> list[str]:
    """Return what a pattern finds in each example's name, empty where it does not fit.

    Raises UserError for what is no such pattern.
    """
    try:
        pattern = re.compile(by)
    except re.error as error:
        raise _neither(source, by, f"is no pattern ({error})") from error
    if pattern.groups != 1:
        raise _neither(source, by, f"has {pattern.groups or 'no'} pairs of brackets")
    fits = (pattern.search(one.key) for one in examples)
    return [(fit[1] or "") if fit else "" for fit in fits]


def _neither(source: Path, by: str, why: str) -> UserError:
    has = ", ".join(map(repr, filter(None, cells.names(source)))) or "none"
    return UserError(f"--group {by}: no column (there are {has}), and {why}", _FORM, "name one of them")
