"""What is printed: each kind of answer, and who was left out."""

from types import SimpleNamespace

import pytest

from headstart.core.records import LeftOut, Prediction
from headstart.ship.words import models_left_out
from headstart.terminal import _told


@pytest.mark.parametrize(
    ("prediction", "scores", "line"),
    [
        ("cat", {"cat": 0.9, "dog": 0.1}, "cat\t0.900"),
        ("sky, tree", {"tree": 0.2, "sky": 0.8, "road": 0.0}, "sky 0.800, tree 0.200"),
        ("Draws a circle.", {"sentence 2": 0.7}, "Draws a circle."),
        ("Deux\tmots\nici", {}, "Deux mots ici"),
        ("", {}, ""),
    ],
    ids=["class", "shares", "summary", "text on one line", "nothing"],
)
def test_an_answer_is_told_on_one_line(prediction: str, scores: dict[str, float], line: str) -> None:
    assert _told(Prediction(input="it", prediction=prediction, scores=scores, error=None)) == line
    written = Prediction(input="it", prediction=prediction, scores=scores, error=None, file="it.png")
    assert _told(written) == f"{line}\tit.png"


def test_who_is_left_out_for_one_reason_stands_in_one_line() -> None:
    reasons = {
        "a:x": "a:x is not here",
        "a:y": "a:y is not here",
        "b": "it lacks maps",
        "c": "c is big",
    }
    left_out = [LeftOut(base=base, reason=reason) for base, reason in reasons.items()]
    found = models_left_out(SimpleNamespace(left_out=left_out))  # type: ignore[arg-type]
    assert found == ["a:x, a:y each is not here", "b: it lacks maps", "c is big"]
