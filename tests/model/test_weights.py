"""Weights files of other people: safetensors as they are, the tensors out of pickles, and nothing else."""

import argparse
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch
from headstart.core.tensor_file import shapes
from headstart.model import weights
from headstart.model.weights import as_safetensors, weights_in

torch = prepare_torch()

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.count": torch.tensor(7)}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """Return a file that must never appear, and pickles each of which would make it."""
    root = tmp_path_factory.mktemp("hostile")
    marker = root / "it-ran"

    class Runs:
        def __init__(self, call: Any, *args: Any) -> None:
            self.call, self.args = call, args

        def __reduce__(self) -> Any:
            return self.call, self.args

    inside = {"state_dict": OrderedDict(TENSORS), "epoch": Runs(os.system, f"touch {marker}")}
    plain, zipped = root / "plain.bin", root / "zipped.pth"
    plain.write_bytes(pickle.dumps(inside, protocol=2))
    torch.save(inside, zipped)
    return marker, [plain, zipped]


def test_safetensors_are_taken_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"a": np.zeros((2, 3), np.float32), "b": np.zeros((), np.int64)}, path)
    assert as_safetensors(path) == path
    assert shapes(path) == {"a": (2, 3), "b": ()}


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda tensors: {"state_dict": tensors, "epoch": 3, "args": argparse.Namespace(lr=0.1)},
        lambda tensors: {"model": {f"module.{name}": one for name, one in tensors.items()}, "optimizer": {}},
        lambda tensors: {
            "state_dict": {name: one * 0 for name, one in tensors.items()},
            "state_dict_ema": {f"_orig_mod.{name}": one for name, one in tensors.items()},
        },
    ],
    ids=["with a script's arguments", "data parallel", "averaged first"],
)
def test_tensors_are_found_where_training_scripts_keep_them(wrapped: Any, tmp_path: Path) -> None:
    torch.save(wrapped(dict(TENSORS)), tmp_path / "weights.pth")
    found = load_file(as_safetensors(tmp_path / "weights.pth"))
    assert set(found) == set(TENSORS)
    for name, tensor in TENSORS.items():
        np.testing.assert_array_equal(found[name], tensor.numpy())
        assert found[name].shape == tuple(tensor.shape)


def test_a_pickle_is_converted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"shared": TENSORS["a.weight"], "too": TENSORS["a.weight"][:1]}, tmp_path / "weights.pth")
    first = as_safetensors(tmp_path / "weights.pth")
    monkeypatch.setattr(weights, "run_child", lambda *words, **how: pytest.fail("a child was started again"))
    assert as_safetensors(tmp_path / "weights.pth") == first
    assert shapes(first) == {"shared": (2, 3), "too": (1, 3)}


@pytest.mark.parametrize("place", [0, 1])
def test_nothing_in_a_pickle_runs(place: int, hostile: tuple[Path, list[Path]]) -> None:
    marker, files = hostile
    with pytest.raises(UserError, match="cannot be read as weights") as told:
        as_safetensors(files[place])
    assert "\n" not in str(told.value)
    assert not marker.exists()


@pytest.mark.parametrize(
    "content", [b"no pickle at all", pickle.dumps({"a": 1}, protocol=2), pickle.dumps([1, 2], protocol=2)]
)
def test_what_holds_no_tensors_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as weights"):
        as_safetensors(tmp_path / "weights.pth")


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, b"\x02\0\0\0\0\0\0\0{}x"])
def test_broken_safetensors_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(UserError, match="a whole safetensors file"):
        shapes(tmp_path / "model.safetensors")


def test_a_pickle_may_not_ask_for_much_more_memory_than_it_is_worth(tmp_path: Path) -> None:
    # A few hundred bytes on disk: one number, 16 GB of views on it.
    torch.save({"bomb": torch.zeros(1).expand(4_000_000_000)}, tmp_path / "weights.pth")
    with pytest.raises(UserError, match="cannot be read as weights"):
        as_safetensors(tmp_path / "weights.pth")


def test_safetensors_come_first(tmp_path: Path) -> None:
    assert weights_in(tmp_path).name == "model.safetensors"
    (tmp_path / "pytorch_model.bin").touch()
    assert weights_in(tmp_path).name == "pytorch_model.bin"
    (tmp_path / "model.safetensors").touch()
    assert weights_in(tmp_path).name == "model.safetensors"
