"""Documents with their summaries: which columns of a table hold them, and what cannot be used."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.contracts import Example
from headstart.core.errors import UserError
from headstart.data import columns, listing, tables
from headstart.data.rows import Rows, cell_text
from headstart.data.text import read_text

DOCUMENTS = (
    *("article", "document", "documents", "text", "content", "body", "dialogue", "dialog", "story"),
    *("source", "passage", "report", "transcript", "description", "long_description", "email_body"),
)
SUMMARIES = (
    "highlights",
    "summary",
    "summaries",
    "synopsis",
    "tldr",
    "tl;dr",
    "abstract",
    "short_description",
)
HEADINGS = ("headline", "title", "subject")
"""Summaries only where the table has no labels: many a table of texts and labels has titles as well."""


@dataclass(frozen=True, slots=True)
class Roles:
    """Places of the columns; None where there is none."""

    document: int
    summary: int
    title: int | None
    split: int | None


def roles(names: Sequence[str]) -> Roles | None:
    """Return which columns are the document and its summary, by their names; None where they don't tell."""
    labelled = columns.find(names, columns.LABELS) is not None
    for name in (*SUMMARIES, *(() if labelled else HEADINGS)):
        summary = columns.find(names, (name,))
        if summary is None:
            continue
        document = columns.find(names, [one for one in (*DOCUMENTS, "abstract") if one != name])
        if document is not None:
            title = columns.find(names, [one for one in HEADINGS if one != name])
            return Roles(document, summary, title, columns.find(names, columns.SPLITS))
    return None


def certain(file: Path) -> bool:
    """Say whether a table certainly holds documents and summaries: by name, and the documents longer."""
    try:
        table = tables.look(file)
        found = roles(table.columns)
        if found is None:
            return False
        rows = tables.head(table)
    except (UserError, OSError):
        return False
    long, short = (
        sum(len(str(cells[place] or "")) for cells in rows) for place in (found.document, found.summary)
    )
    return long > 1.5 * short


def document_column(table: Rows, file: Path) -> int:
    """Return the column of a table that is to be summarised. Raises UserError where names don't tell."""
    place = columns.find(table.columns, (*DOCUMENTS, "abstract"))
    if place is None:
        raise columns.unclear(table.columns, "document", DOCUMENTS, file)
    return place


def note(names: Sequence[str], found: Roles, file: Path, collector: listing.Collector) -> None:
    """Say which columns were read as what, and which were not."""
    places = {
        "document": found.document,
        "summary": found.summary,
        "title": found.title,
        "split": found.split,
    }
    for part, place in places.items():
        if place is not None:
            collector.note(f"read column {names[place]!r} as the {part}", file.name)
    for place, column in enumerate(names):
        if place not in places.values():
            collector.note("columns left out", column or f"column {place + 1}, without a name")


def collect(split: str, example: Example, collector: listing.Collector) -> None:
    """Take a document with its summary into a split, or list why it cannot be used."""
    if not (example.text or "").strip():
        collector.drop(example.key, "empty document")
    elif not (example.target or "").strip():
        collector.drop(example.key, "empty summary")
    else:
        collector.add(split, example)


def example_of(cells: Sequence[object], found: Roles, key: str, file: Path) -> Example:
    """Return a table's row as an example. Raises UserError for cells that are no text."""
    title = None if found.title is None else cell_text(cells[found.title], f"{key}, title") or None
    return Example(
        key,
        "",
        file,
        text=cell_text(cells[found.document], f"{key}, document"),
        target=cell_text(cells[found.summary], f"{key}, summary"),
        title=title,
    )


def text_of(example: Example) -> tuple[str, tuple[str, ...]]:
    """Return an example's text, and what had to be done to read it. Raises BadExample."""
    return (example.text, ()) if example.text is not None else read_text(example.path)
