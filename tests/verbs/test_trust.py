"""``--trust``: code that comes with a model runs where the command says so, each time, and nowhere else."""

import json
import shutil
from pathlib import Path

import pytest

import headstart
from headstart.core.errors import UserError
from tests.sources.hub_repository import COMMIT, clone
from tests.verbs.conftest import Call, contents, copy_pictures

FAST = ("--image-size", "48", "--engine", "torch", "--json")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_pictures(tmp_path_factory.mktemp("data") / "emoji")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clone(tmp_path_factory.mktemp("hub") / "clone")


@pytest.fixture(scope="module")
def fitted(pictures: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on trusted code; copy it before changing it."""
    out = tmp_path_factory.mktemp("runs") / "run"
    headstart.fit(
        str(pictures),
        base=f"hub:{folder}:small_cnn",
        trust=str(folder),
        out=str(out),
        image_size=48,
        engine="torch",
    )
    return out


def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no feature, graph or note be at hand, so that the model has to run."""
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "fresh"))


def test_a_run_tells_what_it_was_made_with(fitted: Path, folder: Path) -> None:
    model = json.loads((fitted / "run.json").read_text())["model"]
    assert (model["revision"], model["licence"]) == (COMMIT, "mit")
    kept = json.loads((fitted / "model" / "headstart.json").read_text())["pretrained"]["config"]
    assert kept["code_of"] == str(folder)
    assert kept["commit"] == COMMIT
    assert len(kept["code_sha256"]) == 64
    assert not list(fitted.rglob("*.py"))  # no code comes with a run


def test_a_run_predicts_and_evaluates_with_trust_alone(
    fitted: Path, pictures: Path, folder: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh(tmp_path, monkeypatch)
    files = sorted(pictures.rglob("*.png"))[:3]
    moved = shutil.copytree(fitted, tmp_path / "moved")
    complaint = call("predict", moved, *files, "--engine", "torch").complaint
    assert f"add --trust {folder}." in complaint
    assert f"add --trust {folder}." in call("evaluate", moved, pictures).complaint
    monkeypatch.chdir(folder.parent)
    answers = call("predict", moved, *files, "--trust", folder.name, "--engine", "torch", "--json")
    assert answers.code == 0, answers.err
    found = call("evaluate", moved, pictures, "--trust", f"nobody/knows, {folder}", "--json")
    assert found.code == 0, found.err
    assert found.json["metrics"]["accuracy"]["n"] > 0


@pytest.mark.parametrize("strategy", ["last-1", "full"])
def test_what_trains_below_the_line_is_kept(
    strategy: str, pictures: Path, folder: Path, tmp_path: Path, call: Call
) -> None:
    out = tmp_path / "run"
    words = ("--base", f"hub:{folder}:small_cnn", "--trust", folder, "--strategy", strategy, "--epochs", "1")
    record = call("fit", pictures, *words, "--out", out, *FAST).json
    blocks = {one["block"]: one["moved"] for one in record["objective"]["blocks"]}
    assert list(blocks) == ["conv1", "conv2", "conv3", "conv4"]
    assert (blocks["conv1"] > 0) is (strategy == "full")
    assert blocks["conv4"] > 0
    one = next(pictures.rglob("*.png"))
    first = call("predict", out, one, "--trust", folder, "--json").out
    shutil.move(out, tmp_path / "moved")
    assert call("predict", tmp_path / "moved", one, "--trust", folder, "--json").out == first


def test_no_file_or_variable_turns_trust_on(
    fitted: Path, pictures: Path, folder: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an attacker may write into a run or its surroundings does not make a command trust anything."""
    fresh(tmp_path, monkeypatch)
    moved = shutil.copytree(fitted, tmp_path / "moved")
    for file in (moved / "run.json", moved / "model" / "headstart.json"):
        said = json.loads(file.read_text())
        said |= {"trust": str(folder), "trusted": [str(folder)], "allowed": {"trusted": [str(folder)]}}
        if "pretrained" in said:
            said["pretrained"]["config"] |= {"trust": str(folder), "trust_remote_code": True}
        file.write_text(json.dumps(said))
    assert json.loads((moved / "run.json").read_text())["spec"]["trust"] == str(folder)
    for name in ("HEADSTART_TRUST", "TRUST", "HF_HUB_TRUST_REMOTE_CODE", "TRUST_REMOTE_CODE"):
        monkeypatch.setenv(name, str(folder))
    (tmp_path / "headstart.toml").write_text(f'trust = "{folder}"\n')
    (tmp_path / "pyproject.toml").write_text(f'[tool.headstart]\ntrust = "{folder}"\n')
    monkeypatch.chdir(tmp_path)
    one = next(pictures.rglob("*.png"))
    for words in (("predict", moved, one), ("evaluate", moved, pictures), ("compare", moved, moved)):
        done = call(*words, "--engine", "torch") if words[0] == "predict" else call(*words)
        assert words[0] == "compare" or f"add --trust {folder}." in done.complaint
    base = f"hub:{folder}:small_cnn"
    assert "add --trust" in call("fit", pictures, "--base", base, "--out", tmp_path / "never").complaint
    assert "add --trust" in call("choose", pictures, "--bases", base).complaint
    assert "add --trust" in call("audit", pictures, "--deep", "--base", base).complaint
    assert not (tmp_path / "never").exists()
    with pytest.raises(UserError, match="add --trust"):
        list(headstart.predict(str(moved), [str(one)]))
    assert list(headstart.predict(str(moved), [str(one)], trust=str(folder)))


def test_choose_compares_trusted_code(pictures: Path, folder: Path, call: Call) -> None:
    base = f"hub:{folder}:small_cnn"
    chosen = call("choose", pictures, "--bases", base, "--trust", folder, "--image-size", "48", "--json").json
    assert chosen["chosen"] == base
    assert chosen["ranking"][0]["licence"] == "mit"


def test_a_finished_run_is_the_same_however_it_came_about(
    fitted: Path, pictures: Path, folder: Path, call: Call
) -> None:
    words = ("fit", pictures, "--base", f"hub:{folder}:small_cnn", "--out", fitted, *FAST)
    before = contents(fitted)
    assert call(*words, "--offline").code == 0  # it is finished: nothing has to run
    assert contents(fitted) == before
