"""Weights of models that write, as older checkpoints hold them too; positions; files for Transformers."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.contracts import TextPreprocess
from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch
from headstart.model.transformers import folder as transformers_folder
from headstart.model.transformers import network as transformers_network
from headstart.model.trunk import find
from tests.model.families import LONGEST

torch = prepare_torch()

import transformers  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

Folder = Callable[[str], Path]
Rename = Callable[[dict[str, Any]], dict[str, Any]]


def state(folder: Path) -> dict[str, Any]:
    return transformers_network.state_of(find(f"hf:{folder}")[1])


def changed(folder: Path, to: Path, change: Rename) -> Path:
    """Return a copy of a model whose saved tensors were changed."""
    shutil.copytree(folder, to)
    save_file(change(load_file(folder / "model.safetensors")), to / "model.safetensors", {"format": "pt"})
    return to


@pytest.mark.parametrize(
    ("kind", "rename"),
    [
        ("bart", lambda saved: {name.removeprefix("model."): one for name, one in saved.items()}),
        ("gpt2", lambda saved: {name.removeprefix("transformer."): one for name, one in saved.items()}),
        (
            "t5",
            lambda saved: {
                **saved,
                "encoder.embed_tokens.weight": saved["shared.weight"].clone(),
                "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight": torch.zeros(32, 4),
            },
        ),
        (
            "bert2bert",
            lambda saved: {
                name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
                    "LayerNorm.bias", "LayerNorm.beta"
                ): one
                for name, one in saved.items()
            },
        ),
    ],
)
def test_names_of_older_checkpoints_are_known(
    family_folder: Folder, tmp_path: Path, kind: str, rename: Rename
) -> None:
    folder = family_folder(kind)
    found, expected = state(changed(folder, tmp_path / "old", rename)), state(folder)
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in found)


def test_shared_weights_are_there_under_each_of_their_names(family_folder: Folder) -> None:
    found = state(family_folder("bart"))
    same = ("shared", "encoder.embed_tokens", "decoder.embed_tokens")
    for name in (*(f"model.{one}.weight" for one in same), "lm_head.weight"):
        assert np.array_equal(found[name], found["model.shared.weight"])


@pytest.mark.parametrize("kind", ["t5", "gpt2", "bert2bert"])
def test_half_precision_is_read_and_saved_as_float32(
    family_folder: Folder, tmp_path: Path, kind: str
) -> None:
    folder = changed(
        family_folder(kind), tmp_path / "half", lambda saved: {n: t.half() for n, t in saved.items()}
    )
    config = json.loads((folder / "config.json").read_text())
    parts = [config, *(config[part] for part in ("encoder", "decoder") if isinstance(config.get(part), dict))]
    for part in parts:
        part["dtype"] = "float16"
    (folder / "config.json").write_text(json.dumps(config))
    pretrained = find(f"hf:{folder}")[1]
    assert {array.dtype for array in transformers_network.state_of(pretrained).values()} == {
        np.dtype("float32")
    }
    assert "float16" not in json.dumps(transformers_folder.own_files(pretrained))
    module: Any = transformers_network.TextNetwork(pretrained.config, pretrained.writes).module
    assert {one.dtype for one in module.parameters()} == {torch.float32}


@pytest.mark.parametrize("kind", ["bart", "llama"])
def test_weights_that_are_missing_are_told_by_us_alone(
    family_folder: Folder, tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    lost = {"bart": "model.decoder.layers.1.fc1.weight", "llama": "lm_head.weight"}[kind]
    folder = changed(
        family_folder(kind), tmp_path / "less", lambda saved: {n: t for n, t in saved.items() if n != lost}
    )
    before = torch.get_rng_state()
    with pytest.raises(UserError, match=rf"lacks {lost} \(1 weights\)"):
        state(folder)
    assert torch.equal(torch.get_rng_state(), before)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("kind", "source", "target"),
    [
        ("t5", 1_000_000, 1_000_000),
        ("bart", LONGEST, LONGEST),
        ("led", LONGEST, 32),
        ("bert2bert", LONGEST, LONGEST),
        ("roberta", LONGEST, LONGEST),
        ("gpt2", LONGEST, LONGEST),
    ],
)
def test_positions_are_counted_for_what_is_read_and_written(
    family_folder: Folder, kind: str, source: int, target: int
) -> None:
    pretrained = find(f"hf:{family_folder(kind)}")[1]
    assert isinstance(pretrained.preprocess, TextPreprocess)
    assert pretrained.preprocess.longest == source
    assert transformers_folder.longest_target(pretrained) == target


@pytest.mark.parametrize(("kind", "file"), [("t5", "tokenizer.json"), ("marian", "vocab.json")])
def test_a_tokenizer_that_cannot_be_read_is_told(
    family_folder: Folder, tmp_path: Path, kind: str, file: str
) -> None:
    from headstart.data import tokens

    folder = shutil.copytree(family_folder(kind), tmp_path / "model")
    (folder / file).write_text("{")
    with pytest.raises(UserError, match="cannot read the tokenizer") as told:
        tokens.own_tokenizer(find(f"hf:{folder}")[1])
    assert "\n" not in str(told.value)


def test_a_decoder_saved_without_its_output_layer_does_not_write(
    family_folder: Folder, tmp_path: Path
) -> None:
    folder = family_folder("gpt2")
    shutil.copytree(folder, tmp_path / "bare")
    transformers.AutoModel.from_pretrained(folder).save_pretrained(tmp_path / "bare")
    assert (find(f"hf:{folder}")[1].writes, find(f"hf:{tmp_path / 'bare'}")[1].writes) == ("on", "")
