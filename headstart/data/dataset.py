"""From a path to a listing: which layout it has, or one sentence on why it has none."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from headstart.contracts import Languages, Listing, PairReader, Reader
from headstart.core import plugins
from headstart.core.errors import UserError
from headstart.data import listing, manifest, tables
from headstart.data.listing import check_learnable, lacking
from headstart.data.manifest import Manifest
from headstart.data.rows import SUFFIXES

_FORM = "DATA/<class>/file, DATA/train/<class>/file, or a table with a label column"


def read(path: Path, layouts: Sequence[str], wanted: Languages = ("", ""), to_train: bool = True) -> Listing:
    """List the examples under ``path`` by the first of ``layouts`` that recognises it.

    ``wanted`` are the codes of the languages to translate from and into, where the user named them. Data that
    a finished model is only scored on (not ``to_train``) may hold a single class, and what their own training
    split lacks is of no concern. Raises UserError, in one sentence, where the path is missing or empty, where
    no layout fits, or where nothing can be learnt.
    """
    found = _listed(path, layouts, wanted)
    if not to_train:
        return found
    _check_two_classes(path, found)
    check_learnable(found.splits)
    return replace(found, notes=(*found.notes, *lacking(found.splits)))


def _listed(path: Path, layouts: Sequence[str], wanted: Languages) -> Listing:
    check_path(path)
    if manifest.recognises(path):
        chosen = manifest.read(path)
        return manifest.apply(chosen, _listed(chosen.data, _named(chosen, path, layouts), wanted))
    name = meant(path, layouts)
    if name is None:
        raise _unrecognised(path, layouts)
    reader: Reader = plugins.load("layout", name)
    if isinstance(reader, PairReader):
        return reader.read_pairs(path, wanted)
    if any(wanted):
        raise UserError(
            f"languages named for data in the {name} layout",
            "data in two languages",
            "leave --source-language and --target-language out",
        )
    return reader.read(path)


def meant(path: Path, layouts: Sequence[str]) -> str | None:
    """Return the layout that data are read with, certain or not; None where there is none."""
    return layout_of(path, layouts) or _of_tables(path, layouts)


def layout_of(path: Path, layouts: Sequence[str]) -> str | None:
    """Return the first of the layouts that recognises the path, None where none does.

    A manifest has the layout of the data that it names.
    """
    if manifest.recognises(path):
        found = manifest.layout(path)
        return found if found in layouts else None
    return next((name for name in layouts if plugins.load("layout", name).recognises(path)), None)


def _named(chosen: Manifest, path: Path, layouts: Sequence[str]) -> tuple[str]:
    """Return the one layout that a manifest's data are read with. Raises UserError where it cannot be."""
    if chosen.layout not in layouts or manifest.recognises(chosen.data):
        known = ", ".join(layouts)
        raise UserError(
            f"{path} names data in the layout {chosen.layout!r}",
            f"one of {known}",
            "name another task or table",
        )
    return (chosen.layout,)


def _of_tables(path: Path, layouts: Sequence[str]) -> str | None:
    """Name who reads a table that no layout is certain of: it is meant, and its reader says what it lacks."""
    if path.is_file() and path.suffix.lower() == ".tab":
        return next((name for name in layouts if name.endswith("-tab")), None)
    if path.is_file() and path.suffix.lower() not in SUFFIXES:
        return None
    # A stray table beside class folders is no data set.
    if (path.is_dir() and listing.subfolders(path)) or not tables.pieces(path):
        return None
    return next((name for name in layouts if name.endswith("-table")), None)


def check_path(path: Path) -> None:
    """Raise UserError where there is nothing to read at the path."""
    # A link to itself makes exists() raise on some versions of Python; os.path never does.
    if not os.path.exists(path):
        what = "is a link that leads nowhere" if os.path.islink(path) else "does not exist"
        raise UserError(f"{path} {what}", "a folder or a table of labelled data", "check the path")
    if not path.is_dir() and not path.is_file():
        raise UserError(f"{path} is neither a file nor a folder", "a folder or a table", "name another path")
    if path.is_dir() and not listing.entries(path):
        raise UserError(f"{path} is an empty folder", _FORM, "put the data there or name another folder")


def _check_two_classes(path: Path, found: Listing) -> None:
    # A lone test split may hold one class only; its run says what the classes are.
    if len(found.classes) != 1 or not {"train", listing.UNSPLIT} & set(found.splits):
        return
    only = found.classes[0]
    inner = path / only
    nested = inner.is_dir() and bool(listing.subfolders(inner))
    remedy = f"name {inner}, if its folders are the classes" if nested else "add examples of a second class"
    raise UserError(f"{path} has a single class, {only!r}", "two classes or more", remedy)


def _unrecognised(path: Path, layouts: Sequence[str]) -> UserError:
    if path.is_file():
        form = "a .csv, .tsv, .jsonl or .parquet file, or a folder"
        return UserError(f"{path} is no table", form, "name one of these")
    loose = [entry for entry in listing.entries(path) if not listing.is_hidden(entry.name)]
    if not any(map(listing.is_folder, loose)) and loose:
        found = (
            f"{path} holds {'1 file' if len(loose) == 1 else f'{len(loose):,} files'} but no class folders"
        )
        return UserError(found, _FORM, "move the files into a folder per class, or add a table")
    known = ", ".join(layouts)
    return UserError(
        f"{path} has none of the known layouts ({known})", _FORM, "arrange the data in one of these ways"
    )
