"""Where pictures and masks lie in a folder, told from the folders' names alone."""

import os
from itertools import islice
from pathlib import Path

from headstart.core.errors import UserError
from headstart.data import listing

PICTURES = frozenset(
    {"images", "image", "imgs", "img", "pictures", "photos", "jpegimages", "inputs", "input", "leftimg8bit"}
)
MASKS = frozenset(
    {
        *("masks", "mask", "labels", "label", "annotations", "annotation", "ann", "anns", "annots"),
        *("gt", "gtfine", "groundtruth", "ground_truth", "segmentation", "segmentations"),
        *("segmentationclass", "targets", "target", "labelids"),
    }
)
_LOOKED_AT = 16
_WRAPPED = 3


def places(path: Path) -> dict[str, tuple[str, str]]:
    """Return the folders of pictures and of masks by split, relative to ``path``; empty where none are."""
    here = _two(path, "")
    if here is not None:
        return {listing.UNSPLIT: here}
    found: dict[str, tuple[str, str]] = {}
    for name in listing.subfolders(path):
        split = listing.SPLIT_NAMES.get(name.lower())
        inner = _two(path / name, f"{name}/") if split else None
        if split and inner:
            if split in found:
                raise UserError(
                    f"{path} names the {split} split twice", f"one folder for {split}", "merge them"
                )
            found[split] = inner
    return found


def certain(path: Path) -> bool:
    """Say whether a folder holds pictures and masks: folders named so, a picture in each; never raises."""
    try:
        if not path.is_dir():
            return False
        found = list(places(path).values())
        return bool(found) and all(_holds_picture(path / folder) for pair in found for folder in pair)
    except (UserError, OSError):
        return False


def within(path: Path, deeper: int = 2) -> bool:
    """Say whether a folder, or one of the few just below, holds pictures and masks; never raises."""
    if certain(path):
        return True
    try:
        names = listing.subfolders(path) if deeper and path.is_dir() else []
    except (UserError, OSError):
        return False
    # Wrappers like VOCdevkit/VOC2012 hold next to nothing else; folders of classes are many.
    return len(names) <= _WRAPPED and any(within(path / name, deeper - 1) for name in names)


def _two(path: Path, prefix: str) -> tuple[str, str] | None:
    """Return the one folder of pictures and the one of masks; None where there is not one of each."""
    names = listing.subfolders(path)
    pictures = [name for name in names if name.lower() in PICTURES]
    masks = [name for name in names if name.lower() in MASKS]
    if len(pictures) != 1 or len(masks) != 1:
        return None
    return f"{prefix}{pictures[0]}", f"{prefix}{masks[0]}"


def _holds_picture(folder: Path) -> bool:
    found = listing.files(folder, "", listing.Collector(""), listing.refusal)
    return any(os.path.getsize(path) >= 0 for path, _ in islice(found, _LOOKED_AT))
