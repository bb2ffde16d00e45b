"""Masks in which there is one class only, and classes with next to no pixel."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import final

import numpy as np

from headstart.contracts import Array, Check, Survey
from headstart.core.errors import BadExample
from headstart.core.records import Finding
from headstart.core.threads import cores
from headstart.data.mask import IGNORED, Mask

_NEXT_TO_NOTHING = 1e-5
_MOST_SINGLE = 0.5


@final
class Masks(Check):
    """Counts each class's pixels in every mask."""

    name = "mask"
    needs = "contents"

    def findings(self, survey: Survey) -> Iterator[Finding]:
        """Yield masks of a single class where most hold several, those mostly ignored, and rare classes."""
        classes = survey.listing.classes
        truths = ((place, survey.examples[place].truth) for place in survey.own())
        masks = {place: truth for place, truth in truths if isinstance(truth, Mask)}
        if not masks:
            return
        with ThreadPoolExecutor(min(8, cores() + 1)) as pool:
            found = list(pool.map(lambda mask: _counts(mask, classes), masks.values()))
        total = np.zeros(len(classes) + 1, dtype=np.int64)
        single, ignored = list[int](), list[int]()
        for place, counts in zip(masks, found, strict=True):
            if counts is None:
                continue
            total += counts
            if (counts[:-1] > 0).sum() == 1:
                single.append(place)
            if counts[-1] > 0.9 * counts.sum():
                ignored.append(place)
        if single and len(single) < _MOST_SINGLE * len(masks):
            yield self._told("note", survey, single, "a single class in the whole mask, unlike most",
                             "check that the mask is the picture's")  # fmt: skip
        if ignored:
            yield self._told(
                "warning", survey, ignored, "over 90% of the mask is ignored", "check the mask's values"
            )
        for name, pixels in zip(classes, total[:-1], strict=True):
            if 0 < pixels < _NEXT_TO_NOTHING * total[:-1].sum():
                yield self._told("warning", survey, [], f"class {name!r} has {pixels:,} pixels in all masks",
                                 "check that these values are meant")  # fmt: skip

    def _told(self, severity: str, survey: Survey, places: list[int], reason: str, remedy: str) -> Finding:
        files = survey.keys(places)
        return Finding(kind=self.name, severity=severity, files=files, reason=reason, remedy=remedy)


def _counts(mask: Mask, classes: tuple[str, ...]) -> Array | None:
    """Return the pixels of each class [K + 1], the ignored ones last; None where the mask cannot be read."""
    try:
        places_HW = mask.places(classes)
    except BadExample:
        return None
    places_HW = np.where(places_HW == IGNORED, len(classes), places_HW)
    return np.bincount(places_HW.ravel(), minlength=len(classes) + 1)
