"""Summarization from end to end: fit, reload, move, evaluate, predict; and documents of odd sizes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from headstart.contracts import Example
from headstart.core import plugins
from headstart.core.errors import BadExample
from headstart.tasks.summarization import MOST_SENTENCES, Summarization
from tests.verbs.conftest import ROOT, Call, Done, inside, told_apart

MINILM = plugins.load("source", "pack").find("minilm-l6")

PAIRS = ROOT / "examples" / "docstrings" / "pairs.jsonl"
ODD = [
    {"name": "empty", "description": "  ", "summary": "Nothing."},
    {"name": "mute", "description": "A text that has words but no summary at all.", "summary": ""},
    {"name": "short", "description": "Return the one value.", "summary": "Return one value."},
    {"name": "long", "description": "It goes on for ever. " * 25_000, "summary": "It goes on."},
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty pairs and four odd ones, unsplit."""
    file = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    lines = PAIRS.read_text().splitlines()[:60]
    file.write_text("\n".join([*lines, *map(json.dumps, ODD)]) + "\n")
    return file


@pytest.fixture(scope="module")
def summarizer(
    headstart_home: Path, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Done]:
    """One run."""
    out = tmp_path_factory.mktemp("runs") / "summaries"
    return out, inside("fit", data, "--out", out, "--engine", "openvino", "--layers", "last", "--json")


def test_fit_guesses_the_task_and_counts_what_it_drops(summarizer: tuple[Path, Done]) -> None:
    fitted = summarizer[1].json
    assert fitted["task"] == "summarization"
    assert list(fitted["metrics"]) == ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    assert set(fitted["baselines"]) == {"lead-1", "lead-3", "oracle", "oracle-cut"}
    assert all(one["low"] <= one["value"] <= one["high"] for one in fitted["metrics"].values())
    best = fitted["baselines"]["oracle"]["rouge1"]["value"]
    assert best >= fitted["baselines"]["lead-1"]["rouge1"]["value"]
    assert {one["reason"] for one in fitted["dropped"]} == {"empty document", "empty summary"}
    assert fitted["split"]["train"] + fitted["split"]["val"] + fitted["split"]["test"] == 62


def test_a_long_document_is_noted(summarizer: tuple[Path, Done]) -> None:
    record = json.loads((summarizer[0] / "run.json").read_text())
    told = {note["what"]: note["count"] for note in record["notes"]}
    assert told[f"only the first {MOST_SENTENCES} sentences of the document read"] == 1
    # The long document's 200 sentences are one: each unit is computed once.
    assert record["engine"]["computed"] < record["engine"]["from_store"] + 300


def test_the_report_shows_document_reference_and_summary(summarizer: tuple[Path, Done]) -> None:
    html = (summarizer[0] / "report.html").read_text()
    assert "Worst summaries" in html
    assert "reference" in html


def predictions(done: Done) -> list[Any]:
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


def test_a_moved_run_says_the_same_of_a_file_and_of_a_table(
    summarizer: tuple[Path, Done], tmp_path: Path, call: Call
) -> None:
    moved = shutil.copytree(summarizer[0], tmp_path / "moved")
    rows = [json.loads(line) for line in PAIRS.read_text().splitlines()[60:64]]
    table = tmp_path / "table.jsonl"
    table.write_text("".join(json.dumps({"description": row["description"]}) + "\n" for row in rows))
    file = tmp_path / "doc.txt"
    file.write_text(rows[2]["description"])
    [alone] = predictions(call("predict", summarizer[0], file, "--engine", "torch", "--json"))
    together = predictions(call("predict", moved, table, "--engine", "torch", "--json"))
    assert alone["prediction"] == together[2]["prediction"]
    assert set(alone["prediction"].split()) <= set(rows[2]["description"].split()) | {
        word.strip(" ,;:") for word in rows[2]["description"].split()
    }
    assert all(name.startswith("sentence ") and 0 <= score <= 1 for name, score in alone["scores"].items())


def test_an_empty_document_gets_a_reason(summarizer: tuple[Path, Done], tmp_path: Path, call: Call) -> None:
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "one.txt").write_text("Return the one value")
    done = call("predict", summarizer[0], tmp_path / "empty.txt", tmp_path / "one.txt", "--json")
    empty, one = map(json.loads, done.out.splitlines())
    assert done.code == 2
    assert empty["prediction"] is None
    assert "empty" in empty["error"]
    assert one["prediction"]


def test_evaluate_gives_fits_own_figures(
    summarizer: tuple[Path, Done], data: Path, tmp_path: Path, call: Call
) -> None:
    copied = shutil.copytree(summarizer[0], tmp_path / "copy")
    done = call("evaluate", copied, data, "--engine", "openvino", "--json").json
    assert done["metrics"]["rouge1"]["value"] == pytest.approx(
        summarizer[1].json["metrics"]["rouge1"]["value"]
    )


def test_documents_unlike_those_fitted_on_are_told_apart(tmp_path: Path, call: Call) -> None:
    lines = PAIRS.read_text().splitlines()
    parts = {"train": lines[:40], "val": lines[40:62], "test": lines[62:74]}
    data = tmp_path / "data"
    data.mkdir()
    for name, some in parts.items():
        (data / f"{name}.jsonl").write_text("\n".join(some) + "\n")
    mails = (ROOT / "examples" / "mail" / "mails.csv").read_text().splitlines()[1:25]
    other = tmp_path / "mails.jsonl"
    other.write_text("".join(json.dumps({"text": line}) + "\n" for line in mails))
    run = tmp_path / "run"
    call("fit", data, "--out", run, "--engine", "torch", "--layers", "last", "--l2", "1e-3", "--json")
    told = call("evaluate", run, data, "--against", other, "--engine", "torch", "--json").json["metrics"]
    assert told["ood_rate"]["n"] == 12
    (tmp_path / "tested.jsonl").write_text((data / "test.jsonl").read_text())
    others, own = (
        call("predict", run, one, "--engine", "torch", "--json") for one in (other, tmp_path / "tested.jsonl")
    )
    told_apart(told, others, own)


def test_a_hidden_layer_is_refused(data: Path, tmp_path: Path, call: Call) -> None:
    done = call("fit", data, "--out", tmp_path / "run", "--head-hidden", "8")
    assert done.code == 2
    assert "--head-hidden" in done.complaint


def test_parts_are_the_same_each_time_and_empty_documents_have_none() -> None:
    task = Summarization()
    example = Example("key", "", Path("none"), text="One. Two.\n\nThree.")
    assert [unit.text for unit in task.parts(example, whole=False, pretrained=MINILM).units] == [
        "One.",
        "Two.",
        "Three.",
    ]
    again = task.parts(example, whole=False, pretrained=MINILM)
    assert task.parts(example, whole=False, pretrained=MINILM) == again
    with pytest.raises(BadExample, match="empty"):
        task.parts(Example("key", "", Path("none"), text=" ... "), whole=False, pretrained=MINILM)
