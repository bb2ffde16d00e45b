"""``headstart predict`` with a run that somebody sent: one sentence, and nothing outside it is touched."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save

import headstart
from headstart.core.errors import MachineError, UserError
from headstart.core.files import digest_file
from headstart.core.run import count_look
from headstart.model.saved import load_model
from tests.safety import attacks, runs
from tests.verbs.conftest import SMALL, copy_pictures

FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "subprocess", "socket", "urllib", "pickle", "open ")


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sent")
    data = copy_pictures(folder / "data", each=8)
    shutil.copy(next(data.rglob("*.png")), folder / runs.PICTURE)
    headstart.fit(
        str(data),
        base="pack:squeezenet1_1",  # each attack copies and reads the run: the smallest of the packs
        out=str(folder / runs.RUN),
        image_size=int(SMALL[1]),
        layers="last",
        engine="torch",
    )
    return folder


def test_a_run_that_somebody_sent(honest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_HOME", str(honest / "home"))
    (honest / "secret.json").write_text("{}")
    told = attacks.run("tests.safety.runs:attacks", honest)
    assert len(told) >= 61
    assert not [one.loud for one in told if any(event.startswith(FORBIDDEN) for event in one.loud)]
    assert not [one for one in told if not one.outcome.startswith("refused: ")]
    assert not [one for one in told if "ran" in {file.name for file in honest.rglob("*")}]
    assert sum("exit code 2" in one.outcome for one in told) >= 40


def test_a_run_is_believed_where_it_was_made_alone(
    honest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, sent = honest / runs.RUN, shutil.copytree(honest / runs.RUN, tmp_path / "sent")
    described = json.loads((sent / "model" / "headstart.json").read_text())
    state = load_file(sent / "model" / "model.safetensors")
    spoilt = {name: np.asarray(array * np.asarray(1.125, array.dtype)) for name, array in state.items()}
    (sent / "model" / "model.safetensors").write_bytes(save(spoilt))
    described["sha256"]["model.safetensors"] = digest_file(sent / "model" / "model.safetensors")
    (sent / "model" / "headstart.json").write_text(json.dumps(described))
    mine, theirs = load_model(run).frozen, load_model(sent).frozen
    assert mine.pretrained.weights_digest == described["pretrained"]["weights_digest"]  # as it says itself
    assert theirs.key != mine.key
    at_first = headstart.evaluate(str(run), str(honest / "data"))
    headstart.evaluate(str(sent), str(honest / "data"))
    again = headstart.evaluate(str(run), str(honest / "data"))
    assert again.metrics == at_first.metrics
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "elsewhere"))
    assert load_model(run).frozen.key not in (mine.key, theirs.key)


@pytest.mark.parametrize(
    "change", [name for name in runs.CHANGES if name.startswith(("columns", "class"))], ids=lambda one: one
)
def test_what_lies_about_columns_or_classes_is_not_scored_either(
    change: str, honest: Path, tmp_path: Path
) -> None:
    sent = shutil.copytree(honest / runs.RUN, tmp_path / "sent")
    described = json.loads((sent / "model" / "headstart.json").read_text())
    runs.CHANGES[change](sent / "model", described)
    (sent / "model" / "headstart.json").write_text(json.dumps(described))
    with pytest.raises(UserError, match=r"describes no model of headstart's|that the run does not know"):
        headstart.evaluate(str(sent), str(honest / "data"))


@pytest.mark.parametrize("what", ["link", "pipe", "number", "deep"])
def test_a_record_of_looks_that_leads_elsewhere(what: str, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    looks = tmp_path / "looks.jsonl"
    if what == "link":
        looks.symlink_to(tmp_path / "mine")
    elif what == "pipe":
        os.mkfifo(looks)
    else:
        looks.write_text("5\n" if what == "number" else "[" * 100_000 + "\n")
    with pytest.raises(MachineError, match=r"looks\.jsonl"):
        count_look(tmp_path, "test", "0")
    assert (tmp_path / "mine").read_text() == "mine"
