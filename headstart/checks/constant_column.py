"""Columns that say the same in nearly every row."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import final

from headstart.contracts import Check, Survey
from headstart.core.records import Finding

_SAME, _LEAST_ROWS = 0.99, 20
_MOST_VALUES = 1_000


@final
class ConstantColumn(Check):
    """Looks at all columns of a table, those that are not read as well."""

    name = "constant-column"
    needs = "listing"

    def findings(self, survey: Survey) -> Iterator[Finding]:
        """Yield a note for each column of which 99% of the cells are the same."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for _, cells in survey.cells():
            for column, value in cells.items():
                if len(counts[column]) < _MOST_VALUES or value in counts[column]:
                    counts[column][value] += 1
        for column, values in counts.items():
            value, times = values.most_common(1)[0]
            rows = values.total()
            if rows >= _LEAST_ROWS and times >= _SAME * rows:
                shown = repr(value[:40]) if value else "empty"
                yield Finding(
                    kind=self.name,
                    severity="note",
                    files=(),
                    reason=f"column {column!r} is {shown} in {times:,} of {rows:,} rows",
                    remedy="nothing: it is not read" if value else "fill it, or remove it",
                )
