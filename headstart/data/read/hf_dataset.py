"""Texts with labels that Hugging Face ``datasets`` wrote with ``save_to_disk``."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

from headstart.contracts import Example, Listing, Reader
from headstart.core.errors import UserError
from headstart.data import columns, listing, pair_columns, saved_datasets
from headstart.data.rows import cell_text
from headstart.data.saved_datasets import kind
from headstart.data.text import collect


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
        return bool(found.names) or not pair_columns.by_name((found.text, found.label))

    def read(self, path: Path) -> Listing:
        """List the rows. Raises UserError for a data set that is damaged or has no such columns."""
        collector = listing.Collector(self.name)
        declared: tuple[str, ...] = ()
        for name, folder in saved_datasets.chosen(path, collector).items():
            found = _columns(folder)
            declared = found.names or declared
            for part, column in (("text", found.text), ("label", found.label)):
                collector.note(f"read column {column!r} as the {part}", folder.name)
            for place, (file, (text, value)) in enumerate(
                saved_datasets.rows(folder, (found.text, found.label))
            ):
                row = f"{listing.printable(folder.name)}[{place}]"
                label = _label(value, found, f"{folder}, row {place}")
                if label is None:
                    collector.drop(row, "unlabelled (-1)")
                else:
                    collect(name, Example(row, label, file, text=cell_text(text, row)), collector)
        return collector.listing(declared)


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns that are read, and the classes' names where the label is a ClassLabel."""

    text: str
    label: str
    names: tuple[str, ...]


def _columns(folder: Path) -> _Columns:
    """Return the text and the label column. Raises UserError where the types and names do not tell them."""
    features = saved_datasets.features(folder)
    labels = [name for name, feature in features.items() if kind(feature) == "ClassLabel"]
    label = _one(labels, columns.LABELS) or _one(features, columns.LABELS, alone=False)
    text = _one([name for name in saved_datasets.strings(features) if name != label], columns.TEXTS)
    if label is None or text is None:
        part, names = ("text", columns.TEXTS) if text is None else ("label", columns.LABELS)
        raise columns.unclear(tuple(features), part, names, folder)
    _check_kind(features, label, folder)
    return _Columns(text, label, tuple(features[label].get("names") or ()))


def _check_kind(features: Mapping[str, Any], label: str, folder: Path) -> None:
    found = kind(features[label])
    if found not in ("ClassLabel", "bool", *saved_datasets.STRINGS) and "int" not in found:
        raise UserError(
            f"column {label!r} of {folder} holds {found} values",
            "one label per text",
            "multi-label data sets are not read yet",
        )


def _one(names: Any, known: tuple[str, ...], alone: bool = True) -> str | None:
    listed = list(names)
    place = columns.find(listed, known)
    if place is not None:
        return str(listed[place])
    return str(listed[0]) if alone and len(listed) == 1 else None


def _label(value: Any, found: _Columns, row: str) -> str | None:
    """Return the class's name, None where there is none. Raises UserError for a number without a name."""
    if not found.names:
        return listing.class_name(cell_text(value, row))
    if value is None or value == -1:
        return None
    if not 0 <= value < len(found.names):
        raise UserError(f"{row}: label {value}", f"0 to {len(found.names) - 1}", saved_datasets.REMEDY)
    return listing.class_name(str(found.names[value]))
