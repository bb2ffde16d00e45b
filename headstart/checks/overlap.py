"""Data that a model may have seen already: what another corpus holds too."""

from collections.abc import Iterator
from typing import final

from headstart.contracts import AGAINST, Check, Survey
from headstart.core.records import Finding


@final
class Overlap(Check):
    """Finds examples that are in the corpus named by ``--against`` as well, the same or nearly."""

    name = "overlap"
    needs = "contents"

    def findings(self, survey: Survey) -> Iterator[Finding]:
        """Yield an error for held-out examples of the corpus, a note for others."""
        for what, clusters in (
            ("the same content", survey.read.twins),
            ("nearly the same content", survey.read.near),
        ):
            for cluster in clusters:
                theirs = [place for place in cluster.places if survey.roles[place] == AGAINST]
                ours = survey.own(cluster.places)
                if not theirs or not ours:
                    continue
                splits = survey.splits_of(ours)
                trains = set(splits) <= {"train"}
                remedy = "nothing: it is trained on" if trains else "hold out others: a model may know these"
                yield Finding(
                    kind=self.name,
                    severity="note" if trains else "error",
                    files=survey.keys([*ours, *theirs]),
                    reason=f"{what} in {' and '.join(splits)} and in the corpus compared with",
                    remedy=remedy,
                )
