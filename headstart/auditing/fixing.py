"""From findings to a manifest: what to leave out, and a split that keeps together what belongs together."""

import itertools
from collections import defaultdict
from collections.abc import Sequence

from headstart.checks.group_leak import groupings
from headstart.contracts import Survey
from headstart.core.errors import UserError
from headstart.data.listing import UNSPLIT
from headstart.data.manifest import Row
from headstart.data.split import SHARE, rank
from headstart.data.stratify import deal_roles
from headstart.maths.buckets import Joined

_ROLES = ("train", "val", "test")
_HELD_FIRST = {"test": 0, "val": 1, "train": 2, UNSPLIT: 2}


def fixed(survey: Survey, seed: int) -> list[tuple[str, Row]]:
    """Return what is to be done with each example, in their order.

    Left out are those that cannot be read or hold nothing, contradictions, and all copies but one. Given
    splits stay, less what training shares with held-out data, unless groups straddle them: then, as for data
    without splits, 70/15/15 are drawn, groups and near duplicates kept together, classes in proportion.
    Raises UserError where there is too little to divide.
    """
    own = survey.own()
    left_out = {**survey.read.unreadable, **survey.read.empty}
    _drop_copies(survey, left_out)
    groups = [places for one in groupings(survey) if not one.weak for places in one.groups.values()]
    torn = any(len(survey.splits_of(places)) > 1 for places in groups)
    unsplit = survey.splits_of(own) in ((UNSPLIT,), ("train",))
    near = [survey.own(one.places) for one in survey.read.near]
    if unsplit or torn:
        kept = [place for place in own if place not in left_out]
        part_of = _drawn(survey, kept, [*near, *groups], seed)
    else:
        _drop_near(survey, near, left_out)
        part_of = {place: survey.roles[place] for place in own if place not in left_out}
    return [
        (survey.key(place), Row(part_of.get(place, ""), left_out.get(place, "")))
        for place in sorted(own, key=survey.key)
    ]


def _drop_copies(survey: Survey, left_out: dict[int, str]) -> None:
    """Leave out contradictions, and of copies all but the one in the most held-out split."""
    for cluster in survey.read.twins:
        places = [one for one in survey.own(cluster.places) if one not in left_out]
        answers: dict[bytes, list[int]] = defaultdict(list)
        for place in places:
            answers[survey.answer(place)].append(place)
        labelled = any(survey.examples[place].target is None for place in places)
        if len(answers) > 1 and labelled:
            left_out.update((one, "the same content with another label") for one in places)
            continue
        held = _most_held(survey, places)
        for copies in answers.values():
            first = min(copies, key=lambda one: (_HELD_FIRST[survey.roles[one]], survey.key(one)))
            for place in copies:
                if place != first:
                    left_out[place] = f"the same content as {survey.key(first)}"
            if survey.roles[first] not in (held, UNSPLIT):
                left_out[first] = f"the same content in {held}"


def _drop_near(survey: Survey, clusters: Sequence[Sequence[int]], left_out: dict[int, str]) -> None:
    """Leave out what training or validation has nearly the same as a split that is held out more."""
    for cluster in clusters:
        places = [place for place in cluster if place not in left_out]
        held = _most_held(survey, places)
        first = next((place for place in places if survey.roles[place] == held), None)
        for place in places:
            if first is not None and survey.roles[place] != held:
                left_out[place] = f"nearly the same content as {survey.key(first)} in {held}"


def _most_held(survey: Survey, places: Sequence[int]) -> str:
    roles = {survey.roles[place] for place in places}
    return min(roles, key=_HELD_FIRST.__getitem__, default=UNSPLIT)


def _drawn(
    survey: Survey, kept: Sequence[int], together: Sequence[Sequence[int]], seed: int
) -> dict[int, str]:
    """Draw a split in which each set of places is in one part. Raises UserError where there is too little."""
    joined, at = Joined(len(kept)), {place: item for item, place in enumerate(kept)}
    by_group: dict[str, int] = {}
    for item, place in enumerate(kept):
        group = survey.examples[place].group
        if group is not None:
            joined.join(item, by_group.setdefault(group, item), 1.0)
    for places in together:
        items = [at[place] for place in places if place in at]
        for one, other in itertools.pairwise(items):
            joined.join(one, other, 1.0)
    sets: dict[int, list[int]] = defaultdict(list)
    for item, place in enumerate(kept):
        sets[joined.root(item)].append(place)
    ranked = sorted(sets.values(), key=lambda places: rank(seed, survey.key(places[0])))
    if len(ranked) < len(_ROLES):
        found = f"{len(kept):,} examples in {len(ranked)} groups of what belongs together"
        raise UserError(found, "three groups or more to divide", "add examples, or leave --fix out")
    # A set counts in each of its classes as often as it has examples of it.
    names = [
        [name for place in places for name in survey.examples[place].names() or ("",)] for places in ranked
    ]
    dealt = deal_roles(names, [1 - 2 * SHARE, SHARE, SHARE])
    return {place: _ROLES[part] for places, part in zip(ranked, dealt, strict=True) for place in places}
