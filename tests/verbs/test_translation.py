"""Translation from end to end: the direction goes with the run; and pairs of odd sizes."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.verbs.conftest import ROOT, Call, Done, inside, told_apart

PAIRS = ROOT / "examples" / "translation" / "pairs.jsonl"
ODD = [
    {"package": "odd", "en": "", "fr": "Rien."},
    {"package": "odd", "en": "Nothing.", "fr": " "},
    {"package": "odd", "en": "a", "fr": "à"},
    {"package": "odd", "en": "It goes on. " * 3_000, "fr": "Ça continue. " * 3_000},
    {
        "package": "odd",
        "en": "Yes.",
        "fr": "Oui, bien sûr, et tout ce que vous voudrez entendre de plus encore.",
    },
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty pairs to train on, among them odd ones, twenty to select on, and ten to test on."""
    folder = tmp_path_factory.mktemp("pairs")
    lines = PAIRS.read_text(encoding="utf-8").splitlines()[200:270]
    (folder / "train.jsonl").write_text("\n".join([*lines[:60], *map(json.dumps, ODD)]) + "\n", "utf-8")
    more = PAIRS.read_text(encoding="utf-8").splitlines()[270:290]
    (folder / "val.jsonl").write_text("\n".join(more) + "\n", "utf-8")
    (folder / "test.jsonl").write_text("\n".join([*lines[60:], json.dumps(ODD[3])]) + "\n", "utf-8")
    return folder


@pytest.fixture(scope="module")
def translator(
    headstart_home: Path, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Done]:
    """One run, hardly trained, from French into English."""
    out = tmp_path_factory.mktemp("runs") / "fr-en"
    small = ("--epochs", "1", "--beams", "1", "--target-length", "12", "--max-length", "64")
    return out, inside(
        "fit", data, "--out", out, "--source-language", "fr", "--engine", "openvino", *small, "--json"
    )


def test_the_run_knows_its_direction_and_what_was_left_out(translator: tuple[Path, Done]) -> None:
    record = translator[1].json
    assert (record["task"], record["split"]["languages"]) == ("translation", ["fr", "en"])
    assert {role: record["split"][role] for role in ("train", "val", "test")} == {
        "train": 61,
        "val": 20,
        "test": 11,
    }
    assert {one["file"]: one["reason"] for one in record["dropped"]} == {
        "train.jsonl:61": "empty target",
        "train.jsonl:62": "empty source",
        "train.jsonl:64": "source of over 200 words: not trained on",
        "train.jsonl:65": "source over 3 times as long as the target: not trained on",
    }
    assert set(record["metrics"]) == {"bleu", "chrf", "ood_rate"}
    assert set(record["baselines"]["copy"]) == {"bleu", "chrf"}
    for figures in (record["metrics"], record["baselines"]["copy"]):
        assert figures["chrf"]["n"] == 11


def test_labelled_data_is_read_in_the_runs_direction(
    translator: tuple[Path, Done], data: Path, tmp_path: Path, call: Call
) -> None:
    out, done = translator
    again = call("evaluate", out, data, "--engine", "openvino", "--json").json
    assert again["metrics"] == done.json["metrics"]
    assert again["baselines"] == done.json["baselines"]
    line = json.dumps({"de": "Es regnet heute nicht.", "en": "It does not rain today."}) + "\n"
    (tmp_path / "de.jsonl").write_text(line * 3)
    refused = call("evaluate", out, tmp_path / "de.jsonl")
    assert refused.code == 2
    assert "has no fr (it has de, en); expected one of these languages" in refused.err


def test_each_line_has_its_answer(translator: tuple[Path, Done], tmp_path: Path, call: Call) -> None:
    (tmp_path / "a.txt").write_text("Il pleut.\n\nNous rentrons.\n")
    told = call("predict", translator[0], tmp_path / "a.txt", "--engine", "openvino", "--json")
    lines = [json.loads(line) for line in told.out.splitlines()]
    assert [line["input"].rpartition(":")[2] for line in lines] == ["1", "2", "3"]
    assert [line.get("error") for line in lines] == [None, "empty text", None]


def test_the_report_says_how_scores_may_be_compared(translator: tuple[Path, Done]) -> None:
    page = (translator[0] / "report.html").read_text(encoding="utf-8")
    assert "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:" in page
    assert "Against copying the source" in page


def test_texts_unlike_those_fitted_on_are_told_apart(
    translator: tuple[Path, Done], data: Path, tmp_path: Path, call: Call
) -> None:
    random = np.random.default_rng(0)
    noise = ["".join(random.choice(list("%$#@!~<>0x1qzk "), 60)).strip() + "." for _ in range(16)]
    (tmp_path / "noise.txt").write_text("\n".join(noise) + "\n", "utf-8")
    asked = ("--engine", "openvino", "--json")
    told = call("evaluate", translator[0], data, "--against", tmp_path / "noise.txt", *asked).json["metrics"]
    own = [json.loads(line) for line in (data / "test.jsonl").read_text("utf-8").splitlines()]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps({"fr": one["fr"]}) + "\n" for one in own), "utf-8")
    noise_said, own_said = (
        call("predict", translator[0], tmp_path / name, *asked) for name in ("noise.txt", "own.jsonl")
    )
    told_apart(told, noise_said, own_said)
