"""Texts with any number of labels: the truth, its targets, and how the cells of a table hold it.

Shape letters: N examples, K classes.
"""

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from headstart.contracts import Array, Example, Truth
from headstart.data import columns, listing, text
from headstart.data.rows import cell_text

JOINTS = ("|", ";", ",")
_MOST_WRITTEN = 10_000


@final
@dataclass(frozen=True, slots=True)
class Labels(Truth):
    """The labels that are right of an example: any number of them, none included."""

    kind = "labels"

    given: tuple[str, ...]

    def digest(self) -> bytes:
        """Return the labels, whatever their order."""
        return "\0".join(sorted(self.given)).encode()

    def names(self) -> tuple[str, ...]:
        """Return the labels."""
        return self.given


def places(examples: Sequence[Example], classes: Sequence[str]) -> Array:
    """Return the place of each example's one class, int64 [N]: they agree by name, never by position.

    A class that is none of them gets K: held-out examples may have one that training never saw.
    """
    of_name = {name: place for place, name in enumerate(classes)}
    return np.array([of_name.get(example.label, len(classes)) for example in examples], dtype=np.int64)


def indicators(examples: Sequence[Example], classes: Sequence[str]) -> Array:
    """Return 1 where a label is right of an example, else 0, uint8 [N, K]; no others."""
    of_name = {name: place for place, name in enumerate(classes)}
    found_NK = np.zeros((len(examples), len(classes)), dtype=np.uint8)
    for row_K, example in zip(found_NK, examples, strict=True):
        row_K[[of_name[name] for name in example.names() if name in of_name]] = 1
    return found_NK


def widened(values_nK: Array, classes: Sequence[str]) -> Array:
    """Return values of all classes, where those of the last ones lack: 0, for they are never predicted."""
    return np.pad(values_nK, ((0, 0), (0, len(classes) - values_nK.shape[1])))


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table whose label cell is still to be understood; ``where`` names it in errors."""

    split: str
    key: str
    where: str
    file: Path
    text: str
    cell: object


def collect(rows: Sequence[Row], column: str, collector: listing.Collector) -> None:
    """Take rows in: texts of one class each, or of any number of labels where the cells certainly say so.

    ``column`` is the label column's name. Raises UserError, with the row, for a cell unlike the others.
    """
    several = _Several.of([row.cell for row in rows], column)
    if several is None:
        for row in rows:
            label = listing.class_name(cell_text(row.cell, f"{row.where}, label"))
            text.collect(row.split, Example(row.key, label, row.file, text=row.text), collector)
        return
    found = [(row, several.names(row.cell, f"{row.where}, label")) for row in rows]
    if all(names is None or len(names) == 1 for _, names in found):
        collector.note("each text has exactly one label: read as its class", column)
        for row, names in found:
            label = names[0] if names else ""
            text.collect(row.split, Example(row.key, label, row.file, text=row.text), collector)
        return
    collector.note(f"a text may have several labels: {several.told}", column)
    for row, names in found:
        if names is None:
            collector.drop(row.key, "unlabelled")
            continue
        once = tuple(dict.fromkeys(names))
        if len(once) < len(names):
            collector.note("a label named twice for one text, counted once", row.key)
        example = Example(row.key, "", row.file, text=row.text, truth=Labels(once))
        if text.collect(row.split, example, collector) and not once:
            collector.note("text that no label is right of", row.key)


@dataclass(frozen=True, slots=True)
class _Several:
    """How a column's cells hold several labels: as lists, perhaps written out, or parted by a ``joint``."""

    told: str
    joint: str = ""
    written: bool = False
    hot: bool = False

    @staticmethod
    def of(cells: Sequence[object], column: str) -> "_Several | None":
        """Return how, None where each cell is one label or it is not certain."""
        lists = [cell for cell in cells if isinstance(cell, list)]
        if lists:
            hot = _one_hot(lists)
            return _Several("0 and 1 for each in a list" if hot else "lists", hot=hot)
        filled = [cell.strip() for cell in cells if isinstance(cell, str) and cell.strip()]
        if not filled:
            return None
        if all(cell[0] == "[" and cell[-1] == "]" and _written(cell) is not None for cell in filled):
            return _Several("lists written as text", written=True)
        many = columns.folded(column) in columns.MANY
        joint = next((one for one in JOINTS if _parts(filled, one, many)), None)
        return None if joint is None else _Several(f"parted by {joint!r}", joint=joint)

    def names(self, cell: object, where: str) -> tuple[str, ...] | None:
        """Return a cell's labels, None where it has no value. Raises UserError, naming ``where``."""
        if cell is None or cell != cell:  # noqa: PLR0124 - only NaN differs from itself
            return None
        items: Iterable[object] = [cell]
        if isinstance(cell, list):
            items = [place for place, one in enumerate(cell) if one] if self.hot else cell
        elif isinstance(cell, str) and self.joint:
            items = cell.split(self.joint)
        elif isinstance(cell, str) and self.written:
            items = _written(cell) or ()
        named = (listing.class_name(cell_text(item, where)) for item in items)
        return tuple(name for name in named if name)


def _one_hot(lists: Sequence[list[object]]) -> bool:
    """Say whether lists hold 0 or 1 for every label rather than labels: of one length, with repeats."""
    widths = {len(one) for one in lists}
    return (
        len(widths) == 1
        and widths != {1}
        and any(len(set(map(str, one))) < len(one) for one in lists)
        and all(isinstance(item, int | float) and item in (0, 1) for one in lists for item in one)
    )


def _written(cell: str) -> list[object] | None:
    """Return a list written as Python or JSON writes it; None where it is none."""
    try:
        value = ast.literal_eval(cell.strip()) if len(cell) <= _MOST_WRITTEN else None
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    return value if isinstance(value, list) else None


def _parts(cells: Sequence[str], joint: str, many: bool) -> bool:
    """Say whether cells are certainly labels parted by ``joint``.

    They are where the column's name is plural and the joint is no comma; or where there are fewer
    different parts than different cells, and half of the parts or more stand alone in some cell.
    """
    whole = set(cells)
    if not any(joint in cell for cell in whole):
        return False
    if many and joint != ",":
        return True
    parts = {part.strip() for cell in whole for part in cell.split(joint)} - {""}
    return len(parts) < len(whole) and (many or 2 * len(parts & whole) >= len(parts))
