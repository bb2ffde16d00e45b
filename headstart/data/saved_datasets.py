"""What Hugging Face ``datasets`` writes with ``save_to_disk``: Arrow streams with JSON files beside them.

A ``Dataset`` is a folder with ``state.json``, ``dataset_info.json`` (the columns' types, the names of the
classes) and ``data-*.arrow``; a ``DatasetDict`` is ``dataset_dict.json`` and such a folder per split.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.core.errors import UserError
from headstart.data import listing
from headstart.data.rows import arrow_batches

REMEDY = "save the data set again with save_to_disk"
STRINGS = ("string", "large_string", "string_view")

_STATE, _INFO, _DICT = "state.json", "dataset_info.json", "dataset_dict.json"


def parts(path: Path) -> dict[str, Path]:
    """Return the folder of each split by the name it has; empty where this is no saved data set.

    Raises UserError where the files that describe it are damaged.
    """
    if (path / _DICT).is_file():
        splits = _json(path / _DICT).get("splits")
        if not isinstance(splits, list) or not all(isinstance(name, str) for name in splits):
            raise UserError(f"{path / _DICT} names no splits", "a list of them", REMEDY)
        return {name: path / _plain(name, path / _DICT) for name in splits}
    if (path / _STATE).is_file() and (path / _INFO).is_file():
        return {str(_json(path / _STATE).get("_split")): path}
    return {}


def chosen(path: Path, collector: listing.Collector) -> dict[str, Path]:
    """Return the folder of each split under headstart's name for it; note those that are none.

    Raises UserError where two have one name.
    """
    found = parts(path)
    if found == {next(iter(found), ""): path}:
        return {listing.SPLIT_NAMES.get(next(iter(found)), listing.UNSPLIT): path}
    by_split: dict[str, Path] = {}
    for name, folder in found.items():
        split = listing.SPLIT_NAMES.get(name.strip().lower())
        if split is None:
            collector.note("split left out: it is not called train, validation or test", name)
        elif split in by_split:
            pair = f"{by_split[split].name!r} and {name!r} both name the {split} split of {path}"
            raise UserError(pair, "one of them", "remove one")
        else:
            by_split[split] = folder
    return by_split


def features(folder: Path) -> Mapping[str, Any]:
    """Return the types of the columns. Raises UserError where nothing describes them."""
    found = _json(folder / _INFO).get("features")
    if not isinstance(found, dict):
        raise UserError(f"{folder / _INFO} describes no columns", "the type of each", REMEDY)
    return found


def kind(feature: Any) -> str:
    """Return a column's type: of a plain value its own (``string``, ``int64``), else what it is made of."""
    if not isinstance(feature, dict):
        return "list"
    name = feature.get("_type", "struct")
    return str(feature.get("dtype")) if name == "Value" else str(name)


def inner(feature: Any) -> Any | None:
    """Return what a column of lists holds; None of a column of single values."""
    if isinstance(feature, list) and len(feature) == 1:  # as older versions write them
        return feature[0]
    if isinstance(feature, dict) and feature.get("_type") in ("Sequence", "List", "LargeList"):
        return feature.get("feature")
    return None


def strings(described: Mapping[str, Any]) -> list[str]:
    """Return the columns of plain text."""
    return [name for name, feature in described.items() if kind(feature) in STRINGS]


def rows(folder: Path, names: Sequence[str]) -> Iterator[tuple[Path, tuple[object, ...]]]:
    """Yield each row's file and its cells in some columns, one record batch in memory at a time.

    Raises UserError for what is damaged.
    """
    state = _json(folder / _STATE)
    if state.get("_indices_data_files"):
        raise UserError(f"{folder} reorders its rows by an old scheme", "rows in their order", REMEDY)
    for item in state.get("_data_files") or ():
        file = folder / _plain(item.get("filename"), folder / _STATE)
        for batch in arrow_batches(file, REMEDY):
            lacking = [name for name in names if name not in batch.schema.names]
            if lacking:
                found = f"{file} is no readable Arrow stream (no column {lacking[0]!r})"
                raise UserError(found, "the columns that dataset_info.json describes", REMEDY)
            columns = [batch.column(name).to_pylist() for name in names]
            yield from ((file, cells) for cells in zip(*columns, strict=True))


def _plain(name: object, file: Path) -> str:
    """Return a name of something in the same folder. Raises UserError for any other path."""
    if not isinstance(name, str) or name in ("", ".", "..") or Path(name).name != name:
        raise UserError(f"{file} names {name!r}", "a name in its own folder", REMEDY)
    return name


def _json(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file} cannot be read ({error})", "JSON", REMEDY) from None
    if not isinstance(value, dict):
        raise UserError(f"{file} holds a {type(value).__name__}", "a JSON object", REMEDY)
    return value
