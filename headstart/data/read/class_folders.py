"""Pictures in folders named after their classes, split into train, val and test folders or not.

``DATA/<class>/**/picture``, or ``DATA/{train,val,test}/<class>/**/picture`` with the usual other
names of splits in any letter case. ImageNet's common form, ``train/n01440764/*.JPEG``, is the same.
"""

from pathlib import Path
from typing import ClassVar, final

from headstart.contracts import Example, Listing, Reader
from headstart.core.errors import UserError
from headstart.data import listing


@final
class ClassFolders(Reader):
    """Reads one folder per class."""

    name: ClassVar[str] = "class-folders"

    def recognises(self, path: Path) -> bool:
        """Say whether a folder has subfolders that hold pictures."""
        try:
            return path.is_dir() and any(_holds_pictures(path / name) for name in listing.subfolders(path))
        except (UserError, OSError):
            return False

    def read(self, path: Path) -> Listing:
        """List the pictures. Raises UserError for contradictory folders."""
        collector = listing.Collector(self.name)
        folders = _split_folders(path)
        declared: list[str] = []
        for split, folder in folders.items() or ((listing.UNSPLIT, ""),):
            declared += _read_split(path, split, folder, collector)
        if folders:
            _list_strays(path, set(folders.values()), collector)
        return collector.listing(declared)


def _split_folders(path: Path) -> dict[str, str]:
    """Return the folder's name for each split; empty where the subfolders are classes.

    A class may well be called 'train' (beside 'bus' and 'plane'): only folders that hold class folders
    are splits, and there are two of them, or nothing else holds pictures.
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
        raise UserError(
            flat, "train/<class>/picture", "sort the pictures into a folder per class, or give a table"
        )
    return found if len(found) > 1 or not any(_holds_pictures(path / name) for name in others) else {}


def _read_split(path: Path, split: str, folder: str, collector: listing.Collector) -> list[str]:
    """Read one split's class folders; returns the class names found, empty ones too."""
    root = path / folder
    spellings: dict[str, str] = {}
    for name in listing.subfolders(root):
        label = listing.class_name(name)
        if label in spellings:
            collector.note("folders whose names differ only in Unicode form read as one class", label)
        spellings[label] = name
        shown = f"{folder}/{name}" if folder else name
        for file, key in listing.pictures(root / name, shown, collector):
            collector.add(split, Example(key, label, Path(file)))
    if split not in collector.splits:
        collector.note("split folder without pictures, left out", folder or ".")
    _list_files(root, folder, collector)
    return list(spellings)


def _list_strays(path: Path, splits: set[str], collector: listing.Collector) -> None:
    """List what lies beside the split folders."""
    _list_files(path, "", collector)
    for name in listing.subfolders(path):
        if name not in splits:
            collector.note("folder left out: it holds no class folders or is no split", name)


def _list_files(folder: Path, shown: str, collector: listing.Collector) -> None:
    """List files that lie in no class folder."""
    for entry in listing.entries(folder):
        key = f"{shown}/{entry.name}" if shown else entry.name
        if listing.is_hidden(entry.name):
            collector.note("hidden files and folders left out", key)
        elif not listing.is_folder(entry):
            collector.drop(key, listing.refusal(entry) or "in no class folder: it carries no label")


def _holds_pictures(folder: Path) -> bool:
    """Say whether a picture lies in ``folder``, directly or below."""
    collector = listing.Collector("")
    for _ in listing.pictures(folder, "", collector):
        return True
    return False
