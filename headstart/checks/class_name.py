"""Classes that are perhaps one under two names, and names that mean no class."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import final

from headstart.contracts import Check, Survey
from headstart.core.records import Finding

_NO_LABEL = frozenset(
    {"nan", "null", "none", "n/a", "na", "?", "-", "unknown", "undefined", "nil", "unlabeled", "unlabelled"}
)


@final
class ClassName(Check):
    """Looks at the names of classes alone."""

    name = "class-name"
    needs = "listing"
    quick = True

    def findings(self, survey: Survey) -> Iterator[Finding]:
        """Yield names that differ in marks only, and names such as ``nan``."""
        counts = Counter(name for place in survey.own() for name in survey.examples[place].names())
        alike: dict[str, list[str]] = defaultdict(list)
        for name in sorted(counts):
            if letters := re.sub(r"[\W_]+", "", name.casefold()):
                alike[letters].append(name)
            if name.strip().casefold() in _NO_LABEL:
                reason = f"{counts[name]:,} examples are labelled {name!r}, which is perhaps no class"
                yield self._told(reason, "label them, or leave them out")
        for names in alike.values():
            if len(names) > 1:
                reason = f"classes {' and '.join(map(repr, names))} are perhaps one"
                yield self._told(reason, "give them one name")

    def _told(self, reason: str, remedy: str) -> Finding:
        return Finding(kind=self.name, severity="warning", files=(), reason=reason, remedy=remedy)
