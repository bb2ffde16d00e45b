"""ADE20K's index masks: ``images/{training,validation}`` and ``annotations/{training,validation}``.

As MIT's scene parsing benchmark lays it out (``ADEChallengeData2016``): 0 is whatever has no class and is
ignored, 1 to K are classes, named by ``objectInfo150.txt`` where it lies beside.
"""

from pathlib import Path
from typing import ClassVar, final

from headstart.contracts import Listing, Reader
from headstart.core.errors import UserError
from headstart.data import listing, pairs
from headstart.data.mask import Coding
from headstart.data.pairs import Pair, Seen

_INFO = "objectInfo150.txt"
_SPLITS = {"training": "train", "validation": "val"}


@final
class Ade20k(Reader):
    """Reads ADE20K in the form of the scene parsing benchmark."""

    name: ClassVar[str] = "ade20k"

    def recognises(self, path: Path) -> bool:
        """Say whether the folder holds the two folders of masks under ADE20K's own names."""
        try:
            return all((path / "annotations" / name).is_dir() for name in _SPLITS) and all(
                (path / "images" / name).is_dir() for name in _SPLITS
            )
        except OSError:
            return False

    def read(self, path: Path) -> Listing:
        """List the pairs. Raises UserError where none is left."""
        collector = listing.Collector(self.name)
        found: list[Pair] = []
        for folder, split in _SPLITS.items():
            files = [
                pairs.files_below(path, f"{part}/{folder}", collector) for part in ("images", "annotations")
            ]
            found += pairs.match(split, files[0], files[1], collector)
        seen = pairs.look(found)
        names = _names(path / _INFO) or _numbers(seen, collector)
        collector.note("0 in the masks is whatever has no class: ignored")
        return pairs.collect(
            seen, Coding(names=names, ignored=frozenset({0})), tuple(names.values()), collector
        )


def _names(file: Path) -> dict[int, str]:
    """Return the class of each index; empty without the file. Raises UserError for a broken one."""
    if not file.is_file():
        return {}
    names: dict[int, str] = {}
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines()[1:]:
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) >= 2 and cells[0].isdigit():
            # 'door;double door' lists synonyms, the usual one first.
            first = cells[-1].partition(",")[0].partition(";")[0].strip()
            names[int(cells[0])] = first if first not in names.values() else cells[-1]
    if len(names) < 2 or len(set(names.values())) < len(names):
        raise UserError(
            f"{file} is no list of classes", "columns Idx ... Name, parted by tabs", "mend the file"
        )
    return names


def _numbers(seen: list[Seen], collector: listing.Collector) -> dict[int, str]:
    values = sorted({value for one in seen if not one.in_colour for value in one.values} - {0})
    collector.note(f"no {_INFO}: classes are named by their numbers")
    return {value: str(value) for value in values}
