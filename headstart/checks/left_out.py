"""Files and rows that no example could be made of."""

from collections.abc import Iterator
from typing import final

from headstart.contracts import Check, Survey
from headstart.core.records import Finding
from headstart.data.manifest import LEFT_OUT

_OTHER_KINDS = ("not a picture file", "not a text file", LEFT_OUT)


@final
class LeftOut(Check):
    """Lists what the reader left out, each with its reason."""

    name = "left-out"
    needs = "listing"

    def findings(self, survey: Survey) -> Iterator[Finding]:
        """Yield a warning for each; a note for files of another kind, and what was left out on purpose."""
        for one in survey.listing.dropped:
            other = one.reason.startswith(_OTHER_KINDS) and "looks like" not in one.reason
            yield Finding(
                kind=self.name,
                severity="note" if other else "warning",
                files=(one.file,),
                reason=one.reason,
                remedy="nothing, if it is no example" if other else "mend or remove it",
            )
