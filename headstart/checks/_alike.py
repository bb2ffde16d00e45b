"""What checks of duplicates share: how grave they are, and what labels they have."""

from collections.abc import Sequence

from headstart.contracts import Survey
from headstart.data.listing import UNSPLIT


def weigh(survey: Survey, places: Sequence[int], exact: bool) -> tuple[str, str, str]:
    """Return how grave it is that inputs are the same, or nearly, the reason, and what to do."""
    splits = survey.splits_of(places)
    what = "the same content" if exact else "nearly the same content"
    if len(splits) > 1:
        held = "error" if exact else "warning"
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
