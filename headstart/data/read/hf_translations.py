"""Texts with translations that Hugging Face ``datasets`` wrote with ``save_to_disk``.

A column ``translation`` of objects such as ``{"de": ..., "en": ...}``, as WMT and OPUS sets have; or columns
called after languages, or ``source`` and ``target``.
"""

from itertools import islice
from pathlib import Path
from typing import ClassVar, final

from headstart.contracts import Languages, Listing, PairReader
from headstart.core.errors import UserError
from headstart.data import languages, listing, pair_columns, saved_datasets
from headstart.data.bitext import Pairs
from headstart.data.saved_datasets import kind

_LOOKED_ROWS = 200


@final
class HfTranslations(PairReader):
    """Reads a saved data set of texts and translations."""

    name: ClassVar[str] = "hf-translations"

    def recognises(self, path: Path) -> bool:
        """Say whether a folder is a saved data set whose first rows hold texts and translations."""
        try:
            folder = next(iter(saved_datasets.parts(path).values()), None)
            return folder is not None and pair_columns.certain_rows(_names(folder), _head(folder))
        except (UserError, OSError):
            return False

    def read_pairs(self, path: Path, wanted: Languages) -> Listing:
        """List the rows. Raises UserError for a data set that is damaged or has no such columns."""
        wanted, pairs = languages.check(wanted), Pairs(("", ""), listing.Collector(self.name))
        for split, folder in saved_datasets.chosen(path, pairs.collector).items():
            names = _names(folder)
            sides = pair_columns.choose(names, _head(folder), wanted, folder)
            if sides is None:
                raise pair_columns.lacking(names, folder)
            pairs.begin(sides.languages, folder)
            sides.note(names, folder.name, pairs.collector)
            for place, (file, cells) in enumerate(saved_datasets.rows(folder, names)):
                key = f"{listing.printable(folder.name)}[{place}]"
                pairs.add(split, key, file, sides.of(cells, f"{folder}, row {place}"))
        return pairs.listing()


def _names(folder: Path) -> list[str]:
    """Return the columns of texts, and of objects that may hold some."""
    features = saved_datasets.features(folder)
    texts = saved_datasets.strings(features)
    return [name for name in features if name in texts or kind(features[name]) in ("Translation", "struct")]


def _head(folder: Path) -> list[tuple[object, ...]]:
    return [cells for _, cells in islice(saved_datasets.rows(folder, _names(folder)), _LOOKED_ROWS)]
