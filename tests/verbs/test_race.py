"""The race of ``choose``: who is looked at again, on how much, and what ends it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from headstart.core.errors import HeadstartError, MachineError
from headstart.core.records import Looked
from headstart.specs import FitSpec
from headstart.verbs import race as racing
from headstart.verbs.candidates import Candidate

PLENTY = 10_000
SCORES = {"a": 0.3, "b": 0.8, "c": 0.5, "d": 0.7, "e": 0.9, "f": 0.6, "g": 0.4}


class Data:
    """As much of a data set as a race asks for."""

    train = range(PLENTY)


def looked_at(one: Candidate, score: float, examples: int) -> Candidate:
    """Return the model after one more look, which finds the score whatever the examples."""
    looks = (*one.looks, Looked(examples=examples, estimates={"probe": score, "brier": score - 1}))
    return replace(one, looks=looks, milliseconds=10.0)


def raced(
    monkeypatch: pytest.MonkeyPatch,
    scores: Mapping[str, float],
    there: int = PLENTY,
    limit_s: float = math.inf,
    broken: Sequence[str] = (),
) -> tuple[dict[str, list[int]], Mapping[str, HeadstartError]]:
    """Race models after a first look at 100; return how many examples each was shown, and who fell out."""

    def look(one: Candidate, data: Any, examples: Sequence[Any]) -> Candidate:
        if one.base in broken:
            raise MachineError("features that are not finite.")
        return looked_at(one, scores[one.base], len(examples))

    monkeypatch.setattr(racing, "look", look)
    kinds: Any = {"model": None, "learner": None, "reading": None, "parameters": 0, "mib": 0.0}
    new = {base: Candidate(spec=FitSpec(data="data", base=base), **kinds) for base in scores}
    found = {base: looked_at(one, scores[base], 100) for base, one in new.items()}
    data: Any = Data()
    refused = racing.race(found, data, lambda most: list(range(min(most, there))), limit_s)  # type: ignore[arg-type]
    return {base: [each.examples for each in one.looks] for base, one in found.items()}, refused


def test_the_better_half_is_looked_at_again_on_twice_as_many_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, _ = raced(monkeypatch, SCORES)
    assert {base for base, turns in seen.items() if turns == [100]} == {"a", "c", "g"}
    assert {base for base, turns in seen.items() if turns == [100, 200]} == {"d", "f"}
    assert {base for base, turns in seen.items() if turns == [100, 200, 400]} == {"b", "e"}


def test_two_are_both_looked_at_again_and_one_alone_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert raced(monkeypatch, {"a": 0.3, "b": 0.8})[0] == {"a": [100, 200, 400], "b": [100, 200, 400]}
    assert raced(monkeypatch, {"a": 0.3})[0] == {"a": [100]}


def test_it_ends_with_the_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, _ = raced(monkeypatch, SCORES, there=150)
    assert max(seen.values()) == [100, 150]
    seen, _ = raced(monkeypatch, SCORES, there=100)
    assert set(map(tuple, seen.values())) == {(100,)}


def test_it_ends_with_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    # Four models on 100 more at 10 ms are 4 s, two on 200 more are 4 s again.
    for limit_s, most in ((3.9, [100]), (4.1, [100, 200]), (8.1, [100, 200, 400])):
        assert max(raced(monkeypatch, SCORES, limit_s=limit_s)[0].values()) == most


def test_what_breaks_falls_out_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, refused = raced(monkeypatch, SCORES, broken=("e", "d"))
    assert refused.keys() == {"d", "e"}
    assert "e" not in seen
    assert {base for base, turns in seen.items() if turns == [100, 200, 400]} == {"b", "f"}
    seen, refused = raced(monkeypatch, {"a": 0.3, "b": 0.8}, broken=("a", "b"))
    assert (seen, refused.keys()) == ({}, {"a", "b"})
