"""Pictures and masks in two folders: ``images/`` and ``masks/``, nested or not, split or not.

``DATA/images/**`` with ``DATA/masks/**``, train, val and test folders within each of them or around them:
``DATA/images/train/a.jpg`` or ``DATA/train/images/a.jpg``. Files are paired by their path within the folder,
whatever the suffix. A file ``classes.txt`` in DATA names the classes, 0 first.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, final

from headstart.contracts import Listing, Reader
from headstart.core.errors import UserError
from headstart.data import class_list, folder_pairs, listing, pairs
from headstart.data.class_list import ClassList
from headstart.data.mask import Coding
from headstart.data.pairs import Pair, Seen


@final
class MaskFolders(Reader):
    """Reads a folder of pictures and one of masks."""

    name: ClassVar[str] = "mask-folders"

    def recognises(self, path: Path) -> bool:
        """Say whether folders are named as pictures and masks are, and the first files pair up."""
        return folder_pairs.certain(path)

    def read(self, path: Path) -> Listing:
        """List the pairs. Raises UserError where none is left or the masks contradict each other."""
        collector = listing.Collector(self.name)
        found: list[Pair] = []
        for split, (pictures, masks) in folder_pairs.places(path).items():
            found += _pairs(path, split, pictures, masks, collector)
        classes = class_list.find(path)
        seen = pairs.look(found)
        coding, names = _meaning(seen, classes, collector)
        return pairs.collect(seen, coding, names, collector)


def _pairs(path: Path, split: str, pictures: str, masks: str, collector: listing.Collector) -> list[Pair]:
    files = pairs.files_below(path, pictures, collector), pairs.files_below(path, masks, collector)
    if split != listing.UNSPLIT:
        return pairs.match(split, *files, collector)
    # Split folders may lie within: train/a.jpg in both.
    inner = [{_split_of(name) for name in part} for part in files]
    if None in inner[0] or len(inner[0]) < 2:
        return pairs.match(split, *files, collector)
    found: list[Pair] = []
    for one in sorted(name for name in inner[0] | inner[1] if name):
        some = [{n: v for n, v in part.items() if _split_of(n) == one} for part in files]
        found += pairs.match(one, some[0], some[1], collector)
    for name in [name for name in files[1] if _split_of(name) is None]:
        collector.drop(files[1][name][0], "mask without a picture of the same name")
    return found


def _split_of(name: str) -> str | None:
    first, slash, _ = name.partition("/")
    return listing.SPLIT_NAMES.get(first.lower()) if slash else None


def _meaning(
    seen: Sequence[Seen], classes: ClassList | None, collector: listing.Collector
) -> tuple[Coding, tuple[str, ...]]:
    """Return what the masks' values mean, and the classes in order."""
    in_colour = any(one.in_colour for one in seen)
    if classes is not None:
        collector.note(f"classes read from {classes.file}")
        if in_colour and classes.colours is None:
            raise UserError(
                f"masks in colour, and {classes.file} without colours",
                "a line NAME R G B for each class",
                f"add the colours to {classes.file}",
            )
        listed = classes.colours if in_colour else classes.numbers
        values = {value for one in seen for value in one.values}
        binary = not in_colour and 255 in values and values <= {0, 255}
        if listed is not None and not (binary and len(classes.names) == 2):
            return listed, classes.names
    coding = pairs.infer(seen, classes.names if classes else (), collector)
    return coding, tuple(dict.fromkeys(coding.names.values()))
