"""The extractive head: a score for each sentence, the best ones taken, each whole or its best part.

Shape letters: n documents, m sentences of all of them, d features of the trunk that the head sees, S
figures about a sentence's place and form, D = d + S.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np

from headstart.contracts import Array, Column, Floats, Head, Units, Written
from headstart.maths.selection import Budget, select
from headstart.maths.shortening import Shortener

_FIRST = 5


@dataclass(frozen=True, slots=True)
class Extract:
    """A summary: the places of its sentences, what was taken of each, and each one's probability."""

    places: tuple[int, ...]
    lines: tuple[str, ...]
    scores: tuple[float, ...] = ()

    @property
    def text(self) -> str:
        """The summary, a sentence a line."""
        return "\n".join(self.lines)

    def written(self) -> Written:
        """Return the summary as every head that writes gives it."""
        numbered = zip(self.places, self.scores, strict=True)
        return Written(self.text, {f"sentence {place + 1}": score for place, score in numbered})


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class SentenceHead(Head):
    """A logistic layer on the sentences' features; ``shortener`` is None where sentences stay whole."""

    columns: tuple[Column, ...]
    weight_D: Floats
    bias: float
    budget: Budget
    shortener: Shortener | None

    def outputs(self, seen_mD: Floats, units: Units) -> list[Written]:
        """Return a summary of each of n documents, a sentence a line, with its sentences' probabilities."""
        probability_m = self.probabilities(seen_mD, units)
        stops = np.cumsum([len(one) for one in units])[:-1]
        return [
            self.extract(part_m, [unit.text or "" for unit in one]).written()
            for part_m, one in zip(np.split(probability_m, stops), units, strict=True)
        ]

    def probabilities(self, seen_md: Floats, units: Units) -> Array:
        """Return how likely each sentence belongs to its document's summary, float64 [m]."""
        width = self.columns[-1].stop - self.columns[-1].start
        x_mD = np.hstack([seen_md, surface(units, seen_md[:, -width:])]).astype(np.float64)
        return np.asarray(1 / (1 + np.exp(-(x_mD @ self.weight_D.astype(np.float64) + self.bias))))

    def extract(self, scores_m: Array, sentences: Sequence[str]) -> Extract:
        """Return the summary of one document whose sentences have been scored."""
        places = select(scores_m, sentences, self.budget.sentences(len(sentences)))
        lines = (sentences[place] for place in places)
        return Extract(
            places,
            tuple(line if self.shortener is None else shortened(line, self.shortener) for line in lines),
            tuple(float(scores_m[place]) for place in places),
        )

    def parameters(self) -> int:
        """Return how many weights there are."""
        return len(self.weight_D) + 1 + (0 if self.shortener is None else self.shortener.weights_V.size)

    def tensors(self) -> dict[str, Array]:
        """Return the weights by name."""
        named: dict[str, Array] = {"weight": self.weight_D, "bias": np.array([self.bias])}
        return named if self.shortener is None else {**named, "shortener": self.shortener.weights_V}

    def facts(self) -> dict[str, Any]:
        """Return the budget, and the names of the shortener's features with the length it aims at."""
        short = self.shortener
        named = None if short is None else {"names": list(short.names), "words": short.words}
        return {"budget": asdict(self.budget), "shortener": named}

    def files(self) -> dict[str, Any]:
        """Return nothing: no other library has this head."""
        return {}

    @staticmethod
    def restore(
        columns: Sequence[Column], tensors: Mapping[str, Array], facts: Mapping[str, Any]
    ) -> "SentenceHead":
        """Rebuild a head from its tensors and facts."""
        named = facts["shortener"]
        return SentenceHead(
            columns=tuple(columns),
            weight_D=tensors["weight"],
            bias=float(tensors["bias"][0]),
            budget=Budget(**facts["budget"]),
            shortener=None
            if named is None
            else Shortener(tuple(named["names"]), tensors["shortener"], named["words"]),
        )


def shortened(sentence: str, shortener: Shortener) -> str:
    """Return the part of a sentence that the shortener keeps, without the marks left hanging at its ends."""
    words = sentence.split()
    begin, end = shortener.span(words)
    if (begin, end) == (0, len(words)):
        return sentence
    return " ".join(words[begin:end]).strip(" ,;:-–—") or sentence


def surface(units: Units, last_md: Floats) -> Floats:
    """Return figures about each sentence's place and form, and its likeness to its document [m, S].

    ``last_md`` are the features that likeness is measured by: the cosine to the document's mean.
    """
    rows, start = [], 0
    for one in units:
        alike_k = likeness(last_md[start : start + len(one)])
        start += len(one)
        rows += [
            _figures(place, len(one), unit.text or "", float(alike))
            for place, (unit, alike) in enumerate(zip(one, alike_k, strict=True))
        ]
    return np.array(rows, dtype=np.float32)


def likeness(last_kd: Floats) -> Array:
    """Return the cosine of each sentence of one document to the mean of them, float64 [k]."""
    x_kd = last_kd.astype(np.float64)
    mean_d = x_kd.mean(axis=0)
    norms_k = np.linalg.norm(x_kd, axis=1) * np.linalg.norm(mean_d)
    return np.asarray((x_kd @ mean_d) / np.maximum(norms_k, 1e-12))


def _figures(place: int, count: int, sentence: str, alike: float) -> list[float]:
    words = len(sentence.split())
    return [
        *(float(place == first) for first in range(_FIRST)),
        np.log1p(place),
        place / count,
        float(place == count - 1),
        np.log1p(count),
        np.log1p(words),
        float(words < 6),
        float(words > 30),
        float(not sentence[:1].isalnum()),
        float(not sentence[:1].isupper()),
        float(sentence[-1:] == ":"),
        alike,
    ]
