"""Classes that some split lacks or has few of, and shares of classes that differ by split."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import final

from headstart.contracts import AGAINST, Check, Survey
from headstart.core.records import Finding

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
        for one, role in zip(survey.examples, survey.roles, strict=True):
            if role != AGAINST:
                counts[role].update(one.names())
        together = sum(counts.values(), Counter[str]())
        if not together:
            return
        yield from self._counts(counts, together)

    def _counts(self, counts: Mapping[str, Counter[str]], together: Counter[str]) -> Iterator[Finding]:
        learnt = counts.get("train", counts.get("all", together))
        for role, count in counts.items():
            if role in ("val", "test") and "train" in counts:
                for name in sorted(set(learnt) - set(count)):
                    yield self._told("warning", f"class {name!r} of train is missing from {role}: nothing tells "
                                     "how well it is learnt", f"move examples of it to {role}")  # fmt: skip
                for name in sorted(set(count) - set(learnt)):
                    yield self._told("error", f"class {name!r} of {role} is missing from train: it cannot be learnt",
                                     "add examples of it to train")  # fmt: skip
                yield from self._shift(role, count, learnt)
        for name, number in sorted(learnt.items()):
            if number < _FEW:
                yield self._told("warning", f"class {name!r} has only {number} to learn from",
                                 "add examples, or remove the class")  # fmt: skip
        most, least = max(learnt.values()), min(learnt.values())
        if most >= _LOPSIDED * least:
            names = max(learnt, key=learnt.__getitem__), min(learnt, key=learnt.__getitem__)
            severity = "warning" if most >= _VERY_LOPSIDED * least else "note"
            yield self._told(severity, f"{most:,} of {names[0]!r} and {least:,} of {names[1]!r}: accuracy hides the rare "
                             "class", "look at recall class by class and at macro F1")  # fmt: skip

    def _shift(self, role: str, count: Counter[str], learnt: Counter[str]) -> Iterator[Finding]:
        """Compare two splits' shares of classes: half the sum of absolute differences (total variation)."""
        if count.total() < _SHIFTED_EXAMPLES:
            return
        shares = [{name: one[name] / one.total() for name in learnt | count} for one in (learnt, count)]
        distance = sum(abs(shares[0][name] - shares[1][name]) for name in shares[0]) / 2
        if distance > _SHIFTED:
            yield self._told("warning", f"the classes' shares in {role} are unlike those in train (they differ by "
                             f"{distance:.0%} in all)", "check how the split was made")  # fmt: skip

    def _told(self, severity: str, reason: str, remedy: str) -> Finding:
        return Finding(kind=self.name, severity=severity, files=(), reason=reason, remedy=remedy)
