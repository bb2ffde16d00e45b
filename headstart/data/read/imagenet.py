"""ImageNet (ILSVRC) as published: a flat ``val`` folder whose labels lie in a table beside it.

``ILSVRC/Data/CLS-LOC/{train/<wnid>/*.JPEG, val/*.JPEG, test/*.JPEG}`` with ``LOC_val_solution.csv`` and
``LOC_synset_mapping.txt``, as on Kaggle; or ``train`` and a flat ``val`` directly in the folder.
With ``val/<wnid>/`` it is the common class-folder layout, read as that.
"""

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, final

from headstart.contracts import Example, Listing, Reader
from headstart.core.errors import UserError
from headstart.data import listing

_WNID = re.compile(r"n\d{8}")
_SOLUTION, _MAPPING = "LOC_val_solution.csv", "LOC_synset_mapping.txt"
_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
_UP = 3
"""Kaggle's tables lie three folders above ``CLS-LOC``."""


@final
class Imagenet(Reader):
    """Reads ImageNet's own layout; a class is called by its WordNet number and first name."""

    name: ClassVar[str] = "imagenet"

    def recognises(self, path: Path) -> bool:
        """Say whether the folder, or one in it, has WordNet folders in ``train`` and a flat ``val``."""
        try:
            root = _root(path)
            return root is not None and not listing.subfolders(root / "val")
        except (UserError, OSError):
            return False

    def read(self, path: Path) -> Listing:
        """List the pictures. Raises UserError where the labels of ``val`` are not there."""
        root = _root(path)
        if root is None:
            raise UserError(f"{path} has no train/<wnid> and val", "ImageNet's layout", "name its folder")
        collector = listing.Collector(self.name)
        names = _class_names(root)
        for wnid in listing.subfolders(root / "train"):
            label = names.get(wnid, wnid)
            for file, key in listing.pictures(root / "train" / wnid, f"train/{wnid}", collector):
                collector.add("train", Example(key, label, Path(file)))
        _read_val(root, names, collector)
        if (root / "test").is_dir():
            count = sum(1 for _ in listing.pictures(root / "test", "test", listing.Collector("")))
            collector.note(f"test folder left out: its {count:,} pictures have no public labels", "test")
        return collector.listing(names.values())


def _root(path: Path) -> Path | None:
    for inner in ("", "CLS-LOC", "Data/CLS-LOC", "ILSVRC/Data/CLS-LOC"):
        root = path / inner
        if (root / "train").is_dir() and (root / "val").is_dir():
            folders = listing.subfolders(root / "train")
            return root if any(_WNID.fullmatch(name) for name in folders) else None
    return None


def _beside(root: Path, name: str) -> Path | None:
    """Find a table in the folder or up to three folders above it."""
    above = (root, *root.resolve().parents[:_UP])
    return next((folder / name for folder in above if (folder / name).is_file()), None)


def _class_names(root: Path) -> dict[str, str]:
    """Return 'n01440764 tench' for each number; two classes are 'crane', so the number stays."""
    file = _beside(root, _MAPPING)
    if file is None:
        return {}
    names: dict[str, str] = {}
    for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        wnid, _, words = line.strip().partition(" ")
        if not _WNID.fullmatch(wnid):
            raise UserError(
                f"{file}, line {number}: {line[:40]!r}", "a WordNet number, then names", "mend the file"
            )
        names[wnid] = f"{wnid} {words.split(',')[0].strip()}".strip()
    return names


def _read_val(root: Path, names: Mapping[str, str], collector: listing.Collector) -> None:
    wnids = _solution(root)
    for file, key in listing.pictures(root / "val", "val", collector):
        wnid = wnids.pop(Path(file).stem, None)
        if wnid is None:
            collector.drop(key, f"not in {_SOLUTION}: it carries no label")
        else:
            collector.add("val", Example(key, names.get(wnid, wnid), Path(file)))
    for image in wnids:
        collector.drop(f"val/{image}.JPEG", f"named in {_SOLUTION}, but not there")


def _solution(root: Path) -> dict[str, str]:
    """Return the WordNet number of each validation picture, by its name without suffix."""
    file = _beside(root, _SOLUTION)
    if file is None:
        truth = _beside(root, _TRUTH)
        found = f"{root / 'val'} is flat and has no {_SOLUTION}"
        if truth is not None:
            found += f" ({truth.name} counts classes in the order of meta.mat, which is not read)"
        expected = "the label of each validation picture"
        raise UserError(found, expected, f"put {_SOLUTION} beside it, or sort the pictures into val/<wnid>/")
    with file.open(encoding="utf-8-sig", newline="", errors="replace") as opened:
        rows = list(csv.reader(opened))
    wnids: dict[str, str] = {}
    for number, row in enumerate(rows[1:], 2):
        wnid = row[1].split(" ")[0] if len(row) == 2 else ""
        if not _WNID.fullmatch(wnid):
            raise UserError(
                f"{file}, row {number}: {row!r:.60}", "ImageId,PredictionString", "get the file again"
            )
        wnids[row[0]] = wnid
    return wnids
