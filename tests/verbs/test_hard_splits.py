"""Test splits that tell little: each gets a sensible result, and says what cannot be computed."""

import shutil
from pathlib import Path

import headstart
from headstart.core.records import Matrix, Table
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


def test_what_training_never_saw_counts_as_wrong(finished: Path, tmp_path: Path, call: Call) -> None:
    data = copy_pictures(tmp_path / "data" / "test", ("animals", "smileys"), 3).parent
    known = copy_pictures(tmp_path / "known" / "test", ("animals",), 3).parent
    least = call("evaluate", finished, known, "--json").json["metrics"]["accuracy"]
    done = call("evaluate", finished, data, "--coverage", "0.5", "--json").json
    assert done["metrics"]["accuracy"]["value"] == least["value"] / 2
    assert done["metrics"]["accuracy"]["n"] == 6
    assert done["metrics"]["coverage"]["value"] <= 0.5
    assert 15 < done["metrics"]["log_loss"]["value"] < 35  # -ln(1e-15) is 34.5
    notes = [one for one in done["notes"] if "training never saw" in one["what"]]
    assert [one["count"] for one in notes] == [3]
    shown = {one.title: one for one in headstart.evaluate(finished, data).sections}
    table, matrix = shown["Class by class"], shown["Confusion matrix"]
    assert isinstance(table, Table)
    assert isinstance(matrix, Matrix)
    assert [row[0] for row in table.rows] == ["animals", "clothing", "vehicles", "smileys"]
    assert table.rows[-1][1:4] == ("3", "0.00 (no interval)", "0.00 (0.00-0.71)")
    assert sum(matrix.counts[-1]) == 3


def test_a_split_of_which_nothing_was_seen_is_refused(finished: Path, tmp_path: Path, call: Call) -> None:
    data = copy_pictures(tmp_path / "data" / "test", ("smileys",), 2).parent
    said = call("evaluate", finished, data).complaint
    assert "1 classes that the run does not know, the first 'smileys'" in said


def test_fit_goes_on_where_the_test_split_has_a_new_class(tmp_path: Path, call: Call) -> None:
    copy_pictures(tmp_path / "data" / "train", ("animals", "vehicles"), 8)
    for file in copy_pictures(tmp_path / "data" / "test", ("animals", "smileys"), 14).rglob("*"):
        if file.is_file() and (tmp_path / "data/train" / file.parent.name / file.name).exists():
            file.unlink()
    done = call("fit", tmp_path / "data", "--out", tmp_path / "run", *SMALL, "--layers", "last", "--json")
    assert done.json["metrics"]["accuracy"]["n"] == 20
    assert done.json["metrics"]["accuracy"]["value"] <= 0.3
    assert {one["value"] <= 0.3 for one in (b["accuracy"] for b in done.json["baselines"].values())} == {True}
    told = "of a class that training never saw ('smileys'): never predicted, so counted as wrong"
    assert {one["what"]: one["count"] for one in done.json["notes"]}[told] == 14


def test_a_test_split_that_leaked_wholly_is_told(emoji: Path, tmp_path: Path, call: Call) -> None:
    for split in ("train", "test"):
        shutil.copytree(emoji, tmp_path / "data" / split)
    done = call(
        "fit", tmp_path / "data", "--out", tmp_path / "run", *SMALL, "--layers", "last", "--json"
    ).json
    notes = [note for note in done["notes"] if note["count"] == 42 and "split" in note["what"]]
    assert notes, done["notes"]


def test_one_class_alone_is_scored_though_none_could_be_trained(
    finished: Path, tmp_path: Path, call: Call
) -> None:
    data = copy_pictures(tmp_path / "data", ("animals",), 14)
    assert "single class, 'animals'" in call("fit", data, "--out", tmp_path / "run").complaint
    done = call("evaluate", finished, data, "--json").json
    assert (done["split"], done["metrics"]["accuracy"]["n"]) == ("all", 2)  # 12 of 14 had a part in training


def test_what_the_training_split_beside_it_lacks_is_nothing_to_a_finished_run(
    finished: Path, tmp_path: Path, call: Call
) -> None:
    copy_pictures(tmp_path / "data" / "train", ("animals", "clothing"), 4)
    copy_pictures(tmp_path / "data" / "test", ("vehicles",), 3)
    refused = call("fit", tmp_path / "data", "--out", tmp_path / "run").complaint
    assert "only classes that the train split lacks: 'vehicles' (3)" in refused
    done = call("evaluate", finished, tmp_path / "data", "--json").json
    assert done["metrics"]["accuracy"]["n"] == 3
    assert not [one for one in done["notes"] if "learnt" in one["what"] or "missing" in one["what"]]
