"""Labels that are probably wrong."""

from collections.abc import Iterator
from typing import final

from headstart.contracts import Check, Survey
from headstart.core.records import Finding


@final
class LabelError(Check):
    """Tells of examples that a model, trained on the others, takes for another class (confident learning)."""

    name = "label-error"
    needs = "model"

    def findings(self, survey: Survey) -> Iterator[Finding]:
        """Yield a warning for each suspected label, the surest first."""
        for one in survey.suspects or ():
            yield Finding(
                kind=self.name,
                severity="warning",
                files=(survey.key(one.place),),
                reason=f"labelled {survey.examples[one.place].label!r} ({one.given:.0%}), probably {one.label!r} "
                f"({one.likely:.0%})",
                remedy="look at it: relabel it, or leave it",
            )
