"""Inputs that are listed as examples and cannot be read."""

from collections.abc import Iterator
from typing import final

from headstart.contracts import Check, Survey
from headstart.core.records import Finding


@final
class Unreadable(Check):
    """Lists inputs that are broken, with the reason, and those that hold nothing."""

    name = "unreadable"
    needs = "contents"

    def findings(self, survey: Survey) -> Iterator[Finding]:
        """Yield an error for what cannot be read, a warning for what is empty."""
        for place, reason in survey.read.unreadable.items():
            yield Finding(
                kind=self.name,
                severity="error",
                files=(survey.key(place),),
                reason=reason,
                remedy="mend or remove it: fit leaves it out",
            )
        for place, reason in survey.read.empty.items():
            yield Finding(
                kind="empty",
                severity="warning",
                files=(survey.key(place),),
                reason=reason,
                remedy="remove it: nothing can be learnt from it",
            )
