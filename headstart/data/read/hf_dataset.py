"""Texts with labels that Hugging Face ``datasets`` wrote with ``save_to_disk``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, final

from headstart.contracts import Listing, Reader
from headstart.core.errors import UserError
from headstart.data import columns, labels, listing, pair_columns, saved_datasets
from headstart.data.labels import Row
from headstart.data.rows import cell_text
from headstart.data.saved_datasets import kind

_LOOKED_ROWS = 200


@final
class HfDataset(Reader):
    """Reads a saved data set of texts."""

    name: ClassVar[str] = "hf-dataset"

    def recognises(self, path: Path) -> bool:
        """Say whether a folder is a saved data set with a text and a label column."""
        try:
            parts = saved_datasets.parts(path)
            if not parts:
                return False
            found = _columns(next(iter(parts.values())))
        except (UserError, OSError):
            return False
        return bool(found.names) or not pair_columns.by_name((found.text, *found.labels))

    def read(self, path: Path) -> Listing:
        """List the rows. Raises UserError for a data set that is damaged or has no such columns."""
        collector = listing.Collector(self.name)
        declared: tuple[str, ...] = ()
        rows: list[Row] = []
        labelled = ""
        for name, folder in saved_datasets.chosen(path, collector).items():
            found = _columns(folder)
            declared, labelled = found.names or declared, ", ".join(found.labels)
            for part, column in (("text", found.text), ("label", labelled)):
                collector.note(f"read column {column!r} as the {part}", folder.name)
            wanted = (found.text, *found.labels)
            for place, (file, (text, *values)) in enumerate(saved_datasets.rows(folder, wanted)):
                row, where = f"{listing.printable(folder.name)}[{place}]", f"{folder}, row {place}"
                cell = _cell(values, found, where)
                if cell is None:
                    collector.drop(row, "unlabelled (-1)")
                else:
                    rows.append(Row(name, row, where, file, cell_text(text, row), cell))
        labels.collect(rows, labelled, collector)
        return collector.listing(declared)


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns that are read, and the labels' names where their column, or columns, have them.

    Several label columns hold 0 and 1, one a label.
    """

    text: str
    labels: tuple[str, ...]
    names: tuple[str, ...]


def _columns(folder: Path) -> _Columns:
    """Return the text and the labels. Raises UserError where the types and names do not tell them."""
    features = saved_datasets.features(folder)
    typed = [name for name, one in features.items() if kind(saved_datasets.inner(one) or one) == "ClassLabel"]
    label = _one(typed, columns.LABELS) or _one(features, columns.LABELS, alone=False)
    text = _one([name for name in saved_datasets.strings(features) if name != label], columns.TEXTS)
    if text is None:
        raise columns.unclear(tuple(features), "text", columns.TEXTS, folder)
    flags = () if label is not None or typed else _flags(folder, features)
    if flags:
        return _Columns(text, flags, tuple(map(listing.class_name, flags)))
    if label is None:
        raise columns.unclear(tuple(features), "label", columns.LABELS, folder)
    of_value = saved_datasets.inner(features[label]) or features[label]
    _check_kind(of_value, label, folder)
    return _Columns(text, (label,), tuple(of_value.get("names") or ()))


def _check_kind(feature: Any, label: str, folder: Path) -> None:
    found = kind(feature)
    if found not in ("ClassLabel", "bool", *saved_datasets.STRINGS) and "int" not in found:
        raise UserError(
            f"column {label!r} of {folder} holds {found} values",
            "classes, their numbers or names, or lists of them",
            "give the column another type",
        )


def _flags(folder: Path, features: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the columns of yes and no, or of 0 and 1, where there are several; else none."""
    whole = [name for name, one in features.items() if kind(one) == "bool" or "int" in kind(one)]
    rows = list(islice(saved_datasets.rows(folder, whole), _LOOKED_ROWS))
    flags = [
        name
        for name, cells in zip(whole, zip(*(cells for _, cells in rows), strict=True), strict=False)
        if all(cell in (0, 1) for cell in cells)
    ]
    return tuple(flags) if len(flags) > 1 else ()


def _one(names: Any, known: tuple[str, ...], alone: bool = True) -> str | None:
    listed = list(names)
    place = columns.find(listed, known)
    if place is not None:
        return str(listed[place])
    return str(listed[0]) if alone and len(listed) == 1 else None


def _cell(values: Sequence[Any], found: _Columns, where: str) -> object:
    """Return a row's label or labels, None where there is none. Raises UserError for what has no name."""
    if len(found.labels) > 1:
        if any(value not in (0, 1) for value in values):
            raise UserError(f"{where}: {list(values)!r:.60}", "0 or 1 for each label", saved_datasets.REMEDY)
        return [name for name, value in zip(found.names, values, strict=True) if value]
    (value,) = values
    if not found.names:
        return "" if value is None else value
    if isinstance(value, list):
        return [_name(one, found, where) for one in value]
    return None if value is None or value == -1 else _name(value, found, where)


def _name(value: Any, found: _Columns, where: str) -> str:
    """Return the class's name. Raises UserError for a number without one."""
    if not isinstance(value, int) or not 0 <= value < len(found.names):
        raise UserError(f"{where}: label {value}", f"0 to {len(found.names) - 1}", saved_datasets.REMEDY)
    return listing.class_name(str(found.names[value]))
