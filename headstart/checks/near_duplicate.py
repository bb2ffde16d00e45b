"""Nearly the same content: saved anew, resized, mirrored, turned, reworded, cut; the same answer elsewhere.

What is reworded by more than a few words, and what is cut, needs ``--deep``.
"""

from collections.abc import Iterator
from typing import final

from headstart.checks._alike import labelled, weigh
from headstart.contracts import AGAINST, Check, Cluster, Survey
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
            told = f" (likeness {cluster.likeness:.2f}{_how(survey, cluster)})"
            told += f", labelled {labels}" if labels else ""
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
            nearly = "nearly " if cluster.likeness < 1 else ""
            if len(splits) > 1 and len({survey.examples[one].text for one in places}) > 1:
                yield Finding(
                    kind=self.name,
                    severity="note",
                    files=survey.keys(places),
                    reason=f"{nearly}the same target text in {' and '.join(splits)}, from other sources",
                    remedy="look whether the sources say the same: then keep them in one split",
                )


def _how(survey: Survey, cluster: Cluster) -> str:
    """Say what one of the examples is to another, where none is a plain copy."""
    own = [one for one in cluster.told if AGAINST not in (survey.roles[one[0]], survey.roles[one[2]])]
    if not own:
        return ""
    first, how, second = own[0]
    return f"; {survey.key(second)} is {how} {survey.key(first)}"
