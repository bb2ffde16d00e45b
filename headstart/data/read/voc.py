"""PASCAL VOC: ``JPEGImages``, ``SegmentationClass`` (palette PNG, 255 ignored), ``ImageSets/Segmentation``.

The folder itself, or one above it (``VOCdevkit/VOC2012``). A class list in the folder
(``class_names.txt``, as labelme writes it) takes the place of VOC's 20 classes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, final

from headstart.contracts import Listing, Reader
from headstart.core.errors import UserError
from headstart.data import class_list, listing, pairs
from headstart.data.mask import Coding
from headstart.data.pairs import Pair

CLASSES: tuple[str, ...] = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train"),
    "tvmonitor",
)
_PICTURES, _MASKS, _LISTS = "JPEGImages", "SegmentationClass", "ImageSets/Segmentation"


@final
class Voc(Reader):
    """Reads PASCAL VOC's segmentation task."""

    name: ClassVar[str] = "voc"

    def recognises(self, path: Path) -> bool:
        """Say whether the folder, or one folder in it, is laid out as VOC's year folders are."""
        return _root(path) is not None

    def read(self, path: Path) -> Listing:
        """List the pictures that the split lists name. Raises UserError for lists without pictures."""
        root = _root(path) or path
        collector = listing.Collector(self.name)
        given = class_list.find(root)
        coding = Coding(names=dict(enumerate(CLASSES)), ignored=frozenset({255}))
        classes = CLASSES
        if given is not None and given.numbers is not None:
            coding, classes = given.numbers, given.names
            collector.note(f"classes read from {given.file}")
        files = (pairs.files_below(root, folder, collector) for folder in (_PICTURES, _MASKS))
        pictures, masks = files
        lists = _lists(root)
        if not lists:
            collector.note(f"no lists in {_LISTS}: every picture with a mask is used")
            found = _with_masks(pictures, masks, collector)
        else:
            found = []
            for split, names in lists.items():
                found += _named(split, names, pictures, masks, collector)
        return pairs.listed(found, coding, classes, collector)


def _root(path: Path) -> Path | None:
    """Return the folder that holds the pictures and masks; None where there is not exactly one."""
    try:
        if not path.is_dir():
            return None
        near = [path, *(path / name for name in listing.subfolders(path))]
        near += [path / "VOCdevkit" / name for name in _subfolders(path / "VOCdevkit")]
    except (UserError, OSError):
        return None
    found = [one for one in near if (one / _PICTURES).is_dir() and (one / _MASKS).is_dir()]
    return found[0] if len(found) == 1 else None


def _subfolders(path: Path) -> list[str]:
    return listing.subfolders(path) if path.is_dir() else []


def _lists(root: Path) -> dict[str, list[str]]:
    """Return the names listed for each split; trainval is train and val together, and not read."""
    found: dict[str, list[str]] = {}
    for split in ("train", "val", "test"):
        file = root / _LISTS / f"{split}.txt"
        if file.is_file():
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            names = [line.split()[0] for line in lines if line.strip()]
            if names:
                found[split] = names
    return found


def _named(
    split: str, names: list[str], pictures: pairs.Files, masks: pairs.Files, collector: listing.Collector
) -> list[Pair]:
    by_stem = {key.rpartition(".")[0]: key for key in pictures}
    mask_of = {key.rpartition(".")[0]: key for key in masks}
    found = []
    for name in names:
        if name not in by_stem:
            collector.drop(f"{_PICTURES}/{name}", f"listed for {split}, but there is no such picture")
        elif name not in mask_of:
            collector.drop(pictures[by_stem[name]][0], f"listed for {split}, but it has no mask")
        else:
            key, path = pictures[by_stem[name]]
            found.append(Pair(split, key, path, masks[mask_of[name]][1]))
    return found


def _with_masks(pictures: pairs.Files, masks: pairs.Files, collector: listing.Collector) -> list[Pair]:
    """Pair what has a mask; in VOC most pictures have none, for they serve other tasks."""
    stems = {key.rpartition(".")[0] for key in masks}
    some: Mapping[str, tuple[str, Path]] = {
        k: v for k, v in pictures.items() if k.rpartition(".")[0] in stems
    }
    if len(some) < len(pictures):
        collector.note(f"{len(pictures) - len(some):,} pictures without a mask left out")
    return pairs.match(listing.UNSPLIT, some, masks, collector)
