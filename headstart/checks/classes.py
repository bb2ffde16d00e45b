"""Classes that some split lacks or has few of, and shares of classes that differ by split."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import final

from headstart.contracts import Check, Survey
from headstart.core.records import Finding
from headstart.data.listing import UNSPLIT

_FEW = 3
_LOPSIDED, _VERY_LOPSIDED = 10, 100
_SHIFTED, _SHIFTED_EXAMPLES = 0.3, 50


@final
class Classes(Check):
    """Counts classes by split."""

    name = "classes"
    needs = "listing"

    def findings(self, survey: Survey) -> Iterator[Finding]:
        """Yield what is lacking, rare or lopsided."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for place in survey.own():
            counts[survey.roles[place]].update(survey.examples[place].names())
        together = sum(counts.values(), Counter[str]())
        if not together:
            return
        yield from self._counts(counts, together)

    def _counts(self, counts: Mapping[str, Counter[str]], together: Counter[str]) -> Iterator[Finding]:
        learnt = counts.get("train", counts.get(UNSPLIT, together))
        for role, count in counts.items():
            if role in ("val", "test") and "train" in counts:
                yield from self._between(role, count, learnt)
        for name, number in sorted(learnt.items()):
            if number < _FEW:
                reason = f"class {name!r} has only {number} to learn from"
                yield self._told("warning", reason, "add examples, or remove the class")
        if not learnt:
            return
        names = max(learnt, key=learnt.__getitem__), min(learnt, key=learnt.__getitem__)
        most, least = (learnt[name] for name in names)
        if most >= _LOPSIDED * least:
            severity = "warning" if most >= _VERY_LOPSIDED * least else "note"
            reason = f"{most:,} of {names[0]!r} and {least:,} of {names[1]!r}: accuracy hides the rare class"
            yield self._told(severity, reason, "look at recall class by class and at macro F1")

    def _between(self, role: str, count: Counter[str], learnt: Counter[str]) -> Iterator[Finding]:
        """Compare a held-out split with what is trained on.

        Shares differ by half the sum of their absolute differences (total variation).
        """
        for name in sorted(set(learnt) - set(count)):
            reason = f"class {name!r} of train is missing from {role}: nothing tells how well it is learnt"
            yield self._told("warning", reason, f"move examples of it to {role}")
        for name in sorted(set(count) - set(learnt)):
            reason = f"class {name!r} of {role} is missing from train: it cannot be learnt"
            yield self._told("error", reason, "add examples of it to train")
        shares = [{name: one[name] / one.total() for name in learnt | count} for one in (learnt, count)]
        distance = sum(abs(shares[0][name] - shares[1][name]) for name in shares[0]) / 2
        if count.total() >= _SHIFTED_EXAMPLES and distance > _SHIFTED:
            reason = f"the classes' shares in {role} are unlike those in train: {distance:.0%} differ"
            yield self._told("warning", reason, "check how the split was made")

    def _told(self, severity: str, reason: str, remedy: str) -> Finding:
        return Finding(kind=self.name, severity=severity, files=(), reason=reason, remedy=remedy)
