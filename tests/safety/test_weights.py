"""Weights of other people: nothing in them runs, and none takes more than its file is worth."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from headstart.core.errors import UserError
from headstart.model.weights import as_safetensors
from tests.core.test_unpickle import RUN
from tests.safety import attacks, poisons

STOPPED = f"died of signal {signal.SIGXCPU.value}"


def test_no_poison_runs_and_none_takes_much(tmp_path: Path) -> None:
    told = attacks.run("tests.safety.poisons:attacks", tmp_path)
    assert len(told) >= 200
    assert not [one for one in told if not one.outcome.startswith(("refused: ", STOPPED))]
    assert [one.name for one in told if one.outcome == STOPPED] == ["keys of one hash, in an archive"]
    assert not [one for one in told if one.loud]
    assert max(one.seconds for one in told) < 15
    assert max(one.mib for one in told) < 700
    assert [file.name for file in tmp_path.iterdir()] == ["weights.bin"]


def test_the_poisons_are_poisonous(tmp_path: Path) -> None:
    """Read as torch read files before ``weights_only`` many of them run: the test above proves something."""
    told = attacks.run("tests.safety.poisons:stock", tmp_path)
    assert len(list(tmp_path.glob(f"{poisons.MARKER}-*"))) >= 25
    assert sum(bool(one.loud) for one in told) >= 30


def test_an_honest_file_in_the_same_form_is_read(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(poisons.zipped(poisons.GOOD))
    found = load_file(as_safetensors(tmp_path / "weights.bin"))
    np.testing.assert_array_equal(found["w"], np.zeros(4, np.float32))


def test_the_folder_that_the_user_stands_in_is_not_imported_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("torch", "numpy", "re", "argparse", "safetensors", "headstart", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    content = poisons.zipped(poisons.GOOD.replace(b"w", b"v"))
    (tmp_path / "weights.bin").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(attacks.ROOT))
    assert set(load_file(as_safetensors(Path("weights.bin")))) == {"v"}
    assert not (tmp_path / "ran").exists()


def test_the_child_tells_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(poisons.zipped(RUN["os.system"](tmp_path / "ran").join([b"\x80\x02", b""])))
    with pytest.raises(UserError, match=r"cannot be read as weights \(.*GLOBAL os\.system") as told:
        as_safetensors(path)
    assert "\n" not in str(told.value)
    assert os.listdir(tmp_path) == ["weights.bin"]
