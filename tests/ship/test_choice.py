"""The drawing of ``choose``: places of points, ticks and front, and names that are text, never markup."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from headstart.core.records import Chosen, LeftOut, Looked, Ranked
from headstart.ship.choice import draw, write_page


def ranked(base: str, score: float, milliseconds: float | None, front: bool) -> Ranked:
    return Ranked(
        base=base,
        score=score,
        low=score - 0.1,
        high=score + 0.05,
        looks=(Looked(examples=100, estimates={"knn": score, "leep": None}),),
        source_score=None,
        confirmed=None,
        milliseconds=milliseconds,
        parameters=1000,
        mib=0.1,
        licence="MIT",
        input_size="64 px",
        front=front,
        seconds=1.0,
    )


CHOSEN = Chosen(
    task="image-classification",
    chosen="pack:best",
    ranking=(
        ranked("pack:best", 0.9, 10.0, True),
        ranked("timm:<b>", 0.8, 1.0, True),
        ranked("pack:slow", 0.7, 100.0, False),
        ranked("pack:untimed", 0.6, None, False),
    ),
    left_out=(LeftOut(base="hf:other", reason="it reads <i>texts</i>"),),
    measure="accuracy",
    confirmed_by="",
    weak="",
    examples=100,
    dropped=(),
    notes=(),
    seconds=3.0,
)


def test_points_lie_where_cost_and_forecast_say() -> None:
    drawing = draw(CHOSEN)
    assert [one.rank for one in drawing.points] == [1, 2, 3]  # what was not timed has no place
    best, quick, slow = drawing.points
    # Equal ratios are equal distances across; and up is better.
    assert best.x - quick.x == pytest.approx(slow.x - best.x, abs=0.02)
    assert best.y < quick.y < slow.y
    assert best.low > best.y > best.high
    ticks = {label: at for at, label in drawing.across}
    assert ticks["10"] == pytest.approx(best.x, abs=0.01)
    assert drawing.front == f"M{quick.x} {quick.y}H{best.x}V{best.y}"


def test_one_model_and_none_timed_are_drawn_too() -> None:
    assert 0 < draw(replace(CHOSEN, ranking=CHOSEN.ranking[:1])).points[0].x < 100
    assert draw(replace(CHOSEN, ranking=CHOSEN.ranking[3:])).points == ()


def test_names_are_escaped_and_nothing_is_loaded(tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", CHOSEN, "<data>")
    html = (tmp_path / "page.html").read_text()
    assert "timm:&lt;b&gt;" in html
    assert "&lt;i&gt;texts" in html
    assert "<data>" not in html
    assert not re.search(r"<script|https?://|<img", html)
    assert html.count("<circle") == 3
    assert "1 of the others lies within its interval" in html  # 0.8, and the first reaches down to 0.8
