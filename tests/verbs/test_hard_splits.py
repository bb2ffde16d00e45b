"""Test splits that tell little: each gets a sensible result, and says what cannot be computed."""

import shutil
from pathlib import Path

from tests.verbs.conftest import SMALL, Call, copy_pictures


def test_a_single_picture_has_figures_and_no_interval(finished: Path, tmp_path: Path, call: Call) -> None:
    data = copy_pictures(tmp_path / "data" / "test", ("animals",), 1).parent
    said = call("evaluate", finished, data, "--json").json["metrics"]
    assert {(one["low"], one["high"], one["n"]) for one in said.values()} == {(None, None, 1)}
    assert "cannot be computed" in call("evaluate", finished, data).out
    twin = shutil.copytree(finished, tmp_path / "twin")
    found = call("compare", finished, twin, "--data", data, "--json").json
    assert {one["p_holm"] for one in found["differences"]} == {1.0}
    assert {one["difference"]["low"] for one in found["differences"]} == {None}
    assert "none" in call("compare", finished, twin, "--data", data).out


def test_a_split_of_one_class_is_scored(finished: Path, tmp_path: Path, call: Call) -> None:
    data = copy_pictures(tmp_path / "data" / "test", ("animals",), 8).parent
    said = call("evaluate", finished, data, "--json").json["metrics"]
    assert said["accuracy"]["n"] == 8
    assert said["accuracy"]["low"] is not None  # exact, even where all are right


def test_a_class_that_was_never_seen_is_named(finished: Path, tmp_path: Path, call: Call) -> None:
    data = copy_pictures(tmp_path / "data" / "test", ("animals", "smileys"), 2).parent
    assert (
        "1 classes that the run does not know, the first 'smileys'"
        in call("evaluate", finished, data).complaint
    )


def test_a_test_split_that_leaked_wholly_is_told(emoji: Path, tmp_path: Path, call: Call) -> None:
    for split in ("train", "test"):
        shutil.copytree(emoji, tmp_path / "data" / split)
    done = call(
        "fit", tmp_path / "data", "--out", tmp_path / "run", *SMALL, "--layers", "last", "--json"
    ).json
    notes = [note for note in done["notes"] if note["count"] == 42 and "split" in note["what"]]
    assert notes, done["notes"]
