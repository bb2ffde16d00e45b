"""IWSLT'15 as published: talks between tags to train on, sets held out in XML; or all of it as plain lines.

``train.tags.en-vi.en`` beside ``train.tags.en-vi.vi``, whose tagged lines (``<url>``, ``<title>`` ...) are
left out and counted; ``IWSLT15.TED.tst2012.en-vi.en.xml`` beside ``....vi.xml``, segments paired by document
and number; or ``train.en``, ``tst2012.en``, ``tst2013.en`` beside their ``.vi`` (M. Cettolo et al., IWSLT
2015). The newest set is the test, earlier ones are to select on.
"""

import re
from pathlib import Path
from typing import ClassVar, final

from headstart.contracts import Languages, Listing, PairReader
from headstart.data import languages, parallel
from headstart.data.parallel import Side

_XML = re.compile(r"(?P<text>IWSLT.+)\.(?P<code>[A-Za-z]{2,3})\.xml", re.IGNORECASE)
_TAGS = re.compile(r"(?P<text>train\.tags\..+)\.(?P<code>[A-Za-z]{2,3})", re.IGNORECASE)
_SET = re.compile(r"(tst|dev)20\d\d", re.IGNORECASE)


@final
class Iwslt15(PairReader):
    """Reads tagged talks and XML sets, or their plain lines."""

    name: ClassVar[str] = "iwslt15"

    def recognises(self, path: Path) -> bool:
        """Say whether there are two sides of a text, and talks in tags or a set such as ``tst2013``."""
        return parallel.recognised(path, naming, _telling)

    def read_pairs(self, path: Path, wanted: Languages) -> Listing:
        """List the pairs. Raises UserError where sides do not match or the direction is not clear."""
        return parallel.read(path, self.name, naming, wanted)


def naming(name: str) -> Side | None:
    """Read ``IWSLT15.SET.en-vi.CODE.xml``, ``train.tags.en-vi.CODE``, and names of line-parallel files."""
    for form, pattern in (("segments", _XML), ("tagged", _TAGS)):
        match = pattern.fullmatch(name)
        code = None if match is None else languages.named(match["code"])
        if match is not None and code is not None:
            return Side(match["text"], code, form=form)
    return parallel.lines(name)


def _telling(side: Side) -> bool:
    return side.form != "lines" or _SET.match(side.text) is not None
