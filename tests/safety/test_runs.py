"""``headstart predict`` with a run that somebody sent: one sentence, and nothing outside it is touched."""

import os
import shutil
from pathlib import Path

import pytest

import headstart
from headstart.core.errors import MachineError
from headstart.core.run import count_look
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
    assert len(told) >= 55
    assert not [one.loud for one in told if any(event.startswith(FORBIDDEN) for event in one.loud)]
    assert not [one for one in told if not one.outcome.startswith("refused: ")]
    assert not [one for one in told if "ran" in {file.name for file in honest.rglob("*")}]
    assert sum("exit code 2" in one.outcome for one in told) >= 40


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
