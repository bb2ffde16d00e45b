"""What is refused of graphs' files: weights from elsewhere, operations of somebody's own, what is broken."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from headstart.core.errors import UserError
from headstart.model.graph import file as graph_file
from headstart.model.trunk import FrozenModel, find_model
from tests.sources.graphs import SAVED_MODEL, picture_graph, torch

PIXELS = np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype(np.float32)


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return picture_graph(tmp_path_factory.mktemp("graphs") / "model.onnx")


def pictures(base: str, size: int | None = None) -> FrozenModel:
    return find_model(base, "picture", {"image_size": size, "max_length": None}, None)


def _with_external(graph: Path, file: Path, location: str) -> Path:
    model = onnx.load(str(graph))
    tensor = model.graph.initializer[0]
    (file.parent / "weights.bin").write_bytes(tensor.raw_data)
    onnx.external_data_helper.set_external_data(tensor, location)
    tensor.ClearField("raw_data")
    file.write_bytes(model.SerializeToString())
    return file


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/hostname", "a/../../secret.bin", "linked.bin"])
def test_weights_outside_the_folder_are_refused(graph: Path, tmp_path: Path, location: str) -> None:
    (tmp_path / "secret.bin").write_bytes(b"x" * 864)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "linked.bin").symlink_to(tmp_path / "secret.bin")
    with pytest.raises(UserError, match="weights from outside its folder"):
        pictures(f"onnx:{_with_external(graph, folder / 'model.onnx', location)}")


def test_weights_beside_the_file_belong_to_it(graph: Path, tmp_path: Path) -> None:
    file = _with_external(graph, tmp_path / "model.onnx", "weights.bin")
    first = pictures(f"onnx:{file}", 32)
    expected = pictures(f"onnx:{graph}", 32).network().outputs(torch.from_numpy(PIXELS))[-1]
    torch.testing.assert_close(first.network().outputs(torch.from_numpy(PIXELS))[-1], expected)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(file, elsewhere)
    (elsewhere / "weights.bin").symlink_to(tmp_path / "weights.bin")
    with pytest.raises(UserError, match="weights from outside its folder"):  # though this file is known
        pictures(f"onnx:{elsewhere / 'model.onnx'}")
    weights = tmp_path / "weights.bin"
    weights.write_bytes((2 * np.frombuffer(weights.read_bytes(), np.float32)).tobytes())
    assert pictures(f"onnx:{file}", 32).key != first.key
    weights.unlink()
    with pytest.raises(UserError, match="which is no file"):
        pictures(f"onnx:{file}")


def test_operations_of_somebodys_own_and_broken_files_are_refused(graph: Path, tmp_path: Path) -> None:
    model = onnx.load(str(graph))
    model.graph.node[0].domain = "evil.corp"
    model.opset_import.append(onnx.helper.make_opsetid("evil.corp", 1))
    (tmp_path / "own.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match=r"not ONNX's: evil\.corp\.Conv"):
        pictures(f"onnx:{tmp_path / 'own.onnx'}")
    for name, content in (
        ("cut.onnx", graph.read_bytes()[:1500]),
        ("text.onnx", b"<html>"),
        ("empty.onnx", b""),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match="cannot be taken"):
            pictures(f"onnx:{tmp_path / name}")
    broken = tmp_path / "broken"
    shutil.copytree(SAVED_MODEL, broken)
    whole = (SAVED_MODEL / "saved_model.pb").read_bytes()
    (broken / "saved_model.pb").write_bytes(whole.replace(b"Conv2D", b"PyFunc"))
    with pytest.raises(UserError, match=r"operations: PyFunc\)"):
        pictures(f"tf:{broken}")
    (broken / "saved_model.pb").write_bytes(whole[:9000])
    with pytest.raises(UserError, match="cannot be taken"):
        pictures(f"tf:{broken}")


def test_what_is_too_large_is_not_even_read(tmp_path: Path) -> None:
    with (tmp_path / "large.onnx").open("wb") as file:
        file.truncate(9 << 30)
    with pytest.raises(UserError, match=r"of 9\.0 GiB"):
        pictures(f"onnx:{tmp_path / 'large.onnx'}")


def test_a_child_that_dies_takes_nothing_with_it(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_file, "_CALL", "import os; os.kill(os.getpid(), 9)  # {module} {function}")
    monkeypatch.setattr(graph_file, "_FORMAT", 0)  # converted anew
    with pytest.raises(UserError, match="it died"):
        pictures(f"onnx:{graph}")


def test_a_converted_graph_that_was_damaged_is_converted_anew(graph: Path) -> None:
    before = pictures(f"onnx:{graph}", 32)
    weights = before.pretrained.assets[graph_file.WEIGHTS]
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    after = pictures(f"onnx:{graph}", 32)
    assert after.pretrained.assets[graph_file.WEIGHTS].read_bytes() == whole
    assert after.key == before.key
