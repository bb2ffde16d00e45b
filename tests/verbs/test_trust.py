"""Prediction sets and the detector, from fit through evaluate to predict, and what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import headstart
from tests.verbs.conftest import NOTO, Call, copy_pictures

FLUENT = NOTO.parent / "fluent"
KINDS = ("animals", "clothing", "objects", "vehicles")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Emoji enough to vouch for 90%: more than 19 to select on."""
    return copy_pictures(tmp_path_factory.mktemp("data") / "emoji", KINDS, 40)


@pytest.fixture(scope="module")
def trusted(pictures: Path, headstart_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "trusted"
    headstart.fit(str(pictures), out=str(out), image_size=72, layers="last")
    return out


def test_sets_are_checked_on_the_test_split_and_shown(trusted: Path) -> None:
    found = json.loads((trusted / "evaluation.json").read_text())
    (table,) = (one for one in found["sections"] if one["title"] == "Prediction sets")
    rows = {row[0]: row for row in table["rows"]}
    assert list(rows) == ["80%", "90%", "95%"]
    size = [float(rows[level][2].split(" ")[0]) for level in ("80%", "90%", "95%")]
    assert 1 <= size[0] <= size[1] <= size[2] <= 4
    assert "Prediction sets" in (trusted / "report.html").read_text()


def test_predicted_sets_reach_the_coverage_that_evaluate_tells(
    trusted: Path, pictures: Path, call: Call
) -> None:
    said = call("evaluate", trusted, pictures, "--coverage", 0.9, "--json").json["metrics"]
    tested = json.loads((trusted / "split.json").read_text())["test"]
    files = [pictures / one["key"] for one in tested]
    lines = call("predict", trusted, *files, "--coverage", 0.9, "--json").out.splitlines()
    answers = [json.loads(line) for line in lines]
    held = [one["input"].split("/")[-2] in one["set"] for one in answers]
    assert said["coverage"]["value"] == pytest.approx(np.mean(held))
    assert said["set_size"]["value"] == pytest.approx(np.mean([len(one["set"]) for one in answers]))
    assert said["coverage"]["value"] >= 0.75
    assert all(one["set"][0] == one["prediction"] for one in answers)
    shown = call("predict", trusted, files[0], "--coverage", 0.9).out
    assert "{" + ", ".join(answers[0]["set"]) + "}" in shown


def test_drawings_in_another_style_are_told_apart(trusted: Path, pictures: Path, call: Call) -> None:
    said = call("evaluate", trusted, pictures, "--against", FLUENT, "--json").json["metrics"]
    assert said["ood_rate"]["value"] <= 0.2
    assert said["ood_auroc"]["low"] > 0.5
    lines = call("predict", trusted, FLUENT, "--json").out.splitlines()
    flagged = [json.loads(line)["unlike"] > 0 for line in lines]
    assert said["ood_rate_against"]["value"] == pytest.approx(np.mean(flagged))
    shown = call("predict", trusted, FLUENT).out.splitlines()
    assert [line.endswith("unlike the training data") for line in shown] == flagged


def test_noise_is_flagged(trusted: Path, tmp_path: Path, call: Call) -> None:
    random = np.random.default_rng(0)
    for place in range(8):
        pixels = random.integers(0, 256, (64, 64, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{place}.png")
    shown = call("predict", trusted, tmp_path).out.splitlines()
    assert [line.endswith("unlike the training data") for line in shown] == [True] * 8


def test_neighbours_may_be_asked_for(pictures: Path, tmp_path: Path, call: Call) -> None:
    run = tmp_path / "run"
    done = call(
        "fit",
        pictures,
        "--out",
        run,
        "--image-size",
        72,
        "--layers",
        "last",
        "--detector",
        "neighbours",
        "--json",
    )
    assert 0 <= done.json["metrics"]["ood_rate"]["value"] <= 0.3
    kept = json.loads((run / "model" / "headstart.json").read_text())["beside"]
    assert kept["unlike"]["detector"] == "neighbours"


def test_too_few_to_vouch_is_said(finished: Path, emoji: Path, call: Call) -> None:
    # Six pictures were held out to select on.
    assert "at most 0.857" in call("evaluate", finished, emoji, "--coverage", 0.9).complaint
    assert "at most 0.857" in call("predict", finished, emoji, "--coverage", 0.9).complaint
    assert "coverage" in call("evaluate", finished, emoji, "--coverage", 0.8, "--json").json["metrics"]
    assert "without a detector" in call("evaluate", finished, emoji, "--against", FLUENT).complaint
    notes = json.loads((finished / "run.json").read_text())["notes"]
    assert [note["count"] for note in notes if "too few to tell what is unlike" in note["what"]] == [6]
    assert "a number below 1" in call("predict", finished, emoji, "--coverage", 1).complaint


def test_a_run_of_before_still_predicts(trusted: Path, pictures: Path, tmp_path: Path, call: Call) -> None:
    old = shutil.copytree(trusted, tmp_path / "old")
    config = old / "model" / "headstart.json"
    described = json.loads(config.read_text())
    del described["beside"]
    config.write_text(json.dumps(described))
    answer = json.loads(call("predict", old, pictures / "animals" / "bat.png", "--json").out)
    assert "unlike" not in answer
    assert "without prediction sets" in call("predict", old, pictures, "--coverage", 0.8).complaint


def test_without_a_validation_split_sets_come_from_the_folds(
    pictures: Path, tmp_path: Path, call: Call
) -> None:
    for place, file in enumerate(sorted(pictures.rglob("*.png"))):
        folder = tmp_path / "data" / ("test" if place % 4 == 0 else "train") / file.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder)
    run = tmp_path / "run"
    done = call("fit", tmp_path / "data", "--out", run, "--image-size", 72, "--layers", "last", "--json").json
    assert done["split"]["val"] == 0
    said = call("evaluate", run, tmp_path / "data", "--coverage", 0.9, "--json").json["metrics"]
    assert 0.75 <= said["coverage"]["value"] <= 1
    assert said["set_size"]["value"] < 4


def test_spoilt_pictures_are_scored_beside_the_clean_ones(trusted: Path, pictures: Path, call: Call) -> None:
    said = call("evaluate", trusted, pictures, "--corrupt", "--json").json["metrics"]
    spoilt = {name: metric for name, metric in said.items() if name.startswith("accuracy@")}
    assert set(spoilt) == {
        f"accuracy@{how}" for how in ("noise", "blur", "contrast", "brightness", "jpeg", "pixelate")
    }
    assert {metric["n"] for metric in spoilt.values()} == {said["accuracy"]["n"]}
    assert np.mean([metric["value"] for metric in spoilt.values()]) < said["accuracy"]["value"]
