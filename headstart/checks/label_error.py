"""Labels that are probably wrong."""

from collections.abc import Iterator
from typing import final

from headstart.contracts import Check, Survey
from headstart.core.records import Finding

_RULED_OUT, _ALL_BUT_SURE = 0.05, 0.9


@final
class LabelError(Check):
    """Tells of examples that a model, trained on the others, takes for another class (confident learning)."""

    name = "label-error"
    needs = "model"

    def findings(self, survey: Survey) -> Iterator[Finding]:
        """Yield a warning for each label that is all but ruled out, a note for others, the surest first."""
        for one in survey.suspects or ():
            sure = one.given <= _RULED_OUT and one.likely >= _ALL_BUT_SURE
            given, likely = survey.examples[one.place].label, one.label
            yield Finding(
                kind=self.name,
                severity="warning" if sure else "note",
                files=(survey.key(one.place),),
                reason=f"labelled {given!r} ({one.given:.0%}), probably {likely!r} ({one.likely:.0%})",
                remedy="look at it: relabel it, or leave it",
            )
