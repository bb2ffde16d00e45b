"""Segmentation through the command line: fitted on a few pictures with exact masks, used, moved, reloaded."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import headstart
from headstart.core import plugins
from headstart.maths import segmentation
from tests.verbs.conftest import NOTO, Call, Done, told_apart

COUNT = 24
SMALL = ("--image-size", "64", "--engine", "torch")
DECODER: dict[str, Any] = {"head": "fpn", "tiles": True, "epochs": 4, "batch_size": 4, "learning_rate": 0.01}


def scenes(root: Path, count: int = COUNT) -> Path:
    """Emoji of two classes on plain grounds, one a picture, of two sizes of picture."""
    random = np.random.default_rng(0)
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    for number in range(count):
        name = ("smileys", "vehicles")[number % 2]
        drawing = (
            Image.open(sorted((NOTO / name).glob("*.png"))[number // 2]).convert("RGBA").resize((48, 48))
        )
        size = (96, 72) if number % 3 else (80, 80)
        sheet = Image.new("RGB", size, tuple(int(level) for level in random.integers(0, 255, 3)))
        place = tuple(int(random.integers(0, side - 48)) for side in size)
        sheet.paste(drawing, place, drawing)
        alpha = Image.new("L", size)
        alpha.paste(drawing.getchannel("A"), place)
        values = np.where(np.asarray(alpha) >= 128, number % 2 + 1, 0).astype(np.uint8)
        sheet.save(root / "images" / f"{number:02}.png")
        Image.fromarray(values).save(root / "masks" / f"{number:02}.png")
    (root / "classes.txt").write_text("ground\nsmileys\nvehicles\n")
    return root


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenes(tmp_path_factory.mktemp("segmentation") / "scenes")


def fitted(data: Path, out: Path, **options: Any) -> Path:
    from headstart import fit

    fit(str(data), out=str(out), image_size=64, engine="torch", **options)
    return out


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fitted(data, tmp_path_factory.mktemp("segmentation-runs") / "run")


@pytest.fixture(scope="module")
def decoded(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A decoder on tiles: two of the pictures that are 96 px wide, one of those of 80 px."""
    return fitted(data, tmp_path_factory.mktemp("segmentation-runs") / "decoded", **DECODER)


@pytest.fixture(params=["run", "decoded"])
def either(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


def test_fit_guesses_the_task_and_beats_the_baselines(run: Path) -> None:
    record = json.loads((run / "run.json").read_text())
    assert record["task"] == "segmentation"
    assert record["classes"] == ["ground", "smileys", "vehicles"]
    assert record["model"]["preprocess"]["modality"] == "picture-maps"
    assert set(record["metrics"]) == {"miou", "pixel_accuracy", "dice_macro"}
    assert set(record["baselines"]) == {"majority", "colour"}
    assert record["metrics"]["miou"]["value"] > record["baselines"]["majority"]["miou"]["value"] + 0.04
    assert not record["dropped"]


def test_the_report_shows_pictures_with_truth_and_prediction(run: Path) -> None:
    evaluation = json.loads((run / "evaluation.json").read_text())
    kinds = [(section["kind"], section["title"]) for section in evaluation["sections"]]
    assert kinds == [
        ("gallery", "Worst masks"),
        ("gallery", "Colours"),
        ("table", "Class by class"),
        ("matrix", "Confusion matrix"),
        ("table", "Slices"),
        ("table", "Training against held-out"),
    ]
    assert all(item["image"].startswith("data:image/png") for item in evaluation["sections"][0]["items"])
    page = (run / "report.html").read_text()
    assert "Worst masks" in page
    assert "Mean IoU" in page


def test_the_figures_are_those_of_the_masks_that_predict_writes(
    either: Path, data: Path, tmp_path: Path, call: Call
) -> None:
    run = either
    split = json.loads((run / "split.json").read_text())
    keys = [one["key"] for one in split["test"]]
    out = tmp_path / "masks"
    pictures = [data / key for key in keys]
    lines = call("predict", run, *pictures, "--out", out, "--json", "--engine", "torch").out.splitlines()
    counts = np.zeros((3, 3), dtype=int)
    for key, line in zip(keys, lines, strict=True):
        told = json.loads(line)
        written = np.asarray(Image.open(told["file"]))
        truth = np.asarray(Image.open(data / key.replace("images", "masks")))
        assert written.shape == truth.shape
        for place, name in enumerate(("ground", "smileys", "vehicles")):
            assert told["scores"][name] == pytest.approx((written == place).mean())
        counts += segmentation.confusion(truth.astype(int), written, 3)
    measured = json.loads((run / "evaluation.json").read_text())["metrics"]
    assert measured["pixel_accuracy"]["value"] == pytest.approx(np.trace(counts) / counts.sum())
    matrix = json.loads((run / "evaluation.json").read_text())["sections"][3]["counts"]
    assert matrix == counts.tolist()


def test_a_moved_run_evaluates_to_the_same(either: Path, data: Path, tmp_path: Path, call: Call) -> None:
    from headstart import evaluate

    moved = tmp_path / "elsewhere"
    shutil.copytree(either, moved)
    split = json.loads((either / "split.json").read_text())
    held_out = tmp_path / "held-out"
    for one in split["test"]:
        for key in (one["key"], one["key"].replace("images", "masks")):
            (held_out / key).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(data / key, held_out / key)
    shutil.copy(data / "classes.txt", held_out)
    found = evaluate(str(moved), str(held_out), engine="torch")
    before = json.loads((either / "evaluation.json").read_text())["metrics"]
    assert {name: one.value for name, one in found.metrics.items()} == {
        name: one["value"] for name, one in before.items()
    }


@pytest.mark.parametrize(("name", "options"), [("run", {}), ("decoded", DECODER)])
def test_fitting_again_gives_the_same_head(
    name: str, options: dict[str, Any], data: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    again = fitted(data, tmp_path / "again", **options)
    first, second = (
        folder / "model" / "head.safetensors" for folder in (request.getfixturevalue(name), again)
    )
    assert first.read_bytes() == second.read_bytes()


def test_a_decoder_on_tiles_is_recorded(decoded: Path) -> None:
    record = json.loads((decoded / "run.json").read_text())
    assert record["model"]["preprocess"]["tiled"]
    assert record["objective"]["loss"].startswith("dice")
    assert [one["epoch"] for one in record["objective"]["epochs"]] == [1, 2, 3, 4]
    wide = sum(bool(number % 3) for number in range(COUNT))
    told = {note["what"]: note["count"] for note in record["notes"]}
    assert told["cut into overlapping tiles of 64 px"] == wide
    assert record["engine"]["computed"] + record["engine"]["from_store"] == COUNT + wide
    report = json.loads((decoded / "evaluation.json").read_text())
    assert report["metrics"]["miou"]["value"] > report["baselines"]["majority"]["miou"]["value"]


def test_a_picture_gets_the_same_mask_alone_and_among_others(
    decoded: Path, data: Path, tmp_path: Path, call: Call
) -> None:
    pictures = sorted((data / "images").glob("*.png"))[:6]
    call("predict", decoded, *pictures, "--out", tmp_path / "many", "--engine", "torch")
    call("predict", decoded, pictures[4], "--out", tmp_path / "one", "--engine", "torch")
    name = pictures[4].name
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "many" / name).read_bytes()


def test_classes_the_run_does_not_know_are_refused(run: Path, data: Path, tmp_path: Path, call: Call) -> None:
    other = tmp_path / "other"
    shutil.copytree(data, other)
    (other / "classes.txt").write_text("ground\nsmileys\nboats\n")
    assert "'boats'" in call("evaluate", run, other).complaint


def test_options_without_meaning_are_refused(data: Path, tmp_path: Path, call: Call) -> None:
    def complaint(*options: str) -> str:
        done: Done = call("fit", data, "--out", tmp_path / "never", *SMALL, *options)
        assert done.code == 2
        assert not (tmp_path / "never").exists()
        return done.complaint

    assert "add --head fpn" in complaint("--head-hidden", "8")
    assert "add --head fpn" in complaint("--loss", "dice")
    assert "add --head fpn" in complaint("--epochs", "3")
    assert "--weight-decay" in complaint("--head", "fpn", "--l2", "1")
    assert "max-length" in complaint("--max-length", "8")
    assert "a text model" in complaint("--base", "pack:minilm-l6")


def test_options_of_masks_are_refused_elsewhere(emoji: Path, tmp_path: Path, call: Call) -> None:
    for options in (("--loss", "dice"), ("--class-weights", "sqrt"), ("--tiles",)):
        done: Done = call("fit", emoji, "--out", tmp_path / "never", *SMALL, *options)
        assert done.code == 2
        assert options[0] in done.complaint


def test_class_weights_give_rare_classes_more(run: Path, data: Path, tmp_path: Path) -> None:
    weighted = fitted(data, tmp_path / "weighted", class_weights="balanced", layers="all")
    weights = json.loads((weighted / "run.json").read_text())["objective"]["class_weights"]
    assert weights["ground"] < 1 < min(weights["smileys"], weights["vehicles"])
    said = [
        np.array(json.loads((one / "evaluation.json").read_text())["sections"][3]["counts"]).sum(axis=0)[0]
        for one in (run, weighted)
    ]
    assert said[1] < said[0]


def test_pictures_unlike_those_fitted_on_are_told_apart(tmp_path: Path, call: Call) -> None:
    data, noise = split_in_three(scenes(tmp_path / "scenes", 44)), tmp_path / "noise"
    random = np.random.default_rng(1)
    noise.mkdir()
    for number in range(12):
        pixels = random.integers(0, 255, (80, 96, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(noise / f"{number:02}.png")
    run = fitted(data, tmp_path / "run", layers="last", l2=1e-3, tiles=True)
    assert json.loads((run / "run.json").read_text())["metrics"]["ood_rate"]["n"] == 8
    told = call("evaluate", run, data, "--against", noise, "--engine", "torch", "--json").json["metrics"]
    tested = sorted((data / "images" / "test").iterdir())
    others, own = (
        call("predict", run, *files, "--engine", "torch", "--json")
        for files in (sorted(noise.iterdir()), tested)
    )
    told_apart(told, others, own)
    flags = [json.loads(line)["unlike"] > 0 for line in own.out.splitlines()]
    lines = call("predict", run, *tested, "--engine", "torch").out.splitlines()
    assert [line.endswith("\tunlike the training data") for line in lines] == flags


def split_in_three(data: Path) -> Path:
    """Make the first sixteen pictures train, twenty val, the rest test."""
    for part in ("images", "masks"):
        files = sorted((data / part).iterdir())
        for role, some in (("train", files[:16]), ("val", files[16:36]), ("test", files[36:])):
            (data / part / role).mkdir()
            for file in some:
                file.rename(data / part / role / file.name)
    return data


def test_a_detector_of_classes_is_refused_before_training(data: Path, tmp_path: Path, call: Call) -> None:
    done = call("fit", data, "--out", tmp_path / "never", *SMALL, "--detector", "mahalanobis")
    assert done.code == 2
    assert "without a class each" in done.complaint
    assert "Choosing" not in done.err


def test_out_is_refused_where_answers_are_no_files(finished: Path, emoji: Path, call: Call) -> None:
    one = next(emoji.rglob("*.png"))
    done = call("predict", finished, one, "--out", finished / "masks")
    assert done.code == 2
    assert "answers are no files" in done.complaint


def test_a_picture_that_cannot_be_read_has_its_reason(run: Path, tmp_path: Path, call: Call) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture at all")
    done = call("predict", run, broken, "--json", "--engine", "torch")
    assert done.code == 2
    assert "not a picture" in json.loads(done.out)["error"]


@pytest.mark.parametrize("base", ["pack:squeezenet1_1", "pack:efficientnet-lite0"])
def test_maps_are_the_last_of_each_stride(base: str) -> None:
    from headstart.model.trunk import find_model

    try:
        model = find_model(base, "picture-maps", {"image_size": 96, "max_length": None}, 0)
        columns = model.columns()
    except Exception as error:  # the pack is not installed here
        pytest.skip(str(error))
    sets = plugins.load("modality", "picture-maps").layer_sets(columns)
    sides = [int(column.name.partition("x")[0]) for column in sets["all"]]
    assert sides == sorted(sides, reverse=True)
    assert len(sides) == len(set(sides)) >= 2
    assert columns[0].name == f"{sides[0]}x{sides[0]}/colours"


def test_a_run_on_masks_has_a_learning_curve(tmp_path: Path) -> None:
    run = tmp_path / "run"
    asked = {"layers": "last", "l2": 1e-3, "image_size": 64, "engine": "torch"}
    headstart.fit(str(scenes(tmp_path / "data", 60)), out=str(run), **asked)
    sections = json.loads((run / "evaluation.json").read_text())["sections"]
    (curve,) = (one for one in sections if one["title"] == "Learning curve")
    assert curve["header"] == ["pictures trained on", "miou"]
    assert [size for size, _ in curve["rows"]] == ["10", "21", "42"]
