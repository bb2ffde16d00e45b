"""``compare``: runs on the same examples, refusals, and what is said where certainty is not to be had."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import headstart
from headstart.core.records import to_json
from headstart.core.tallies import FILE, load_tallies
from tests.verbs.conftest import Call, Done, copy_pictures


@pytest.fixture(scope="module")
def rival(fitted: tuple[Path, Done], emoji: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the same pictures and the same split, with another head."""
    out = tmp_path_factory.mktemp("rivals") / "last"
    headstart.fit(str(emoji), out=str(out), image_size=64, layers="last")
    return out


def test_a_run_keeps_what_its_metrics_are_made_of(fitted: tuple[Path, Done]) -> None:
    kept = load_tallies(fitted[0])
    said = fitted[1].json["metrics"]
    assert len(kept) == said["accuracy"]["n"] == 6
    assert kept.classes == ("animals", "clothing", "vehicles")
    assert kept.statistics_NM[:, :3].sum() / 6 == pytest.approx(said["accuracy"]["value"])
    tested = json.loads((fitted[0] / "split.json").read_text())["test"]
    assert [row.tobytes().hex() for row in kept.inputs] == [one["sha256"] for one in tested]


def test_two_runs_are_ranked_on_the_same_pictures(
    finished: Path, rival: Path, tmp_path: Path, call: Call
) -> None:
    page = tmp_path / "page.html"
    said = call("compare", finished, rival, "--out", page, "--json").json
    assert (said["metric"], said["examples"], said["units"]) == ("accuracy", 6, 6)
    values = [one["metrics"]["accuracy"]["value"] for one in said["runs"]]
    assert values == sorted(values, reverse=True)
    gaps = {one["metric"]: one for one in said["differences"]}
    assert gaps["accuracy"]["difference"]["value"] == pytest.approx(values[0] - values[1])
    assert {gaps["accuracy"]["first"], gaps["accuracy"]["second"]} == {str(finished), str(rival)}
    losses = [one["metrics"]["log_loss"]["value"] for one in said["runs"]]
    assert gaps["log_loss"]["difference"]["value"] == pytest.approx(losses[0] - losses[1])
    html = page.read_text()
    assert "finished" in html
    assert "<script" not in html
    python = headstart.compare([str(finished), str(rival)], out=str(page))
    assert to_json(python) == said


def test_the_lowest_loss_comes_first(finished: Path, rival: Path, tmp_path: Path, call: Call) -> None:
    said = call("compare", finished, rival, "--metric", "log_loss", "--out", tmp_path / "p", "--json").json
    losses = [one["metrics"]["log_loss"]["value"] for one in said["runs"]]
    assert losses == sorted(losses)


def test_a_run_against_itself_is_level(finished: Path, tmp_path: Path, call: Call) -> None:
    twin = shutil.copytree(finished, tmp_path / "twin")
    done = call("compare", finished, twin)
    assert done.code == 0
    assert "Nothing here tells finished and twin apart by accuracy" in done.out
    assert max(map(len, done.out.splitlines())) <= 200
    assert (finished.parent / "comparison.html").is_file()
    assert "finished is named twice" in call("compare", finished, finished).complaint


def test_only_shared_pictures_count_and_it_is_said(finished: Path, tmp_path: Path, call: Call) -> None:
    twin = shutil.copytree(finished, tmp_path / "twin")
    kept = load_tallies(twin)
    kept.of(np.array([3, 0, 2])).save(twin)
    said = call("compare", finished, twin, "--json").json
    assert said["examples"] == 3
    assert [(note["count"], "not every run" in note["what"]) for note in said["notes"]] == [(3, True)]
    values = [one["metrics"] for one in said["runs"]]
    assert values[0] == values[1]  # the same three, whatever order each run has them in
    kept.of(np.array([4, 5])).save(twin)
    kept.of(np.array([0, 1])).save(finished)
    assert "no pictures in common" in call("compare", finished, twin).complaint


def test_a_look_at_the_same_data_makes_any_two_runs_comparable(
    finished: Path, rival: Path, tmp_path: Path, call: Call
) -> None:
    mine = shutil.copytree(rival, tmp_path / "mine")
    (mine / FILE).unlink()
    assert f"holds no {FILE}" in call("compare", finished, mine).complaint
    data = copy_pictures(tmp_path / "new" / "test", each=5).parent
    said = call("compare", finished, mine, "--data", data, "--json").json
    assert said["examples"] == 15
    looks = [json.loads(line)["split"] for line in (mine / "looks.jsonl").read_text().splitlines()]
    assert looks == ["test", "test"]  # the fit's own, and this one


def test_mistakes(finished: Path, tmp_path: Path, call: Call) -> None:
    twin = shutil.copytree(finished, tmp_path / "twin")
    assert "a single run" in call("compare", finished).complaint
    assert "did you mean 'accuracy'" in call("compare", finished, twin, "--metric", "acuracy").complaint
    assert "--split without --data" in call("compare", finished, twin, "--split", "val").complaint
    assert "holds no run.json" in call("compare", finished, tmp_path / "nowhere").complaint
    (twin / FILE).write_bytes((twin / FILE).read_bytes()[:-40])
    done = call("compare", finished, twin)
    assert done.code == 1
    assert "damaged" in done.err


def test_sums_of_another_version_are_not_read_as_if_they_were_ours(
    finished: Path, rival: Path, tmp_path: Path, call: Call
) -> None:
    old = shutil.copytree(rival, tmp_path / "old")
    content = (old / FILE).read_bytes()
    assert content.count(rb"\"format\": 2") == 1
    (old / FILE).write_bytes(content.replace(rb"\"format\": 2", rb"\"format\": 1"))
    assert "in the form of another version" in call("compare", finished, old).complaint
