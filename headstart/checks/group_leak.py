"""Groups that straddle splits: frames of one video, slices of one patient, texts of one author."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, final

from headstart.contracts import Check, Survey
from headstart.core.records import Finding
from headstart.data.columns import folded
from headstart.data.listing import UNSPLIT

COLUMNS = frozenset(
    {
        *("group", "group_id", "patient", "patient_id", "subject", "subject_id", "user", "user_id", "author"),
        *("author_id", "speaker", "speaker_id", "video", "video_id", "session", "session_id", "source"),
        *("source_id", "site", "site_id", "domain", "thread", "thread_id", "conversation_id", "document_id"),
        *("article_id", "scene", "scene_id", "customer_id", "device_id", "url", "from", "sender"),
    }
)
_PART = re.compile(
    r"(?P<group>.*\w)[-_ .](frame|frm|slice|page|crop|patch|tile|view|aug|augmented|part|seg|segment|shot"
    r"|copy|sentence|chunk|para|turn)[-_ .]?\d+",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"(?P<group>.*\d)[-_][a-z]{0,3}\d+", re.IGNORECASE)
_LEAST_GROUPS = 3
_SHOWN = 60


@final
class GroupLeak(Check):
    """Finds groups with members in several splits: their figures tell how well groups are known by heart."""

    name = "group-leak"
    needs = "listing"
    quick = True

    def findings(self, survey: Survey) -> Iterator[Finding]:
        """Yield each group that straddles splits; where nothing is split yet, that there are groups."""
        for how, weak, groups in groupings(survey):
            torn = {name: places for name, places in groups.items() if len(survey.splits_of(places)) > 1}
            for name, places in torn.items():
                yield Finding(
                    kind=self.name,
                    severity="note" if weak else "warning",
                    files=survey.keys(places),
                    reason=f"group {name[:_SHOWN]!r} ({how}) is in {' and '.join(survey.splits_of(places))}",
                    remedy="keep groups in one split: --fix",
                )
            unsplit = {n: p for n, p in groups.items() if survey.splits_of(p) == (UNSPLIT,) and len(p) > 1}
            loose = any(
                survey.examples[place].group is None for places in unsplit.values() for place in places
            )
            if unsplit and loose and not weak:
                yield Finding(
                    kind=self.name,
                    severity="warning",
                    files=tuple(survey.key(places[0]) for places in unsplit.values()),
                    reason=f"{len(unsplit):,} groups ({how}), one of each named: drawing splits tears them",
                    remedy="name them with --group, or draw a split that keeps them together: --fix",
                )


class Grouping(NamedTuple):
    """A way to group examples, by what each group is called; a ``weak`` one may mean nothing."""

    how: str
    weak: bool
    groups: Mapping[str, Sequence[int]]


def groupings(survey: Survey) -> Iterator[Grouping]:
    """Yield ways to group the examples."""
    own = survey.own()
    # Pairs are grouped by their source: that it stands in two splits, the check of duplicates says.
    examples = ((place, survey.examples[place]) for place in own)
    given = _gather(
        (place, one.group) for place, one in examples if one.group is not None and one.group != one.text
    )
    if any(len(places) > 1 for places in given.values()):
        yield Grouping("as given", False, given)
    for pattern, how, weak, largest in (
        (_PART, "by file name", False, 0.5),
        (_NUMBERED, "by file name and number", True, 0.1),
    ):
        found = _gather(_by_name(survey, own, pattern))
        if _telling(found, len(own), 0.8, largest):
            yield Grouping(how, weak, found)
            break
    columns: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, cells in survey.cells():
        for column, value in cells.items():
            if folded(column) in COLUMNS and value:
                columns[column][value].append(place)
    for column, found in columns.items():
        if _telling(found, len(own), 0.5, 0.5):
            yield Grouping(f"column {column!r}", False, found)


def _by_name(survey: Survey, own: Sequence[int], pattern: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    """Yield what stands before the number of a part in files' names, of examples that are files."""
    for place in own:
        one = survey.examples[place]
        stem = one.key.rpartition("/")[2].rpartition(".")[0]
        found = pattern.fullmatch(stem) if one.text is None and one.pixels is None else None
        if found:
            yield place, found["group"]


def _gather(pairs: Iterator[tuple[int, str]]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for place, name in pairs:
        groups[name].append(place)
    return groups


def _telling(groups: Mapping[str, Sequence[int]], count: int, covered: float, largest: float) -> bool:
    """Say whether names make groups: several, none too large, and enough examples in one of two or more."""
    sizes = [len(places) for places in groups.values()]
    several = len(sizes) >= _LEAST_GROUPS and max(sizes) <= largest * count
    return several and sum(size for size in sizes if size > 1) >= covered * count
