"""CNN/DailyMail as first published: a ``.story`` file an article, its highlights after ``@highlight`` lines.

``DATA/*.story``, ``DATA/stories/*.story``, ``DATA/{cnn,dailymail}/stories/*.story``, or below folders
named after splits. A list of addresses (``cnn_wayback_training_urls.txt``, ``all_train.txt`` ... in DATA or
DATA/url_lists) puts the article whose file is named after an address's SHA-1 into its split
(github.com/abisee/cnn-dailymail).
"""

import hashlib
import re
from pathlib import Path
from typing import ClassVar, final

from headstart.contracts import Example, Listing, Reader
from headstart.core.errors import BadExample, UserError
from headstart.data import documents, listing
from headstart.data.text import read_text

_SUFFIX, _MARK = ".story", "@highlight"
_LIST = re.compile(r"(?:.*_)?(train|training|val|valid|validation|test)(?:_urls)?\.txt", re.IGNORECASE)
_LOOKED = 64


@final
class StoryFiles(Reader):
    """Reads ``.story`` files."""

    name: ClassVar[str] = "story-files"

    def recognises(self, path: Path) -> bool:
        """Say whether there is a ``.story`` file in the folder or up to two folders below."""
        try:
            return path.is_dir() and any(_holds(folder) for folder in _places(path))
        except (UserError, OSError):
            return False

    def read(self, path: Path) -> Listing:
        """List the stories. Raises UserError where no story can be used."""
        collector = listing.Collector(self.name)
        split_of = _lists(path)
        if split_of:
            collector.note("splits taken from the lists of addresses")
        for file, key in listing.files(path, "", collector, lambda entry: None):
            if not file.endswith(_SUFFIX):
                continue
            split = split_of.get(Path(file).stem) if split_of else _split_of(key)
            if split is None:
                collector.drop(key, "in none of the lists of addresses")
            else:
                _take(Path(file), key, split, collector)
        return collector.listing()


def parse(story: str) -> tuple[str, str]:
    """Return a story's article and its highlights, one a line."""
    article, *highlights = re.split(rf"^\s*{_MARK}\s*$", story, flags=re.MULTILINE)
    lines = (" ".join(highlight.split()) for highlight in highlights)
    return article.strip(), "\n".join(line for line in lines if line)


def _take(file: Path, key: str, split: str, collector: listing.Collector) -> None:
    try:
        story, notes = read_text(file)
    except BadExample as error:
        collector.drop(key, str(error))
        return
    for note in notes:
        collector.note(note, key)
    article, highlights = parse(story)
    documents.collect(split, Example(key, "", file, text=article, target=highlights), collector)


def _places(path: Path) -> list[Path]:
    first = [path / name for name in listing.subfolders(path)[:_LOOKED]]
    return [path, *first, *(one / name for one in first for name in listing.subfolders(one)[:_LOOKED])]


def _holds(folder: Path) -> bool:
    return any(entry.name.endswith(_SUFFIX) for entry in listing.entries(folder)[:_LOOKED])


def _split_of(key: str) -> str:
    """Return the split that one of the folders above a story names."""
    named = (listing.SPLIT_NAMES.get(part.lower()) for part in key.split("/")[:-1])
    return next((split for split in named if split is not None), listing.UNSPLIT)


def _lists(path: Path) -> dict[str, str]:
    """Return the split of each story that an address list names, by its file's stem."""
    split_of: dict[str, str] = {}
    for folder in (path, path / "url_lists"):
        for entry in listing.entries(folder) if folder.is_dir() else ():
            named = _LIST.fullmatch(entry.name)
            if named is None or not entry.is_file():
                continue
            for address in Path(entry.path).read_text(errors="replace").split():
                stem = hashlib.sha1(address.encode(), usedforsecurity=False).hexdigest()
                split_of[stem] = listing.SPLIT_NAMES[named[1].lower()]
    return split_of
