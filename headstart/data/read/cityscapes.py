"""Cityscapes: ``leftImg8bit/SPLIT/CITY/*_leftImg8bit.png`` and ``gtFine/SPLIT/CITY/*_gtFine_labelIds.png``.

Label ids become the 19 classes of the benchmark (train ids); all others are ignored, as the
benchmark's own scripts do (github.com/mcordts/cityscapesScripts, ``labels.py``). Where only
``labelTrainIds`` files are there, those are read. The public test masks are empty, and left out.
"""

from pathlib import Path
from typing import ClassVar, final

from headstart.contracts import Listing, Reader
from headstart.core.errors import UserError
from headstart.data import listing, pairs
from headstart.data.mask import Coding
from headstart.data.pairs import Pair

CLASSES = {
    **{7: "road", 8: "sidewalk", 11: "building", 12: "wall", 13: "fence", 17: "pole", 19: "traffic light"},
    **{20: "traffic sign", 21: "vegetation", 22: "terrain", 23: "sky", 24: "person", 25: "rider"},
    **{26: "car", 27: "truck", 28: "bus", 31: "train", 32: "motorcycle", 33: "bicycle"},
}
"""Label id to class, in the order of the train ids 0 to 18."""
_NAMES = tuple(CLASSES.values())
_IDS = Coding(names=CLASSES, ignored=frozenset({*range(34), 255} - CLASSES.keys()))
_TRAIN_IDS = Coding(names=dict(enumerate(_NAMES)), ignored=frozenset({255}))
_PICTURES, _MASKS = "leftImg8bit", "gtFine"


@final
class Cityscapes(Reader):
    """Reads Cityscapes' fine annotations."""

    name: ClassVar[str] = "cityscapes"

    def recognises(self, path: Path) -> bool:
        """Say whether the folder holds ``leftImg8bit`` and ``gtFine`` with a common split."""
        try:
            return bool(_splits(path))
        except (UserError, OSError):
            return False

    def read(self, path: Path) -> Listing:
        """List the pictures. Raises UserError where no picture has a mask."""
        collector = listing.Collector(self.name)
        found: list[Pair] = []
        kinds: set[str] = set()
        for split in _splits(path):
            if split == "test":
                collector.note("test split left out: its public masks are empty")
                continue
            found += _read_split(path, split, kinds, collector)
        if len(kinds) > 1:
            raise UserError("masks of label ids and of train ids", "one kind for all pictures", "remove one")
        train_ids = kinds == {"labelTrainIds"}
        collector.note(
            "train ids read as they are"
            if train_ids
            else "label ids read as the benchmark's 19 classes, the others ignored"
        )
        return pairs.listed(found, _TRAIN_IDS if train_ids else _IDS, _NAMES, collector)


def _splits(path: Path) -> list[str]:
    both = [set(listing.subfolders(path / part)) for part in (_PICTURES, _MASKS) if (path / part).is_dir()]
    return [split for split in ("train", "val", "test") if len(both) == 2 and split in both[0] & both[1]]


def _read_split(path: Path, split: str, kinds: set[str], collector: listing.Collector) -> list[Pair]:
    pictures = pairs.files_below(path, f"{_PICTURES}/{split}", collector)
    quiet = listing.Collector("")  # gtFine holds polygons and instances, which belong to other tasks
    masks = pairs.files_below(path, f"{_MASKS}/{split}", quiet)
    found = []
    for name, (key, file) in sorted(pictures.items()):
        stem = name.rpartition(".")[0].removesuffix(f"_{_PICTURES}")
        for kind in ("labelIds", "labelTrainIds"):
            mask = masks.get(f"{stem}_{_MASKS}_{kind}.png")
            if mask is not None:
                kinds.add(kind)
                found.append(Pair(split, key, file, mask[1]))
                break
        else:
            collector.drop(key, f"picture without {stem}_{_MASKS}_labelIds.png")
    return found
