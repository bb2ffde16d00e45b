"""Texts line by line, a file a language: Moses pairs and their like.

``corpus.en-fr.en`` beside ``corpus.en-fr.fr``, or ``train.en``, ``train.fr``, ``val.en`` ..., in one folder
or in several; one of two such files; or ``train.src`` beside ``train.tgt``. The direction is the one in a
name (``en-fr``) of the files, else of the folder.
"""

from pathlib import Path
from typing import ClassVar, final

from headstart.contracts import Languages, Listing, PairReader
from headstart.data import parallel


@final
class ParallelLines(PairReader):
    """Reads line-parallel files."""

    name: ClassVar[str] = "parallel-lines"

    def recognises(self, path: Path) -> bool:
        """Say whether there are files of one name in two languages."""
        return parallel.recognised(path, parallel.lines, lambda side: True)

    def read_pairs(self, path: Path, wanted: Languages) -> Listing:
        """List the pairs. Raises UserError where sides do not match or the direction is not clear."""
        return parallel.read(path, self.name, parallel.lines, wanted)
