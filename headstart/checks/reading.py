"""What was read in a way to know of: colours converted, columns chosen, encodings guessed."""

from collections import Counter
from collections.abc import Iterator
from typing import final

from headstart.contracts import Check, Survey
from headstart.core.records import Finding
from headstart.data.listing import UNSPLIT


@final
class Reading(Check):
    """Tells how the data was understood."""

    name = "reading"
    needs = "contents"

    def findings(self, survey: Survey) -> Iterator[Finding]:
        """Yield a note for each way of reading, with the files that it concerns."""
        for note in survey.listing.notes:
            more = f" ({note.count:,} in all)" if note.count > len(note.examples) > 0 else ""
            yield Finding(
                kind=self.name,
                severity="note",
                files=note.examples,
                reason=f"{note.what}{more}",
                remedy="nothing, if it is meant",
            )
        for what, places in survey.read.noted.items():
            yield Finding(
                kind=self.name,
                severity="note",
                files=survey.keys(places),
                reason=what,
                remedy="nothing, if it looks right in the page",
            )
        unfit = survey.listing.unfit
        train = [
            one for one, role in zip(survey.examples, survey.roles, strict=True) if role in ("train", UNSPLIT)
        ]
        reasons = {} if unfit is None else {one.key: reason for one in train if (reason := unfit(one))}
        for reason in Counter(reasons.values()):
            yield Finding(
                kind=self.name,
                severity="note",
                files=tuple(key for key, given in reasons.items() if given == reason),
                reason=reason,
                remedy="look whether both sides say the same",
            )
