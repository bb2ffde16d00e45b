"""Pictures in folders named after their classes, split into train, val and test folders or not.

``DATA/<class>/**/picture``, or ``DATA/{train,val,test}/<class>/**/picture`` with the usual other
names of splits in any letter case. ImageNet's common form, ``train/n01440764/*.JPEG``, is the same.
"""

from pathlib import Path
from typing import ClassVar, final

from headstart.contracts import Listing, Reader
from headstart.core.errors import UserError
from headstart.data import folder_pairs, folders, listing


@final
class ClassFolders(Reader):
    """Reads one folder of pictures per class."""

    name: ClassVar[str] = "class-folders"

    def recognises(self, path: Path) -> bool:
        """Say whether a folder has subfolders that hold pictures, and not mostly texts."""
        try:
            # Pictures and their masks in two folders are no two classes.
            return path.is_dir() and not folder_pairs.within(path) and folders.census(path).of_pictures
        except (UserError, OSError):
            return False

    def read(self, path: Path) -> Listing:
        """List the pictures. Raises UserError for contradictory folders."""
        return folders.read(path, self.name, listing.refusal)
