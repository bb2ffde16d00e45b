"""Pairs whose sides are swapped, not translated, or in another language."""

from collections.abc import Iterator
from typing import final

from headstart.contracts import Check, Survey
from headstart.core.records import Finding
from headstart.maths.sides import odds, trigram_counts


@final
class Language(Check):
    """Compares each side of a pair with all texts of both sides, by their letter triples."""

    name = "language"
    needs = "contents"

    def findings(self, survey: Survey) -> Iterator[Finding]:
        """Yield texts that look like the other side's language, and those that were not translated."""
        languages = survey.listing.languages
        pairs = [
            place for place in survey.own() if survey.examples[place].text and survey.examples[place].target
        ]
        if len(set(languages)) < 2 or not pairs:
            return
        examples = survey.examples
        sources = trigram_counts(examples[place].text or "" for place in pairs)
        targets = trigram_counts(examples[place].target or "" for place in pairs)
        wrong: dict[str, list[int]] = {}
        for place in pairs:
            one, other = examples[place].text or "", examples[place].target or ""
            own = _without(one, other), _without(other, one)
            foreign = odds(own[0], targets, sources) > 0, odds(own[1], sources, targets) > 0
            if one == other and odds(other, sources, targets) > 0:
                reason = f"the target is the source again, in {languages[0]}"
            elif foreign == (True, True):
                reason = f"source and target are swapped: the source looks like {languages[1]}"
            elif foreign[0]:
                reason = f"the source looks like {languages[1]}, not {languages[0]}"
            elif foreign[1]:
                reason = f"the target looks like {languages[0]}, not {languages[1]}"
            else:
                continue
            wrong.setdefault(reason, []).append(place)
        for reason, places in wrong.items():
            yield Finding(
                kind=self.name,
                severity="warning",
                files=survey.keys(places),
                reason=reason,
                remedy="swap, translate or remove it",
            )


def _without(text: str, other: str) -> str:
    """Return a text without the words that stand on the other side too: names, code and markup."""
    both = set(other.split())
    return " ".join(word for word in text.split() if word not in both)
