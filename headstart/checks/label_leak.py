"""Labels that an input gives away: a text that says its class, a format or a size that only one class has."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import final

from headstart.contracts import Check, Survey
from headstart.core.records import Finding
from headstart.maths.minhash import words

_NEARLY_ALL, _PRIOR, _LEAST_EXAMPLES = 0.95, 0.8, 12
_SHOWN = 5


@final
class LabelLeak(Check):
    """Looks for what tells the label without being what is to be learnt."""

    name = "label-leak"
    needs = "contents"

    def findings(self, survey: Survey) -> Iterator[Finding]:
        """Yield an error for texts that say it, a warning for formats, a note for names and columns."""
        own = [
            place
            for place in survey.own()
            if survey.examples[place].label and survey.examples[place].truth is None
        ]
        labels = [survey.examples[place].label for place in own]
        prior = max(Counter(labels).values(), default=0) / max(len(own), 1)
        if len(own) < _LEAST_EXAMPLES or prior > _PRIOR:
            return
        yield from self._texts(survey, own)
        yield from self._formats(survey, own, labels)
        yield from self._names(survey, own)
        yield from self._columns(survey)

    def _texts(self, survey: Survey, own: Sequence[int]) -> Iterator[Finding]:
        saying = [place for place in own if survey.read.named_N[place] == 1]
        if len(saying) >= _NEARLY_ALL * len(own):
            reason = f"{len(saying):,} of {len(own):,} texts name their own class and no other"
            remedy = "take the label out of the text: a model reads it there"
            yield self._told("error", survey, saying, reason, remedy)

    def _formats(self, survey: Survey, own: Sequence[int], labels: Sequence[str]) -> Iterator[Finding]:
        if survey.task.takes == "text":  # a text's form is its length, which many texts share by chance
            return
        forms = [survey.read.forms[place] for place in own]
        kinds = [form.partition(" of ")[0] for form in forms]
        for what, told in (("format", kinds), ("size", forms)):
            if _tells(told, labels) >= _NEARLY_ALL:
                shown = "; ".join(f"{label!r}: {form}" for form, label in _commonest(told, labels))
                reason = f"the pictures' {what} tells the class ({shown})"
                remedy = "save all alike: a model may learn the traces of it"
                yield self._told("warning", survey, [], reason, remedy)
                return

    def _names(self, survey: Survey, own: Sequence[int]) -> Iterator[Finding]:
        """Look at the names of files, without their folders."""
        files = [
            place
            for place in own
            if survey.examples[place].text is None and survey.examples[place].pixels is None
        ]
        classes = {
            label: set(words(label.replace("_", " "))) for label in {survey.examples[p].label for p in files}
        }
        saying = []
        for place in files:
            stem = "".join(c if c.isalpha() else " " for c in PurePosixPath(survey.key(place)).stem)
            there = set(words(stem))
            if [label for label, parts in classes.items() if parts and parts <= there] == [
                survey.examples[place].label
            ]:
                saying.append(place)
        if files and len(saying) >= _NEARLY_ALL * len(own):
            reason = "the files' names tell the class; no model is shown them"
            yield self._told("note", survey, saying[:_SHOWN], reason, "nothing, unless something reads names")

    def _columns(self, survey: Survey) -> Iterator[Finding]:
        values: dict[str, list[str]] = defaultdict(list)
        labels: dict[str, list[str]] = defaultdict(list)
        for place, cells in survey.cells():
            for column, value in cells.items():
                values[column].append(value)
                labels[column].append(survey.examples[place].label)
        for column, found in values.items():
            few = 2 <= len(set(found)) <= len(found) / 3
            if few and found != labels[column] and _tells(found, labels[column]) >= _NEARLY_ALL:
                reason = f"column {column!r} tells the label; no model is shown it"
                yield self._told("note", survey, [], reason, "leave it out of anything that is to predict")

    def _told(
        self, severity: str, survey: Survey, places: Iterable[int], reason: str, remedy: str
    ) -> Finding:
        files = survey.keys(list(places))
        return Finding(kind=self.name, severity=severity, files=files, reason=reason, remedy=remedy)


def _commonest(told: Sequence[str], labels: Sequence[str]) -> list[tuple[str, str]]:
    """Return the commonest value of each of a few labels."""
    of_label: dict[str, Counter[str]] = defaultdict(Counter)
    for value, label in zip(told, labels, strict=True):
        of_label[label][value] += 1
    return [(counts.most_common(1)[0][0], label) for label, counts in sorted(of_label.items())[:_SHOWN]]


def _tells(told: Sequence[str], labels: Sequence[str]) -> float:
    """Return the share of labels that are right when each value stands for its commonest label.

    A value counts only where it stands three times or more: values that are all different tell nothing.
    """
    by_value: dict[str, Counter[str]] = defaultdict(Counter)
    for value, label in zip(told, labels, strict=True):
        by_value[value][label] += 1
    right = sum(max(counts.values()) for counts in by_value.values() if counts.total() >= 3)
    return right / max(len(labels), 1)
