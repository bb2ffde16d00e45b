"""The same content twice: across splits it flatters, with different answers it contradicts itself."""

from collections.abc import Iterator, Sequence
from typing import final

from headstart.checks._alike import labelled, weigh
from headstart.contracts import Check, Survey
from headstart.core.records import Finding


@final
class Duplicates(Check):
    """Finds the same bytes under several names, whatever their answers, within and across splits."""

    name = "duplicate"
    needs = "contents"

    def findings(self, survey: Survey) -> Iterator[Finding]:
        """Yield each set of copies; as a ``label-conflict`` where their answers differ."""
        for cluster in survey.read.twins:
            places = survey.own(cluster.places)
            if len(places) < 2:
                continue
            answers = list(dict.fromkeys(map(survey.answer, places)))
            severity, reason, remedy = weigh(survey, places, exact=True)
            if len(answers) > 1:
                yield _conflict(survey, places, answers)
            if len(answers) == 1 or severity == "error":
                files = survey.keys(places)
                yield Finding(kind=self.name, severity=severity, files=files, reason=reason, remedy=remedy)


def _conflict(survey: Survey, places: Sequence[int], answers: Sequence[bytes]) -> Finding:
    text = survey.examples[places[0]].target is not None
    named = labelled(survey, places)
    what = f"labelled {named}" if named else f"with {len(answers)} different {'texts' if text else 'answers'}"
    return Finding(
        kind="label-conflict",
        severity="note" if text else "error",
        files=survey.keys(places),
        reason=f"the same content {what}",
        remedy="nothing, if several are right" if text else "decide on one answer, or remove them: --fix",
    )
