"""``fit`` from end to end: what it prints, what it writes, and that it does so again and again."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import headstart
from headstart.core.records import to_json
from tests.verbs.conftest import CLASSES, EACH, SMALL, Call, Done, contents, copy_pictures

DESIGNED = {"run", "task", "base", "strategy", "split", "metrics", "baselines", "dropped", "seconds"}
METRICS = {"accuracy", "precision_macro", "recall_macro", "f1_macro", "log_loss", "brier", "ece"}
RUN_FILES = {
    "examples.safetensors",
    *("run.json", "split.json", "evaluation.json", "report.html", "log.jsonl", "looks.jsonl"),
    *("model/headstart.json", "model/config.json", "model/model.safetensors", "model/head.safetensors"),
    "model/README.md",
}


def test_json_has_the_designed_keys(fitted: tuple[Path, Done], emoji: Path) -> None:
    out, done = fitted
    said = done.json
    assert set(said) >= DESIGNED
    assert (said["run"], said["task"]) == (str(out), "image-classification")
    assert (said["base"], said["strategy"]) == ("pack:efficientnet-lite0", "head")
    assert said["dropped"] == []
    assert said["seconds"] > 0
    assert (said["split"]["train"], said["split"]["val"], said["split"]["test"]) == (30, 6, 6)


def test_every_figure_lies_in_its_interval(fitted: tuple[Path, Done]) -> None:
    said = fitted[1].json
    assert set(said["baselines"]) == {"majority", "pixels"}
    for figures in (said["metrics"], *said["baselines"].values()):
        assert set(figures) == METRICS
        for name, figure in figures.items():
            assert set(figure) == {"value", "low", "high", "n"}
            assert figure["n"] == said["split"]["test"], name
            if figure["low"] is not None:
                assert figure["low"] <= figure["value"] <= figure["high"], name
    # The majority is a class of the training data, whatever the pictures show.
    assert said["baselines"]["majority"]["accuracy"]["value"] == pytest.approx(1 / 3)
    assert said["metrics"]["accuracy"]["value"] > said["baselines"]["majority"]["accuracy"]["value"]


def test_the_run_folder_is_whole_and_alone(fitted: tuple[Path, Done]) -> None:
    out, done = fitted
    assert set(contents(out)) == RUN_FILES
    assert [file.name for file in out.parent.iterdir()] == [out.name]  # no lock, no half-written folder
    record = json.loads((out / "run.json").read_text())
    assert record["metrics"] == done.json["metrics"]
    assert record["spec"]["image_size"] == 64
    assert record["versions"]["torch"]
    assert len(record["data_digest"]) == 64
    stages = [json.loads(line)["stage"] for line in (out / "log.jsonl").read_text().splitlines()]
    assert stages == ["read", "features", "head", "evaluate"]


def test_the_split_holds_every_picture_once_and_no_content_twice(fitted: tuple[Path, Done]) -> None:
    split = json.loads((fitted[0] / "split.json").read_text())
    keys = [one["key"] for role in split.values() for one in role]
    assert len(keys) == len(set(keys)) == EACH * len(CLASSES)
    digests = {role: {one["sha256"] for one in members} for role, members in split.items()}
    assert not digests["test"] & (digests["train"] | digests["val"])


def test_timm_loads_the_trunk_from_the_run(fitted: tuple[Path, Done]) -> None:
    from headstart.core.frameworks import prepare_torch

    prepare_torch()
    import timm

    config = json.loads((fitted[0] / "model" / "config.json").read_text())
    model = timm.create_model(
        config["architecture"], checkpoint_path=str(fitted[0] / "model" / "model.safetensors")
    )
    assert model.num_classes == 1000


def test_the_same_command_again_changes_nothing(
    fitted: tuple[Path, Done], emoji: Path, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    out, done = fitted
    before = contents(out)
    with caplog.at_level("INFO"):
        again = call("fit", emoji, "--out", out, *SMALL, "--json")
    assert again.json == done.json
    assert contents(out) == before
    assert f"{out} is finished already: nothing was changed" in caplog.text


def test_another_spec_on_the_same_folder_is_refused(
    fitted: tuple[Path, Done], emoji: Path, call: Call
) -> None:
    out, _ = fitted
    before = contents(out)
    refused = call("fit", emoji, "--out", out, *SMALL, "--seed", 1)
    assert refused.code == 2
    assert "another command" in refused.complaint
    assert str(out) in refused.complaint
    assert contents(out) == before


def test_python_and_the_command_line_agree(fitted: tuple[Path, Done], emoji: Path, tmp_path: Path) -> None:
    made = headstart.fit(str(emoji), out=str(tmp_path / "run"), image_size=64)
    assert to_json(made.metrics) == fitted[1].json["metrics"]
    assert to_json(made.baselines) == fitted[1].json["baselines"]


def test_python_takes_paths(fitted: tuple[Path, Done], emoji: Path, tmp_path: Path) -> None:
    made = headstart.fit(emoji, out=tmp_path / "run", image_size=64)  # type: ignore[arg-type]
    assert to_json(made.metrics) == fitted[1].json["metrics"]


def test_the_order_of_files_on_disk_tells_nothing(
    fitted: tuple[Path, Done], emoji: Path, tmp_path: Path, call: Call
) -> None:
    files = sorted(emoji.rglob("*.png"))
    random.Random(5).shuffle(files)
    for file in files:
        target = tmp_path / "shuffled" / file.relative_to(emoji)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    again = call("fit", tmp_path / "shuffled", "--out", tmp_path / "run", *SMALL, "--json").json
    assert again["metrics"] == fitted[1].json["metrics"]
    assert heads(tmp_path / "run") == heads(fitted[0])


def heads(run: Path) -> bytes:
    return (run / "model" / "head.safetensors").read_bytes()


def test_one_more_picture_changes_the_data_digest(
    fitted: tuple[Path, Done], tmp_path: Path, call: Call
) -> None:
    data = copy_pictures(tmp_path / "data", each=EACH + 1)
    call("fit", data, "--out", tmp_path / "run", *SMALL)
    digests = [
        json.loads((run / "run.json").read_text())["data_digest"] for run in (fitted[0], tmp_path / "run")
    ]
    assert digests[0] != digests[1]


def test_features_are_computed_once(
    fitted: tuple[Path, Done], emoji: Path, tmp_path: Path, call: Call
) -> None:
    first = fitted[1].json["engine"]
    again = call("fit", emoji, "--out", tmp_path / "run", *SMALL, "--layers", "last", "--json").json["engine"]
    assert first["computed"] + first["from_store"] == 42  # another test may have asked for some before
    assert (again["computed"], again["from_store"]) == (0, 42)


def test_random_weights_are_another_trunk(
    fitted: tuple[Path, Done], emoji: Path, tmp_path: Path, call: Call
) -> None:
    said = call("fit", emoji, "--out", tmp_path / "run", *SMALL, "--random-init", "--json").json
    assert said["engine"]["computed"] == 42  # nothing of the pretrained one's features is taken
    trunks = [
        load_file(run / "model" / "model.safetensors")["conv_stem.weight"]
        for run in (fitted[0], tmp_path / "run")
    ]
    assert not np.array_equal(*trunks)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["model"]["random_init"] is True


def test_the_textbook_head_is_stepped_as_told_and_repeats(
    fitted: tuple[Path, Done], emoji: Path, tmp_path: Path, call: Call
) -> None:
    import torch

    recipe = ("--head-hidden", 32, "--optimizer", "rmsprop", "--epochs", 3, "--batch-size", 8)
    state = torch.get_rng_state()
    said = [
        call("fit", emoji, "--out", tmp_path / name, *SMALL, *recipe, "--json").json for name in ("a", "b")
    ]
    assert torch.equal(torch.get_rng_state(), state)
    objective = said[0]["objective"]
    assert "rmsprop, 3 epochs, batches of 8, learning rate 0.001" in objective["solver"]
    assert [one["epoch"] for one in objective["epochs"]] == [1, 2, 3]
    assert objective["features"] * 32 + 32 + 32 * 3 + 3 == objective["parameters"]
    assert heads(tmp_path / "a") == heads(tmp_path / "b")
    assert said[0]["metrics"] == said[1]["metrics"]
    other = call("fit", emoji, "--out", tmp_path / "c", *SMALL, *recipe, "--seed", 1)
    assert other.code == 0
    assert heads(tmp_path / "c") != heads(tmp_path / "a")


def test_the_command_in_the_record_repeats_the_run(
    fitted: tuple[Path, Done], emoji: Path, tmp_path: Path, call: Call
) -> None:
    import shlex

    words = ("--l2", "0.01", "--layers", "last", "--engine", "torch")
    call("fit", emoji, "--out", tmp_path / "run", *SMALL, *words)
    record: dict[str, Any] = json.loads((tmp_path / "run" / "run.json").read_text())
    said = shlex.split(record["command"])
    assert said[:3] == ["headstart", "fit", str(emoji)]
    before = contents(tmp_path / "run")
    assert call(*said[1:]).code == 0
    assert contents(tmp_path / "run") == before
    assert record["objective"]["lambda"] == 0.01


def test_unreadable_pictures_are_listed_in_record_and_report(
    emoji: Path, tmp_path: Path, call: Call, fitted: object
) -> None:
    data = shutil.copytree(emoji, tmp_path / "data")
    (data / "animals" / "cut-short.png").write_bytes((data / "animals" / "bat.png").read_bytes()[:300])
    (data / "clothing" / "page.jpg").write_text("<!doctype html><title>404</title>")
    (data / "clothing" / "notes.txt").write_text("not a picture")
    (data / "vehicles" / "nothing.png").write_bytes(b"")
    said = call("fit", data, "--out", tmp_path / "run", *SMALL, "--json").json
    reasons = {one["file"]: one["reason"] for one in said["dropped"]}
    assert set(reasons) == {
        *("animals/cut-short.png", "clothing/page.jpg", "clothing/notes.txt", "vehicles/nothing.png")
    }
    assert "truncated" in reasons["animals/cut-short.png"]
    assert "HTML" in reasons["clothing/page.jpg"]
    assert "empty" in reasons["vehicles/nothing.png"]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["dropped"] == said["dropped"]
    report = (tmp_path / "run" / "report.html").read_text()
    for file, reason in reasons.items():
        assert file in report
        assert reason.partition("(")[0].strip() in report
    assert sum(said["split"][role] for role in ("train", "val", "test")) == 42


@pytest.mark.parametrize("given", [("train", "val", "test"), ("train", "val"), ("train", "test")])
def test_given_splits_are_kept(
    given: tuple[str, ...], emoji: Path, tmp_path: Path, call: Call, fitted: object
) -> None:
    files = sorted(emoji.rglob("*.png"))
    for place, file in enumerate(files):
        role = given[max(0, place % 5 - 5 + len(given))]
        target = tmp_path / "data" / role / file.relative_to(emoji)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    said = call("fit", tmp_path / "data", "--out", tmp_path / "run", *SMALL, "--json").json
    reported = "test" if "test" in given else "val"
    assert said["split"]["reported"] == reported
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    on_disk = sorted(
        file.relative_to(tmp_path / "data").as_posix()
        for file in (tmp_path / "data" / reported).rglob("*.png")
    )
    assert sorted(one["key"] for one in split["test"]) == on_disk
    assert said["metrics"]["accuracy"]["n"] == len(on_disk)
