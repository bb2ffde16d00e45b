"""``choose`` on real emoji and small models: what it ranks and leaves out; fit then finds its features."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import headstart
from headstart.core import plugins
from tests.model.families import PAIRS
from tests.verbs.conftest import SMALL, Call, Done, copy_pictures
from tests.verbs.test_masks import scenes

LITE, SQUEEZE = "pack:efficientnet-lite0", "pack:squeezenet1_1"
WRONG = "pack:minilm-l6"


@pytest.fixture(scope="module")
def ranked(headstart_home: Path, emoji: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """One ranking of two models that suit and two that do not, and its page."""
    page = tmp_path_factory.mktemp("page") / "choice.html"
    bases = f"{SQUEEZE},{LITE},{WRONG},pack:lite9,{LITE}"
    return headstart.choose(str(emoji), bases=bases, image_size=64, out=str(page)), page


def test_models_are_ranked_with_forecast_and_costs(ranked: tuple[Any, Path]) -> None:
    chosen, _ = ranked
    assert [one.base for one in chosen.ranking] == [LITE, SQUEEZE]  # emoji are far apart for these two
    assert chosen.chosen == LITE
    assert chosen.task == "image-classification"
    assert chosen.measure == "accuracy"
    for one in chosen.ranking:
        assert 0 <= one.low <= one.score <= one.high <= 1
        assert one.milliseconds > 0
        assert one.input_size == "64 px"
        assert set(one.looks[0].estimates) == set(plugins.names("estimator"))
    first, second = chosen.ranking
    assert first.parameters > 4_000_000 > second.parameters > 1_000_000
    assert first.mib == pytest.approx(first.parameters * 4 / 2**20, abs=0.01)
    assert (first.licence, second.licence) == ("Apache-2.0", "MIT")
    assert (first.source_score, second.source_score) == (74.83, 58.18)
    assert first.looks[0].estimates["leep"] is not None
    assert second.looks[0].estimates["leep"] is None  # its classifier is a convolution below the last mean


def test_what_does_not_suit_is_listed_with_the_reason(ranked: tuple[Any, Path]) -> None:
    reasons = {one.base: one.reason for one in ranked[0].left_out}
    assert reasons.keys() == {WRONG, "pack:lite9"}
    assert "is a text model; expected a picture model" in reasons[WRONG]
    assert "no pack is called 'lite9'" in reasons["pack:lite9"]


def test_fit_computes_no_feature_after_choose(ranked: tuple[Any, Path], emoji: Path, tmp_path: Path) -> None:
    run = headstart.fit(str(emoji), out=str(tmp_path / "run"), base=ranked[0].chosen, image_size=64)
    assert run.engine["computed"] == 0
    assert run.engine["from_store"] == 42


def test_the_page_draws_the_front_and_loads_nothing(ranked: tuple[Any, Path]) -> None:
    html = ranked[1].read_text()
    assert html.count("<circle") == 2
    assert f"{LITE} is the one to start from" in html
    assert "is a text model" in html
    assert "<script" not in html
    assert "src=" not in html


def test_a_ranking_is_a_table_of_a_hundred_columns_or_one_object(emoji: Path, call: Call) -> None:
    words = ("choose", emoji, "--bases", f"{LITE},{SQUEEZE}", *SMALL)
    shown = call(*words)
    assert shown.code == 0
    assert max(len(line) for line in shown.out.splitlines() if "headstart fit" not in line) <= 100
    assert f"Start from {LITE}" in shown.out
    assert f"headstart fit {emoji} --base {LITE} --image-size 64" in shown.out
    told = call(*words, "--json").json
    assert {"base", "score", "low", "high", "seconds", "parameters"} <= told["ranking"][0].keys()
    assert told["chosen"] == told["ranking"][0]["base"]


def test_those_that_lead_are_looked_at_on_more(emoji: Path, call: Call) -> None:
    words = ("choose", emoji, "--bases", f"{SQUEEZE},{LITE}", "--examples", 12, *SMALL)
    told = call(*words, "--json").json
    for one in told["ranking"]:
        assert [look["examples"] for look in one["looks"]] == [12, 24, 36]
    assert told["examples"] == 12
    shown = call(*words)
    assert "from 12 to 36 training examples" in shown.out
    assert " seen " in shown.out
    assert max(len(line) for line in shown.out.splitlines() if "headstart fit" not in line) <= 100


def test_the_first_are_settled_by_training(emoji: Path) -> None:
    chosen = headstart.choose(str(emoji), bases=f"{LITE},{SQUEEZE}", image_size=64, confirm=1, budget="5m")
    first, second = chosen.ranking
    assert chosen.confirmed_by == "accuracy"
    assert first.confirmed.n == 6  # the validation split's, never the test split's
    assert second.confirmed is None


def test_a_spent_budget_confirms_no_more(emoji: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    bases = f"{LITE},{SQUEEZE}"
    chosen = headstart.choose(str(emoji), bases=bases, image_size=64, confirm=2, budget="0.001s")
    assert sum(one.confirmed is not None for one in chosen.ranking) == 1
    assert "the budget is spent: 1 of 2 confirmed" in caplog.text


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        (("--max-size", 10), "17.9 MiB of weights; expected at most 10; see --max-size"),
        (("--licence", "MIT,BSD"), "its licence is Apache-2.0; expected one of mit, bsd"),
    ],
)
def test_filters_leave_out_and_say_so(
    emoji: Path, call: Call, limit: tuple[object, ...], reason: str
) -> None:
    told = call("choose", emoji, "--bases", f"{LITE},{SQUEEZE}", *SMALL, *limit, "--json").json
    assert told["chosen"] == SQUEEZE
    assert reason in told["left_out"][0]["reason"]


def test_a_limit_of_time_may_leave_none(emoji: Path, call: Call) -> None:
    done = call("choose", emoji, "--bases", SQUEEZE, *SMALL, "--max-latency", 0.0001)
    assert done.code == 2
    assert "none of 1 models suits image-classification here" in done.complaint
    assert "ms an example here" in done.complaint


def complaint(call: Call, *words: object) -> str:
    done: Done = call("choose", *words, *SMALL)
    assert done.code == 2
    return done.complaint


def test_mistakes_get_one_sentence(tmp_path: Path, emoji: Path, call: Call) -> None:
    single = copy_pictures(tmp_path / "single", ("animals",), 5)
    assert "single class, 'animals'" in complaint(call, single, "--bases", LITE)
    lone = copy_pictures(tmp_path / "lone", ("animals", "clothing"), 1)
    assert "too few examples of 'animals' (1), 'clothing' (1)" in complaint(call, lone, "--bases", LITE)
    assert "none of 1 models suits" in complaint(call, emoji, "--bases", WRONG)
    assert "expected SOURCE:NAME" in complaint(call, emoji, "--bases", "resnet")
    assert "--bases without a model" in complaint(call, emoji, "--bases", ",")
    assert "--budget soon" in complaint(call, emoji, "--bases", LITE, "--confirm", 1, "--budget", "soon")


def test_the_default_is_what_is_installed() -> None:
    present = plugins.load("source", "pack").present()
    assert (
        {"efficientnet-lite0", "squeezenet1_1"} <= set(present) <= set(plugins.load("source", "pack").names())
    )


def table(file: Path, rows: list[dict[str, Any]]) -> str:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


TEXTS = [pair["description"] for pair in PAIRS[:30]]
CASES: dict[str, tuple[str, str, list[dict[str, Any]]]] = {
    "classes": (
        *("text-classification", "accuracy"),
        [{"text": text, "label": "array" if "array" in text else "other"} for text in TEXTS],
    ),
    "labels": (
        *("text-classification", "f1_micro"),
        [{"text": t, "labels": [w for w in ("array", "the", "return") if w in t.lower()]} for t in TEXTS],
    ),
    "sentences": ("summarization", "oracle_sentence_f1", PAIRS[:24]),
    "words": ("summarization", "target_word_f1", PAIRS[:24]),
}


@pytest.mark.parametrize("name", CASES)
def test_texts_of_every_kind(name: str, family_folder: Callable[[str], Path], tmp_path: Path) -> None:
    task, measure, rows = CASES[name]
    bases = [f"hf:{family_folder(kind)}" for kind in ("bert", "gpt2")]
    head = {"head": "writer"} if name == "words" else {}
    data = table(tmp_path / "data.jsonl", rows)
    chosen = headstart.choose(data, task=task, bases=",".join(bases), max_length=40, **head)
    assert chosen.measure == measure
    assert bases[0] in [one.base for one in chosen.ranking]
    assert bool(chosen.weak) is (name == "words")
    if name == "sentences":  # gpt2 goes on writing from what it reads: nothing of it is frozen
        assert [one.base for one in chosen.left_out] == [bases[1]]
        assert "nothing of it is frozen" in chosen.left_out[0].reason


def test_masks_by_their_cells(tmp_path: Path) -> None:
    data = scenes(tmp_path / "masks", 12)
    chosen = headstart.choose(str(data), task="segmentation", bases=SQUEEZE, image_size=64)
    assert chosen.measure == "cell_accuracy"
    masks = [Image.open(file) for file in sorted((data / "masks").glob("*.png"))]
    ground = float(np.mean([(np.asarray(mask) == 0).mean() for mask in masks]))
    assert chosen.ranking[0].score > ground  # more than one gets by always saying the commonest class
