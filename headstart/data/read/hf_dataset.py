"""What Hugging Face ``datasets`` writes with ``save_to_disk``: Arrow streams with JSON files beside them.

A ``Dataset`` is a folder with ``state.json``, ``dataset_info.json`` (the columns' types, the names of the
classes) and ``data-*.arrow``; a ``DatasetDict`` is ``dataset_dict.json`` and such a folder per split.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

from headstart.contracts import Example, Listing, Reader
from headstart.core.errors import UserError
from headstart.data import columns, listing
from headstart.data.rows import cell_text
from headstart.data.text import collect

_STATE, _INFO, _DICT = "state.json", "dataset_info.json", "dataset_dict.json"
_REMEDY = "save the data set again with save_to_disk"
_STRINGS = ("string", "large_string", "string_view")


@final
class HfDataset(Reader):
    """Reads a saved data set of texts."""

    name: ClassVar[str] = "hf-dataset"

    def recognises(self, path: Path) -> bool:
        """Say whether a folder is a saved data set with a text and a label column."""
        try:
            parts = _parts(path)
            if not parts:
                return False
            _columns(next(iter(parts.values())))
        except (UserError, OSError):
            return False
        return True

    def read(self, path: Path) -> Listing:
        """List the rows. Raises UserError for a data set that is damaged or has no such columns."""
        collector = listing.Collector(self.name)
        declared: tuple[str, ...] = ()
        for name, folder in _chosen(path, _parts(path), collector).items():
            found = _columns(folder)
            declared = found.names or declared
            for part, column in (("text", found.text), ("label", found.label)):
                collector.note(f"read column {column!r} as the {part}", folder.name)
            for place, (file, text, value) in enumerate(_rows(folder, found)):
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


def _parts(path: Path) -> dict[str, Path]:
    """Return the folder of each split by the name it has; empty where this is no saved data set."""
    if (path / _DICT).is_file():
        splits = _json(path / _DICT).get("splits")
        if not isinstance(splits, list) or not all(isinstance(name, str) for name in splits):
            raise UserError(f"{path / _DICT} names no splits", "a list of them", _REMEDY)
        return {name: path / _plain(name, path / _DICT) for name in splits}
    if (path / _STATE).is_file() and (path / _INFO).is_file():
        return {str(_json(path / _STATE).get("_split")): path}
    return {}


def _chosen(path: Path, parts: Mapping[str, Path], collector: listing.Collector) -> dict[str, Path]:
    """Return the folder of each split under headstart's name for it; note those that are none."""
    if parts == {next(iter(parts), ""): path}:
        return {listing.SPLIT_NAMES.get(next(iter(parts)), listing.UNSPLIT): path}
    chosen: dict[str, Path] = {}
    for name, folder in parts.items():
        split = listing.SPLIT_NAMES.get(name.strip().lower())
        if split is None:
            collector.note("split left out: it is not called train, validation or test", name)
        elif split in chosen:
            pair = f"{chosen[split].name!r} and {name!r} both name the {split} split of {path}"
            raise UserError(pair, "one of them", "remove one")
        else:
            chosen[split] = folder
    return chosen


def _columns(folder: Path) -> _Columns:
    """Return the text and the label column. Raises UserError where the types and names do not tell them."""
    features = _json(folder / _INFO).get("features")
    if not isinstance(features, dict):
        raise UserError(f"{folder / _INFO} describes no columns", "the type of each", _REMEDY)
    labels = [name for name, feature in features.items() if _kind(feature) == "ClassLabel"]
    strings = [name for name, feature in features.items() if _kind(feature) in _STRINGS]
    label = _one(labels, columns.LABELS) or _one(features, columns.LABELS, alone=False)
    text = _one([name for name in strings if name != label], columns.TEXTS)
    if label is None or text is None:
        part, names = ("text", columns.TEXTS) if text is None else ("label", columns.LABELS)
        raise columns.unclear(tuple(features), part, names, folder)
    if _kind(features[label]) not in ("ClassLabel", "bool", *_STRINGS) and "int" not in _kind(
        features[label]
    ):
        found = f"column {label!r} of {folder} holds {_kind(features[label])} values"
        raise UserError(found, "one label per text", "multi-label data sets are not read yet")
    return _Columns(text, label, tuple(features[label].get("names") or ()))


def _kind(feature: Any) -> str:
    """Return a column's type: of a plain value its own (``string``, ``int64``), else what it is made of."""
    if not isinstance(feature, dict):
        return "list"
    kind = feature.get("_type", "struct")
    return str(feature.get("dtype")) if kind == "Value" else str(kind)


def _one(names: Any, known: tuple[str, ...], alone: bool = True) -> str | None:
    listed = list(names)
    place = columns.find(listed, known)
    if place is not None:
        return str(listed[place])
    return str(listed[0]) if alone and len(listed) == 1 else None


def _rows(folder: Path, found: _Columns) -> Iterator[tuple[Path, object, object]]:
    """Yield (file, text, label) of every row, one record batch in memory at a time."""
    import pyarrow

    state = _json(folder / _STATE)
    if state.get("_indices_data_files"):
        raise UserError(f"{folder} reorders its rows by an old scheme", "rows in their order", _REMEDY)
    for item in state.get("_data_files") or ():
        file = folder / _plain(item.get("filename"), folder / _STATE)
        try:
            with pyarrow.memory_map(str(file)) as source, pyarrow.ipc.open_stream(source) as stream:
                for batch in stream:
                    texts, labels = (batch.column(name).to_pylist() for name in (found.text, found.label))
                    yield from ((file, text, label) for text, label in zip(texts, labels, strict=True))
        except (pyarrow.ArrowException, OSError, KeyError) as error:
            reason = str(error).splitlines()[0][:120]
            raise UserError(
                f"{file} is no readable Arrow stream ({reason})", "a whole file", _REMEDY
            ) from None


def _label(value: Any, found: _Columns, row: str) -> str | None:
    """Return the class's name, None where there is none. Raises UserError for a number without a name."""
    if not found.names:
        return listing.class_name(cell_text(value, row))
    if value is None or value == -1:
        return None
    if not 0 <= value < len(found.names):
        raise UserError(f"{row}: label {value}", f"0 to {len(found.names) - 1}", _REMEDY)
    return listing.class_name(str(found.names[value]))


def _plain(name: object, file: Path) -> str:
    """Return a name of something in the same folder. Raises UserError for any other path."""
    if not isinstance(name, str) or name in ("", ".", "..") or Path(name).name != name:
        raise UserError(f"{file} names {name!r}", "a name in its own folder", _REMEDY)
    return name


def _json(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file} cannot be read ({error})", "JSON", _REMEDY) from None
    if not isinstance(value, dict):
        raise UserError(f"{file} holds a {type(value).__name__}", "a JSON object", _REMEDY)
    return value
