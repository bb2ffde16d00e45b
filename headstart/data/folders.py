"""Files in folders named after their classes, split into train, val and test folders or not.

What counts as an example is the caller's: ``refuse`` says why a file is none. So pictures and texts
are read by the same rules, and ``census`` tells the one from the other.
"""

import os
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from headstart.contracts import Example, Listing
from headstart.core.errors import UserError
from headstart.data import listing, text
from headstart.data.listing import Refuse

_FOLDERS, _FILES = 16, 16
_DOCUMENTS = ("news articles", "articles", "documents")


@dataclass(slots=True)
class Census:
    """How many of the first files below a folder are pictures, texts, anything."""

    pictures: int = 0
    texts: int = 0
    seen: int = 0

    @property
    def of_pictures(self) -> bool:
        """Say whether the folders hold pictures, perhaps with a text beside each."""
        return self.pictures > 0 and self.pictures >= self.texts

    @property
    def of_texts(self) -> bool:
        """Say whether most of the files are texts."""
        return 2 * self.texts > self.seen

    def look(self, entry: os.DirEntry[str]) -> None:
        """Count one file."""
        self.seen += 1
        if listing.refusal(entry) is None:
            self.pictures += 1
        elif text.refusal(entry) is None:
            self.texts += 1


def census(path: Path) -> Census:
    """Look at the first 16 files of up to 16 subfolders, spread evenly. Raises UserError, OSError."""
    names = listing.subfolders(path)
    count = Census()
    for name in names[:: -(-len(names) // _FOLDERS) or 1]:
        for _ in islice(listing.files(path / name, "", listing.Collector(""), count.look), _FILES):
            pass
    return count


def paired(path: Path) -> tuple[Path, Path] | None:
    """Return the folders of documents and of their summaries, side by side as BBC News Summary has them.

    They are no classes, although they look like two.
    """
    if not path.is_dir():
        return None
    names = {name.casefold(): path / name for name in listing.subfolders(path)}
    documents = next((names[name] for name in _DOCUMENTS if name in names), None)
    return None if documents is None or "summaries" not in names else (documents, names["summaries"])


def read(path: Path, layout: str, refuse: Refuse) -> Listing:
    """List the files by class and split. Raises UserError for contradictory folders."""
    collector = listing.Collector(layout)
    folders = _split_folders(path, refuse)
    declared: list[str] = []
    for split, folder in folders.items() or ((listing.UNSPLIT, ""),):
        declared += _read_split(path, split, folder, collector, refuse)
    if folders:
        _list_strays(path, set(folders.values()), collector, refuse)
    return collector.listing(declared)


def _split_folders(path: Path, refuse: Refuse) -> dict[str, str]:
    """Return the folder's name for each split; empty where the subfolders are classes.

    A class may well be called 'train' (beside 'bus' and 'plane'): only folders that hold class folders
    are splits, and there are two of them, or nothing else holds examples.
    """
    names = listing.subfolders(path)
    aliases = {name: listing.SPLIT_NAMES.get(name.strip().lower()) for name in names}
    found: dict[str, str] = {}
    for name, split in aliases.items():
        if split is None or not listing.subfolders(path / name):
            continue
        if split in found:
            pair = f"folders {found[split]!r} and {name!r} both name the {split} split"
            raise UserError(pair, f"one folder for {split}", "merge them or remove one")
        found[split] = name
    others = [name for name, split in aliases.items() if split is None]
    if not found and names and not others:
        flat = f"{path} has split folders ({', '.join(names)}) without class folders in them"
        raise UserError(flat, "train/<class>/file", "sort the files into a folder per class, or give a table")
    return found if len(found) > 1 or not any(_holds_any(path / name, refuse) for name in others) else {}


def _read_split(
    path: Path, split: str, folder: str, collector: listing.Collector, refuse: Refuse
) -> list[str]:
    """Read one split's class folders; returns the class names found, empty ones too."""
    root = path / folder
    spellings: dict[str, str] = {}
    for name in listing.subfolders(root):
        label = listing.class_name(name)
        if label in spellings:
            collector.note("folders whose names differ only in Unicode form read as one class", label)
        spellings[label] = name
        shown = f"{folder}/{name}" if folder else name
        for file, key in listing.files(root / name, shown, collector, refuse):
            collector.add(split, Example(key, label, Path(file)))
    if split not in collector.splits:
        collector.note("split folder without examples, left out", folder or ".")
    _list_files(root, folder, collector, refuse)
    return list(spellings)


def _list_strays(path: Path, splits: set[str], collector: listing.Collector, refuse: Refuse) -> None:
    """List what lies beside the split folders."""
    _list_files(path, "", collector, refuse)
    for name in listing.subfolders(path):
        if name not in splits:
            collector.note("folder left out: it holds no class folders or is no split", name)


def _list_files(folder: Path, shown: str, collector: listing.Collector, refuse: Refuse) -> None:
    """List files that lie in no class folder."""
    for entry in listing.entries(folder):
        key = f"{shown}/{entry.name}" if shown else entry.name
        if listing.is_hidden(entry.name):
            collector.note("hidden files and folders left out", key)
        elif not listing.is_folder(entry):
            collector.drop(key, refuse(entry) or "in no class folder: it carries no label")


def _holds_any(folder: Path, refuse: Refuse) -> bool:
    """Say whether an example lies in ``folder``, directly or below."""
    return any(True for _ in listing.files(folder, "", listing.Collector(""), refuse))
