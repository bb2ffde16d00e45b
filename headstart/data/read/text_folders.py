"""Texts in folders named after their classes, split into train, val and test folders or not.

``DATA/<class>/**/*.txt``, or ``DATA/{train,val,test}/<class>/**/*.txt``; also files without a suffix,
as 20 Newsgroups and mail corpora have in their raw form, told by their content. The texts are not
read here but when they are needed, by ``data.text.read_text``.
"""

from pathlib import Path
from typing import ClassVar, final

from headstart.contracts import Listing, Reader
from headstart.core.errors import UserError
from headstart.data import folders, text


@final
class TextFolders(Reader):
    """Reads one folder of text files per class."""

    name: ClassVar[str] = "text-folders"

    def recognises(self, path: Path) -> bool:
        """Say whether a folder has subfolders that hold mostly texts."""
        try:
            return path.is_dir() and folders.paired(path) is None and folders.census(path).of_texts
        except (UserError, OSError):
            return False

    def read(self, path: Path) -> Listing:
        """List the text files. Raises UserError for contradictory folders."""
        return folders.read(path, self.name, text.refusal)
