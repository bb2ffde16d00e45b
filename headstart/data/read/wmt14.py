"""WMT'14 as published: corpora line by line, a file a language, and the sets held out in SGM.

``europarl-v7.fr-en.en`` beside ``europarl-v7.fr-en.fr``; ``dev/newstest2013-src.fr.sgm`` beside
``dev/newstest2013-ref.en.sgm``, ``newstest2014-fren-src.fr.sgm`` ...; in folders or not. Segments are paired
by document and number. The newest set is the test, earlier ones are to select on (statmt.org/wmt14).
"""

import re
from pathlib import Path
from typing import ClassVar, final

from headstart.contracts import Languages, Listing, PairReader
from headstart.data import languages, parallel
from headstart.data.parallel import SOURCE, TARGET, Side

_SGM = re.compile(r"(?P<text>.+)-(?P<role>src|ref)\.(?P<code>[A-Za-z]{2,3})\.sgml?", re.IGNORECASE)
_CORPUS = re.compile(
    r"(europarl|commoncrawl|news-?commentary|undoc|giga|news-?test|newsdiscuss)", re.IGNORECASE
)


@final
class Wmt14(PairReader):
    """Reads corpora and SGM sets."""

    name: ClassVar[str] = "wmt14"

    def recognises(self, path: Path) -> bool:
        """Say whether there are two sides of a text, and an SGM set or a corpus of that name."""
        return parallel.recognised(path, naming, _telling)

    def read_pairs(self, path: Path, wanted: Languages) -> Listing:
        """List the pairs. Raises UserError where sides do not match or the direction is not clear."""
        return parallel.read(path, self.name, naming, wanted)


def naming(name: str) -> Side | None:
    """Read ``SET-src.CODE.sgm`` and ``SET-ref.CODE.sgm``, and names of line-parallel files."""
    match = _SGM.fullmatch(name)
    if match is None:
        return parallel.lines(name)
    code = languages.named(match["code"])
    role = SOURCE if match["role"].lower() == "src" else TARGET
    return None if code is None else Side(match["text"], code, role, "segments")


def _telling(side: Side) -> bool:
    return side.form == "segments" or _CORPUS.match(side.text) is not None
