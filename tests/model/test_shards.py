"""Weights in several files: the same model as from one; what does not belong together is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from headstart.contracts import Pretrained
from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch
from headstart.model import shards
from headstart.model.transformers.folder import describe
from headstart.model.transformers.network import state_of
from headstart.model.weights import weights_in
from headstart.sources.hf import HfSource

torch = prepare_torch()

import transformers  # noqa: E402

Change = Callable[[dict[str, str]], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small encoder that Transformers itself saved in shards."""
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = transformers.BertModel(config)
    model.save_pretrained(tmp_path / "one")
    model.save_pretrained(tmp_path / "many", max_shard_size="8KB")
    for name in ("one", "many"):
        (tmp_path / name / "tokenizer.json").write_text("{}")
    assert len(list((tmp_path / "many").glob("model-*.safetensors"))) > 3
    return tmp_path


def described(folder: Path) -> Pretrained:
    return describe("hf:x", folder, weights_in(folder), "?", "?")


def test_several_files_are_the_same_model_as_one(folder: Path) -> None:
    one, many = (described(folder / name) for name in ("one", "many"))
    assert many.weights.name == shards.INDEX
    expected, found = state_of(one), state_of(many)
    assert expected.keys() == found.keys()
    assert all(np.array_equal(expected[name], found[name]) for name in expected)


def test_the_digest_is_of_all_files(folder: Path) -> None:
    weights = weights_in(folder / "many")
    before = shards.digest(weights)
    last = sorted((folder / "many").glob("model-*.safetensors"))[-1]
    content = bytearray(last.read_bytes())
    content[-1] ^= 1
    last.write_bytes(content)
    assert shards.digest(weights) != before


def change(folder: Path, how: Change) -> Path:
    index = folder / "many" / shards.INDEX
    content = json.loads(index.read_text())
    how(content["weight_map"])
    index.write_text(json.dumps(content))
    return folder / "many"


@pytest.mark.parametrize(
    "name", ["../one/model.safetensors", "/etc/passwd", "..", "a\\b.safetensors", "", 5, None]
)
def test_a_file_outside_the_folder_is_refused(folder: Path, name: object) -> None:
    def outside(names: dict[str, object]) -> None:
        names[next(iter(names))] = name

    with pytest.raises(UserError, match="expected files in its own folder"):
        described(change(folder, outside))


def test_what_does_not_belong_together_is_refused(folder: Path) -> None:
    def invented(names: dict[str, str]) -> None:
        names["invented.weight"] = next(iter(names.values()))

    with pytest.raises(UserError, match=r"has no 'invented.weight' \(1 tensors\)"):
        described(change(folder, invented))


def test_an_absent_or_damaged_file_is_named(folder: Path) -> None:
    last = sorted((folder / "many").glob("model-*.safetensors"))[-1]
    last.write_bytes(last.read_bytes()[:-1])
    with pytest.raises(UserError, match=f"{last.name} has .* bytes of data"):
        described(folder / "many")
    last.unlink()
    with pytest.raises(UserError, match=f"{last.name} cannot be read"):
        described(folder / "many")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"weight_map": []}', "{" * 100_000])
def test_an_index_that_is_none(folder: Path, content: str) -> None:
    (folder / "many" / shards.INDEX).write_text(content)
    with pytest.raises(UserError, match=r"names no tensors|cannot be read"):
        described(folder / "many")


def test_one_file_is_preferred_to_several(folder: Path) -> None:
    (folder / "one" / shards.INDEX).write_text("nonsense")
    assert weights_in(folder / "one").name == "model.safetensors"
    (folder / "one" / "model.safetensors").unlink()
    (folder / "one" / shards.INDEX).unlink()
    with pytest.raises(UserError, match=r"has no model\.safetensors"):
        HfSource().find(str(folder / "one"))
