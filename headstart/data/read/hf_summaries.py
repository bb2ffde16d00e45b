"""Documents with summaries that Hugging Face ``datasets`` saved: CNN/DailyMail, XSum ... by ``save_to_disk``.

The columns are told by their names (``article`` and ``highlights``, ``document`` and ``summary`` ...).
"""

from pathlib import Path
from typing import ClassVar, final

from headstart.contracts import Listing, Reader
from headstart.core.errors import UserError
from headstart.data import columns, documents, listing, saved_datasets
from headstart.data.documents import Roles


@final
class HfSummaries(Reader):
    """Reads a saved data set of documents and summaries."""

    name: ClassVar[str] = "hf-summaries"

    def recognises(self, path: Path) -> bool:
        """Say whether a folder is a saved data set with a document and a summary column."""
        try:
            folder = next(iter(saved_datasets.parts(path).values()), None)
            return folder is not None and documents.roles(_strings(folder)) is not None
        except (UserError, OSError):
            return False

    def read(self, path: Path) -> Listing:
        """List the rows. Raises UserError for a data set that is damaged or has no such columns."""
        collector = listing.Collector(self.name)
        for split, folder in saved_datasets.chosen(path, collector).items():
            names = _strings(folder)
            found = documents.roles(names)
            if found is None:
                raise columns.unclear(names, "document or summary", documents.SUMMARIES, folder)
            documents.note(names, Roles(found.document, found.summary, found.title, None), folder, collector)
            for place, (file, cells) in enumerate(saved_datasets.rows(folder, names)):
                key = f"{listing.printable(folder.name)}[{place}]"
                documents.collect(split, documents.example_of(cells, found, key, file), collector)
        return collector.listing()


def _strings(folder: Path) -> list[str]:
    return saved_datasets.strings(saved_datasets.features(folder))
