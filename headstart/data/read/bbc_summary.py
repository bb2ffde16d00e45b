"""BBC News Summary: ``News Articles/<topic>/*.txt`` beside ``Summaries/<topic>/*.txt`` of the same names.

An article's first line, where an empty one follows, is its title (D. Greene and P. Cunningham, ICML 2006).
"""

from pathlib import Path
from typing import ClassVar, final

from headstart.contracts import Example, Listing, Reader
from headstart.core.errors import BadExample, UserError
from headstart.data import documents, folders, listing, text
from headstart.data.text import read_text


@final
class BbcSummary(Reader):
    """Reads a folder of articles beside a folder of summaries."""

    name: ClassVar[str] = "bbc-summary"

    def recognises(self, path: Path) -> bool:
        """Say whether the two folders are there."""
        try:
            return folders.paired(path) is not None
        except (UserError, OSError):
            return False

    def read(self, path: Path) -> Listing:
        """List the articles that have a summary. Raises UserError where there is none."""
        collector = listing.Collector(self.name)
        pair = folders.paired(path)
        if pair is None:
            raise UserError(
                f"{path} has no folders of articles and summaries",
                "News Articles/<topic>/*.txt and Summaries/<topic>/*.txt",
                "name the folder that holds both",
            )
        articles, summaries = (
            {key: Path(file) for file, key in listing.files(folder, "", collector, text.refusal)}
            for folder in pair
        )
        for key, file in articles.items():
            if key not in summaries:
                collector.drop(key, "no summary of that name")
            else:
                _take(key, (file, summaries[key]), collector)
        for key in summaries.keys() - articles.keys():
            collector.drop(key, "a summary without its article")
        return collector.listing()


def _take(key: str, pair: tuple[Path, Path], collector: listing.Collector) -> None:
    try:
        (article, notes), (summary, more) = (read_text(file) for file in pair)
    except BadExample as error:
        collector.drop(key, str(error))
        return
    for note in (*notes, *more):
        collector.note(note, key)
    first, _, rest = article.lstrip().partition("\n")
    title = first.strip() if rest.startswith("\n") and rest.strip() else None
    example = Example(key, "", pair[0], text=article, target=summary, title=title)
    documents.collect(listing.UNSPLIT, example, collector)
