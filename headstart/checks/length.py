"""Inputs that are too short to tell anything, or that were cut."""

from collections import Counter
from collections.abc import Iterator
from typing import final

import numpy as np

from headstart.contracts import Array, Check, Survey
from headstart.core.records import Finding

_TINY_PX, _USUAL_PX = 16, 4
_CUT_SHARE, _CUT_LEAST, _CUT_CHARACTERS = 0.02, 5, 100


@final
class Length(Check):
    """Looks at how long texts are, and how large pictures."""

    name = "length"
    needs = "contents"

    def findings(self, survey: Survey) -> Iterator[Finding]:
        """Yield what is much smaller than the rest, and a length at which many texts end."""
        contents = survey.read
        nothing = contents.unreadable.keys() | contents.empty.keys()
        places = np.array([place for place in survey.own() if place not in nothing], dtype=np.int64)
        if not len(places):
            return
        sizes = contents.sizes_N[places]
        middle = float(np.median(sizes))
        if survey.task.takes == "text":
            small = places[(sizes == 1) & (middle > _USUAL_PX)]
            what, remedy = "a single word", "check that nothing is missing"
            yield from self._cut(survey, places)
        else:
            small = places[(sizes < _TINY_PX) & (middle >= _USUAL_PX * sizes)]
            what, remedy = (
                f"less than {_TINY_PX} pixels on a side, unlike most",
                "give it larger, or remove it",
            )
        if len(small):
            yield Finding(
                kind=self.name,
                severity="warning",
                files=survey.keys(small.tolist()),
                reason=what,
                remedy=remedy,
            )

    def _cut(self, survey: Survey, places: Array) -> Iterator[Finding]:
        """Find the greatest length in characters where suspiciously many texts have exactly that."""
        forms = survey.contents.forms if survey.contents else ()
        counts = Counter(int(forms[place]) for place in places)
        longest = max(counts)
        many = counts[longest] >= max(_CUT_LEAST, _CUT_SHARE * len(places))
        if many and longest >= _CUT_CHARACTERS and len(counts) > 1:
            ended = [int(place) for place in places if int(forms[place]) == longest]
            copies = {cluster.places[0] for cluster in (survey.contents.twins if survey.contents else ())}
            if copies.issuperset(ended):
                return
            yield Finding(
                kind=self.name,
                severity="warning",
                files=survey.keys(ended),
                reason=f"{len(ended):,} texts end at exactly {longest:,} characters: probably cut",
                remedy="take them whole from where they come",
            )
