"""What checks of duplicates share: whose they are, and how grave it is."""

from collections.abc import Sequence

from headstart.contracts import AGAINST, Cluster, Survey
from headstart.data.listing import UNSPLIT


def own(cluster: Cluster, survey: Survey) -> list[int]:
    """Return the places of a cluster that are the user's data."""
    return [place for place in cluster.places if survey.roles[place] != AGAINST]


def weigh(survey: Survey, places: Sequence[int], what: str) -> tuple[str, str, str]:
    """Return how grave it is that inputs are alike, the reason, and what to do."""
    splits = survey.splits_of(places)
    if len(splits) > 1:
        held = "error" if what == "the same content" else "warning"
        return held, f"{what} in {' and '.join(splits)}: figures are flattered", "keep it in one split: --fix"
    groups = {survey.examples[place].group for place in places}
    if splits == (UNSPLIT,) and (len(groups) > 1 or None in groups):
        return "warning", f"{what} {len(places)} times: a drawn split tears copies apart", "keep one: --fix"
    where = "" if splits == (UNSPLIT,) else f" within {splits[0]}"
    return "note", f"{what} {len(places)} times{where}", "keep one, if they are not meant to count more"


def labelled(survey: Survey, places: Sequence[int]) -> str:
    """Return the different labels of some examples as a sentence has them; empty where there is one."""
    names = sorted({", ".join(survey.examples[place].names()) for place in places})
    return " and ".join(repr(name) for name in names[:5]) if len(names) > 1 else ""
