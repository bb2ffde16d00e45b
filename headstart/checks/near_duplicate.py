"""Nearly the same content: saved anew, resized, with a word changed; and the same answer text elsewhere."""

from collections.abc import Iterator
from typing import final

from headstart.checks._alike import labelled, weigh
from headstart.contracts import Check, Survey
from headstart.core.records import Finding


@final
class NearDuplicates(Check):
    """Finds inputs that a person would call the same, within and across splits."""

    name = "near-duplicate"
    needs = "contents"

    def findings(self, survey: Survey) -> Iterator[Finding]:
        """Yield each set of inputs that are alike; across splits a warning."""
        for cluster in survey.read.near:
            places = survey.own(cluster.places)
            if len(places) < 2:
                continue
            severity, reason, remedy = weigh(survey, places, exact=False)
            labels = labelled(survey, places)
            if labels:
                severity, remedy = "warning", f"decide which label is right; {remedy}"
            told = f" (likeness {cluster.likeness:.2f})" + (f", labelled {labels}" if labels else "")
            yield Finding(
                kind=self.name,
                severity=severity,
                files=survey.keys(places),
                reason=reason + told,
                remedy=remedy,
            )
        for cluster in survey.read.sides:
            places = survey.own(cluster.places)
            splits = survey.splits_of(places)
            if len(splits) > 1 and len({survey.examples[one].text for one in places}) > 1:
                yield Finding(
                    kind=self.name,
                    severity="note",
                    files=survey.keys(places),
                    reason=f"the same target text in {' and '.join(splits)}, from other sources",
                    remedy="look whether the sources say the same: then keep them in one split",
                )
