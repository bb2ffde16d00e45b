"""The page is whole, harmless and true to the records, and never knows a task."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from headstart.core.errors import UserError
from headstart.ship import charts, words
from headstart.ship.report import best_per_layers, by_epoch, render, write_report
from tests.ship import invented

VOID = {"meta", "img", "br", "hr", "input", "link"}
SVG_LEAVES = {"line", "path", "rect", "circle"}


class Page(HTMLParser):
    """Checks that tags balance; collects tags, attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SVG_LEAVES
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)

    def said(self) -> str:
        """Return the page's text with single spaces."""
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def html() -> str:
    return render(invented.fitted(), invented.evaluation())


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_nothing_is_loaded_and_nothing_runs(html: str, page: Page) -> None:
    assert "<script" not in html
    assert "://" not in html
    assert not re.search(r"url\(|@import|javascript:", html)
    for tag, attributes in page.tags:
        assert tag not in {"script", "link", "iframe", "object", "embed", "base", "form"}
        assert not any(name.startswith("on") for name in attributes)
        assert not attributes.get("href")
        if tag == "img":
            assert str(attributes["src"]).startswith("data:image/")
    assert "default-src 'none'" in html


def test_names_from_data_are_text(html: str, page: Page) -> None:
    assert "<img src=x" not in html
    assert "<b>whistle" not in html
    assert page.said().count(invented.EVIL) >= 5


def test_pictures_have_alternatives_and_headings_their_order(page: Page) -> None:
    assert ("html", {"lang": "en"}) in page.tags
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip([0, *levels], levels, strict=False))
    assert all(attributes.get("alt") for tag, attributes in page.tags if tag == "img")
    drawn = [attributes for tag, attributes in page.tags if tag == "svg" and attributes.get("role") == "img"]
    assert len(drawn) == len(invented.evaluation()["metrics"]) + 2
    assert all(attributes["aria-label"] for attributes in drawn)


def test_it_says_what_the_records_say(page: Page) -> None:
    said = page.said()
    accuracy = invented.evaluation()["metrics"]["accuracy"]
    assert f"{accuracy['value']:.3f}" in said
    assert f"{accuracy['low']:.3f}–{accuracy['high']:.3f}" in said
    for expected in (
        "efficientnet-lite0 tells 8 kinds of pictures apart: 91% right on 105 pictures it never saw (86–96%)",
        "Always guessing the commonest would get 11%, a linear model on raw pixels 81%.",
        "490 to learn from, 105 to choose by, 105 to report on.",
        "the deeper blocks (chosen)",
        "people/empty.png",
        "the file ends in the middle of the picture",
        "transparent pixels shown on white: 412",
        "The test split was scored once",
        "headstart fit examples/emoji/fluent",
        "Time: 8.5 s in all",
    ):
        assert expected in said, expected


def test_every_kind_of_section_is_known_and_no_other(page: Page) -> None:
    said = page.said()
    for title in ("Worst mistakes", "Confusion matrix", "Reliability", "Class by class", "Texts"):
        assert title in said
    evaluation = invented.evaluation()
    evaluation["sections"].append({"kind": "hologram", "title": "", "note": ""})
    with pytest.raises(ValueError, match="hologram"):
        render(invented.fitted(), evaluation)


def test_many_classes_show_the_most_confused_pairs() -> None:
    page = Page(render(invented.fitted(), invented.evaluation(40)))
    assert "40 classes make an unreadable grid" in page.said()
    assert not any(attributes.get("class") == "heat" for _, attributes in page.tags)


def test_the_task_changes_nothing_but_its_own_name() -> None:
    fitted, evaluation = invented.fitted(), invented.evaluation()
    other = render({**fitted, "task": "summarization"}, evaluation)
    assert other == render(fitted, evaluation).replace("image classification", "summarization")


@pytest.mark.parametrize("missing", sorted(invented.fitted()))
def test_a_missing_key_of_the_run_is_left_out(missing: str) -> None:
    fitted = {key: value for key, value in invented.fitted().items() if key != missing}
    Page(render(fitted, invented.evaluation()))


def test_an_almost_empty_run_is_still_a_page() -> None:
    page = Page(render({}, {"metrics": {}, "sections": []}))
    assert "Nothing: everything was read as it is." in page.said()


def test_metrics_without_interval_and_without_accuracy() -> None:
    metric: dict[str, Any] = {"value": 31.5, "low": None, "high": None, "n": 12}
    copied = {"bleu": {**metric, "value": 4.0}}
    evaluation = {"metrics": {"bleu": metric}, "baselines": {"copy": copied}}
    said = Page(render({"base": "hf:a/b"}, evaluation)).said()
    assert "BLEU 31.5 on 12 examples it never saw" in said
    assert "Copying the input would get 4.0." in said
    assert "31.500" not in said
    assert "no interval" in said


def test_no_clear_gain_is_said() -> None:
    right = {"value": 0.8, "low": 0.7, "high": 0.9, "n": 50}
    evaluation = {
        "metrics": {"accuracy": right},
        "baselines": {"pixels": {"accuracy": {**right, "value": 0.75}}},
    }
    assert "not clearly better than a linear model on raw pixels" in words.comparison(evaluation)


def test_what_knows_the_answer_is_nothing_to_beat() -> None:
    model = {"value": 0.32, "low": 0.28, "high": 0.36, "n": 104}
    evaluation = {
        "metrics": {"rouge1": model},
        "baselines": {
            "lead-1": {"rouge1": {**model, "value": 0.27}},
            "oracle": {"rouge1": {**model, "value": 0.5}},
        },
    }
    assert words.comparison(evaluation) == "Taking the first sentence would get 0.270."


def test_a_model_that_was_trained_further_is_not_said_to_have_stayed() -> None:
    objective = {
        "examples": 353,
        "parameters": 2_990_088,
        "epochs": [
            {"epoch": 1, "seconds": 9.0, "loss": 0.7, "log_loss": 0.8, "accuracy": 0.61},
            {"epoch": 2, "seconds": 18.0, "loss": 0.2, "log_loss": 0.9, "accuracy": 0.62},
        ],
    }
    fitted = {**invented.fitted(), "strategy": "full", "objective": objective}
    said = Page(render(fitted, invented.evaluation())).said()
    assert "stayed as it was" not in said
    assert "was trained further, with the head, and then frozen anew" in said
    assert "The model and its head, 2,990,088 weights in all, were trained on 353" in said
    assert "1 (kept) 0.700 0.800 0.610 2 0.200 0.900 0.620" in said


@pytest.mark.parametrize(("kept", "place"), [(1.0, 2), (0.0, 0)])
def test_the_epoch_is_marked_whose_weights_were_kept(kept: float, place: int) -> None:
    history = [
        {"epoch": 1, "seconds": 1.0, "loss": 3.0, "log_loss": 2.0},
        {"epoch": 2, "seconds": 2.0, "loss": 1.0, "log_loss": 2.5},
        {"averaged": 2.0, "kept": kept, "log_loss": 1.9},
    ]
    table = by_epoch(history)
    assert table["header"] == ("epoch", "loss", "Log loss")
    assert table["kept"] == place
    assert [cells[0].endswith("(kept)") for cells in table["rows"]] == [place == i for i in range(3)]


def test_values_of_a_record_are_written_for_people() -> None:
    preprocess = {"modality": "picture", "size": 128, "mean": [0.5, 0.5], "prefix": "", "languages": []}
    assert words.plain(preprocess) == "modality picture, size 128, mean 0.5 0.5"
    assert words.plain(False) == "no"


def test_repeated_looks_are_warned_of() -> None:
    evaluation = {**invented.evaluation(), "looks": 3}
    assert "looked at 3 times" in Page(render(invented.fitted(), evaluation)).said()


def test_nothing_is_said_to_be_unseen_that_was_seen() -> None:
    fitted, evaluation = invented.fitted(), invented.evaluation()
    count = evaluation["metrics"]["accuracy"]["n"]
    for seen, told in (
        (0, "it never saw"),
        (3, "3 of which it has seen"),
        (count, "all of which it has seen"),
    ):
        assert told in Page(render(fitted, {**evaluation, "seen": seen})).said()


def test_a_spoilt_figure_has_a_name() -> None:
    assert words.metric("accuracy@noise") == ("Accuracy under noise", "share that is right")


def test_a_long_list_of_what_was_dropped_is_folded() -> None:
    dropped = [{"file": f"{i}.png", "reason": "empty" if i % 2 else "no picture"} for i in range(300)]
    fitted, evaluation = (
        {**invented.fitted(), "dropped": dropped},
        {**invented.evaluation(), "dropped": dropped},
    )
    said = Page(render(fitted, evaluation)).said()
    assert "All 300 files and reasons" in said
    assert "150 × empty" in said


def test_write_report_reads_the_run_and_writes_beside_it(tmp_path: Path, html: str) -> None:
    (tmp_path / "run.json").write_text(json.dumps(invented.fitted()))
    (tmp_path / "evaluation.json").write_text(json.dumps(invented.evaluation()))
    assert write_report(tmp_path) == tmp_path / "report.html"
    assert (tmp_path / "report.html").read_text() == html
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evaluation.json", "report.html", "run.json"]


def test_no_run_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run\\.json"):
        write_report(tmp_path)


def test_the_best_of_each_layer_set_is_shown_best_first() -> None:
    best = best_per_layers(invented.OBJECTIVE["chosen"])  # type: ignore[arg-type]
    assert [(one["layers"], one["l2"]) for one in best] == [("deep", 0.001), ("all", 0.003), ("last", 0.01)]


def test_marks_lie_where_their_values_are() -> None:
    metric = {"value": 0.8, "low": 0.7, "high": 0.9, "n": 10}
    share, loss = charts.rows({"accuracy": metric, "log_loss": {**metric, "high": 1.7}}, {})
    assert (share.model.low, share.model.at, share.model.high) == (70.0, 80.0, 90.0)
    assert (loss.model.at, loss.ticks[-1]) == (40.0, (100.0, "2"))


@pytest.mark.parametrize(("largest", "top"), [(0.0, 1.0), (0.3, 0.4), (1.0, 1.0), (2.6, 4.0), (37.0, 40.0)])
def test_an_axis_ends_at_a_round_number(largest: float, top: float) -> None:
    assert charts.nice_top(largest) == pytest.approx(top)


def test_confused_pairs_come_commonest_first() -> None:
    pairs = charts.most_confused(["a", "b", "c"], [[5, 2, 0], [0, 9, 1], [4, 0, 0]])
    assert pairs == [("c", "a", 4, 1.0), ("a", "b", 2, 2 / 7), ("b", "c", 1, 0.1)]


def test_empty_bins_have_no_place() -> None:
    section = {"edges": [0, 0.5, 1], "confidence": [None, 0.9], "accuracy": [None, 1.0], "counts": [0, 4]}
    empty, full = charts.reliability(section)
    assert (empty.x, empty.y, empty.count_height) == (None, None, 0.0)
    assert (full.x, full.y, full.top) == (90.0, 0.0, 0.0)
    assert full.bottom == pytest.approx(100 * (1 - 0.025**0.25), abs=0.01)


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0%"), (0.001, "0.1%"), (0.843, "84%"), (0.9981, "99.8%"), (1.0, "100%")]
)
def test_a_percentage_never_claims_all_or_nothing(share: float, text: str) -> None:
    assert words.percent(share) == text


def test_a_formula_is_escaped_before_it_is_set() -> None:
    set_formula = words.formula("min over W, b of 1/N Σ <b>x</b>²")
    assert "<b>" not in set_formula
    assert "<sup>2</sup>" in set_formula
    assert "<i>y</i><sub><i>t</i></sub><sub>−</sub><sub>1</sub>" in words.formula("yₜ₋₁")
    assert 'class="under"' in set_formula


def test_a_trained_start_is_a_row_of_its_own() -> None:
    history = [{"epoch": 0, "log_loss": 0.5}, {"epoch": 1, "loss": 0.1, "log_loss": 0.6}]
    table = by_epoch(history)
    assert table["rows"] == [["before (kept)", "–", "0.500"], ["1", "0.100", "0.600"]]
    assert table["kept"] == 0
