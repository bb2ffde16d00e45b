"""``evaluate``, ``predict``, ``cache``: a run answers the same wherever it lies, however it is asked."""

import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import headstart
from headstart.core.records import to_json
from tests.verbs.conftest import SMALL, Call, Done, contents, copy_pictures, run

TORCH = ("--engine", "torch")


def test_unsplit_data_is_scored_without_what_was_trained_on(
    fitted: tuple[Path, Done], finished: Path, emoji: Path, call: Call
) -> None:
    said = call("evaluate", finished, emoji, "--json").json
    assert said["metrics"] == fitted[1].json["metrics"]
    assert said["baselines"] == fitted[1].json["baselines"]
    left_out = [note for note in said["notes"] if note["what"].startswith("left out")]
    assert [note["count"] for note in left_out] == [36]


def test_renamed_training_pictures_are_left_out_too(
    finished: Path, emoji: Path, tmp_path: Path, call: Call
) -> None:
    data = shutil.copytree(emoji, tmp_path / "data")
    for place, file in enumerate(sorted(data.rglob("*.png"))):
        file.rename(file.with_name(f"{place}.png"))
    assert call("evaluate", finished, data, "--json").json["metrics"]["accuracy"]["n"] == 6


def test_a_given_split_is_scored_whole_and_leaks_are_told(
    finished: Path, emoji: Path, tmp_path: Path, call: Call
) -> None:
    shutil.copytree(emoji, tmp_path / "data" / "test")
    said = call("evaluate", finished, tmp_path / "data", "--json").json
    assert said["split"] == "test"
    assert said["metrics"]["accuracy"]["n"] == 42
    assert [note["count"] for note in said["notes"] if "flatter" in note["what"]] == [36]


def test_looks_count_up_per_data(finished: Path, emoji: Path, tmp_path: Path, call: Call) -> None:
    # The fit itself was the first look at its test split.
    looks = [call("evaluate", finished, emoji, "--json").json["looks"] for _ in range(2)]
    assert looks == [2, 3]
    other = copy_pictures(tmp_path / "other" / "test", each=3)
    assert call("evaluate", finished, other.parent, "--json").json["looks"] == 1
    lines = [json.loads(line) for line in (finished / "looks.jsonl").read_text().splitlines()]
    assert [line["split"] for line in lines] == ["test", "all", "all", "test"]


def test_python_evaluates_alike(fitted: tuple[Path, Done], finished: Path, emoji: Path) -> None:
    found = headstart.evaluate(str(finished), str(emoji))
    assert to_json(found.metrics) == fitted[1].json["metrics"]


def test_predictions_are_those_that_were_scored(
    fitted: tuple[Path, Done], finished: Path, emoji: Path, call: Call
) -> None:
    tested = json.loads((finished / "split.json").read_text())["test"]
    done = call("predict", finished, *(emoji / one["key"] for one in tested), "--json")
    assert done.code == 0
    right = [
        json.loads(line)["prediction"] == one["key"].split("/")[0]
        for line, one in zip(done.out.splitlines(), tested, strict=True)
    ]
    assert np.mean(right) == pytest.approx(fitted[1].json["metrics"]["accuracy"]["value"])


def test_one_line_an_input_in_their_order(finished: Path, emoji: Path, tmp_path: Path, call: Call) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    good = [emoji / "vehicles" / sorted(os.listdir(emoji / "vehicles"))[3], emoji / "animals" / "bat.png"]
    inputs = [good[0], broken, good[1], emoji / "clothing"]
    done = call("predict", finished, *inputs, "--json")
    assert done.code == 2  # one could not be read
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert len(lines) == 3 + 14
    assert sorted(line["input"] for line in lines[:3]) == sorted(map(str, inputs[:3]))
    assert [line["input"] for line in lines] == [
        *map(str, inputs[:3]),
        *(str(file) for file in sorted((emoji / "clothing").iterdir())),
    ]
    for line in lines:
        if line["input"] == str(broken):
            assert set(line) == {"input", "prediction", "scores", "error"}
            assert (line["prediction"], line["scores"]) == (None, {})
            assert "PNG" in line["error"]
        else:
            assert set(line) == {"input", "prediction", "scores"}
            assert sum(line["scores"].values()) == pytest.approx(1.0)
            assert line["prediction"] == max(line["scores"], key=line["scores"].__getitem__)
            assert list(line["scores"]) == ["animals", "clothing", "vehicles"]


def test_text_names_what_was_not_read(finished: Path, emoji: Path, tmp_path: Path, call: Call) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"")
    done = call("predict", finished, broken, emoji / "animals" / "bat.png")
    assert done.code == 2
    first, second = done.out.splitlines()
    assert first == f"{broken}\tnot read: empty file (0 bytes)"
    assert second.split("\t")[0] == str(emoji / "animals" / "bat.png")
    assert 0 <= float(second.split("\t")[2]) <= 1


def test_paths_come_on_standard_input(
    finished: Path, emoji: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [str(file) for file in sorted((emoji / "animals").iterdir())]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join([*files, "", ""])))
    piped = call("predict", finished, "-", "--json")
    assert piped.code == 0
    assert piped.out == call("predict", finished, *files, "--json").out


def test_an_answer_does_not_depend_on_its_neighbours(finished: Path, emoji: Path, call: Call) -> None:
    files = [str(file) for file in sorted(emoji.rglob("*.png"))]
    together = call("predict", finished, *files, *TORCH, "--json").out.splitlines()
    for place in (0, 17, 41):
        alone = json.loads(call("predict", finished, files[place], *TORCH, "--json").out)
        same = json.loads(together[place])
        assert alone["prediction"] == same["prediction"]
        for name, score in alone["scores"].items():
            assert score == pytest.approx(same["scores"][name], abs=1e-5)


def test_a_run_computes_in_the_precision_that_it_was_fitted_in(
    own_home: Path, emoji: Path, tmp_path: Path, call: Call
) -> None:
    said = {}
    for precision in ("float32", "bfloat16"):
        out = tmp_path / precision
        call("fit", emoji, "--out", out, *SMALL, "--precision", precision, *TORCH)
        tables = len(call("cache", "--json").json["tables"])
        lines = call("predict", out, emoji, *TORCH, "--json").out.splitlines()
        said[precision] = [list(json.loads(line)["scores"].values()) for line in lines]
        assert len(call("cache", "--json").json["tables"]) == tables  # its features are those of the fit
    exact, rounded = np.array(said["float32"]), np.array(said["bfloat16"])
    assert 1e-6 < np.abs(exact - rounded).max() < 0.2
    assert tables == 2


def test_a_moved_run_answers_with_the_same_bytes(
    finished: Path, emoji: Path, tmp_path: Path, call: Call
) -> None:
    before = call("predict", finished, emoji, *TORCH, "--json").out
    moved = shutil.move(finished, tmp_path / "elsewhere")
    # A machine that never saw the original run, its data's features or its converted weights.
    after = run("predict", moved, emoji, *TORCH, "--json", HEADSTART_HOME=str(tmp_path / "new-home"))
    assert after.code == 0, after.err
    assert before == after.out


def test_predicting_leaves_the_run_alone(finished: Path, emoji: Path, call: Call) -> None:
    before = contents(finished)
    assert call("predict", finished, emoji).code == 0
    assert contents(finished) == before


def test_python_predicts_alike(finished: Path, emoji: Path, call: Call) -> None:
    file = str(emoji / "animals" / "bat.png")
    (found,) = headstart.predict(str(finished), [file])
    told = json.loads(call("predict", finished, file, "--json").out)
    assert (found.prediction, found.scores, found.error) == (told["prediction"], told["scores"], None)


def test_a_single_string_is_one_input(finished: Path, emoji: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A string is a sequence of strings too: taken for one, "/tmp/a.png" begins with the folder "/".
    monkeypatch.chdir(emoji / "animals")
    assert [one.input for one in headstart.predict(str(finished), "bat.png")] == ["bat.png"]


def test_nothing_but_regular_files_is_opened(finished: Path, emoji: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(emoji / "animals" / "bat.png", folder)
    os.mkfifo(folder / "pipe.png")  # opening it would wait for a writer for ever
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    done = run("predict", finished, folder, "--json", timeout_s=30)
    answers = {line["input"]: line["prediction"] for line in map(json.loads, done.out.splitlines())}
    assert answers.pop(str(folder / "bat.png")) is not None
    assert set(answers.values()) <= {None}


def test_every_engine_gives_the_same_answers(finished: Path, emoji: Path, call: Call) -> None:
    told = {}
    for engine in ("torch", "openvino", "onnxruntime"):
        lines = call("predict", finished, emoji, "--engine", engine, "--json").out.splitlines()
        told[engine] = np.array([list(json.loads(line)["scores"].values()) for line in lines])
    np.testing.assert_allclose(told["openvino"], told["torch"], atol=1e-3)
    np.testing.assert_allclose(told["onnxruntime"], told["torch"], atol=1e-3)


def test_the_cache_is_listed_and_shrunk(own_home: Path, emoji: Path, tmp_path: Path, call: Call) -> None:
    assert call("cache", "--json").json == {"tables": [], "bytes": 0}
    call("fit", emoji, "--out", tmp_path / "run", "--image-size", 64)
    listed = call("cache", "--json").json
    assert [(table["rows"], table["about"]["preprocess"]["size"]) for table in listed["tables"]] == [(42, 64)]
    on_disk = sum(file.stat().st_size for file in (own_home / "features").rglob("*") if file.is_file())
    assert listed["bytes"] == on_disk > 42 * 4 * 1280
    assert "pack:efficientnet-lite0" in call("cache").out
    assert call("cache", "--prune", 0, "--json").json["tables"] == []
    assert call("predict", tmp_path / "run", emoji / "animals" / "bat.png").code == 0


def test_the_page_of_a_look_shows_what_was_found_on_those_data(
    finished: Path, tmp_path: Path, call: Call
) -> None:
    data = copy_pictures(tmp_path / "new" / "test", each=5).parent
    page = tmp_path / "look.html"
    told = call("evaluate", finished, data, "--html", page, "--coverage", "0.5", "--json").json
    said = page.read_text()
    assert str(data) in said
    for title in ("Reliability", "Confusion matrix", "Slices", "Prediction sets", "Worst mistakes"):
        assert f"<h2>{title}</h2>" in said
    assert "<script" not in said
    assert "What was done" not in said
    assert "How to repeat it" not in said
    assert {one["title"] for one in told["sections"]} >= {"Reliability", "Class by class", "Slices"}
    assert not [one for one in told["sections"] if one["kind"] == "gallery"]
    assert "exists already" in call("evaluate", finished, data, "--html", page).complaint


def test_looks_at_what_was_reported_are_counted_in_the_report(
    finished: Path, emoji: Path, tmp_path: Path, call: Call
) -> None:
    report = finished / "report.html"
    once = report.read_text()
    other = copy_pictures(tmp_path / "other" / "test", each=3).parent
    call("evaluate", finished, other)
    assert report.read_text() == once  # other examples
    again = call("evaluate", finished, emoji)
    assert "needs new examples for an interval that holds" in " ".join(again.out.split())
    assert "looked at 2 times" not in once
    assert "The test split has been looked at 2 times with this run." in report.read_text()


def test_a_split_that_was_learnt_wholly_is_said_to_tell_nothing(tmp_path: Path, call: Call) -> None:
    copy_pictures(tmp_path / "data" / "train", each=6)
    copy_pictures(tmp_path / "data" / "test", each=3)
    run = tmp_path / "run"
    done = call("fit", tmp_path / "data", "--out", run, *SMALL, "--json").json
    [note] = [one for one in done["notes"] if "same content in the reported split" in one["what"]]
    assert "all of it is, so the figures say nothing of new data" in note["what"]
    assert "on 9 pictures, all of which it has seen before" in (run / "report.html").read_text()
    told = call("evaluate", run, tmp_path / "data", "--json").json
    assert told["seen"] == 9
    assert "say nothing of new data" in str(told["notes"])
