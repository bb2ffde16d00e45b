"""Picture models from their libraries' own folders and names: fitted, moved, used without their source."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from headstart.core.frameworks import prepare_torch
from tests.verbs.conftest import Call, copy_pictures
from tests.verbs.test_masks import scenes

torch = prepare_torch()

import timm  # noqa: E402
import transformers  # noqa: E402

TORCH = ("--engine", "torch")


def segformer(folder: Path) -> Path:
    """Write a small SegFormer as Transformers does."""
    sizes = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "decoder_hidden_size": 16}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        config = transformers.SegformerConfig(
            **sizes, num_attention_heads=[1, 2, 2, 2], initializer_range=0.2
        )
        transformers.SegformerForSemanticSegmentation(config).save_pretrained(folder)
    transformers.SegformerImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenes(tmp_path_factory.mktemp("masks") / "scenes")


def test_a_segformer_with_its_decoder(masks: Path, tmp_path: Path, call: Call) -> None:
    folder, run = segformer(tmp_path / "model"), tmp_path / "run"
    record = call("fit", masks, "--base", f"hf:{folder}", "--out", run, *TORCH, "--json").json
    assert record["metrics"]["miou"]["value"] > record["baselines"]["majority"]["miou"]["value"] - 0.05
    head = json.loads((run / "model" / "headstart.json").read_text())["head"]
    assert any(column["name"] == "16x16/decoder" for column in head["columns"])
    # Transformers reads the trunk in the run: its decoder is the one that was pretrained.
    own = transformers.SegformerForSemanticSegmentation.from_pretrained(run / "model")
    before = transformers.SegformerForSemanticSegmentation.from_pretrained(folder)
    for name, tensor in before.state_dict().items():
        if not name.startswith("decode_head.classifier"):
            torch.testing.assert_close(own.state_dict()[name], tensor)
    # Moved, and without the folder that it came from, the run predicts the same.
    pictures = sorted((masks / "images").glob("*.png"))[:3]
    first = call("predict", run, *pictures, *TORCH, "--json").out
    shutil.rmtree(folder)
    shutil.move(run, tmp_path / "elsewhere")
    assert call("predict", tmp_path / "elsewhere", *pictures, *TORCH, "--json").out == first


def test_a_name_with_random_weights_needs_no_weights(masks: Path, tmp_path: Path, call: Call) -> None:
    options = ("--base", "timm:resnet18", "--random-init", "--image-size", "64", *TORCH, "--json")
    record = call("fit", masks, "--out", tmp_path / "run", *options).json
    assert record["base"] == "timm:resnet18"
    assert json.loads((tmp_path / "run" / "run.json").read_text())["model"]["random_init"]
    found = call("evaluate", tmp_path / "run", masks, *TORCH, "--json").json
    assert found["metrics"]["miou"]["n"] > 0
    # Another seed draws other weights, the same seed the same.
    again = call("fit", masks, "--out", tmp_path / "again", *options).json
    assert again["metrics"] == record["metrics"]


def test_positions_for_another_size_are_said_and_saved(
    tmp_path: Path, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    pictures, folder, run = copy_pictures(tmp_path / "pictures"), tmp_path / "model", tmp_path / "run"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        timm.models.save_for_hf(timm.create_model("test_vit"), folder, safe_serialization=True)
    done = call(
        "fit", pictures, "--base", f"timm:{folder}", "--image-size", "64", "--out", run, *TORCH, "--json"
    )
    said = f"timm:{folder} is made for 160 px: timm resamples its positions for 64 px"
    assert done.code == 0
    assert said in caplog.messages
    assert json.loads((run / "run.json").read_text())["model"]["adapted"] == [said]
    assert said in (run / "report.html").read_text()
    own = timm.create_model(f"local-dir:{run / 'model'}", pretrained=True)
    expected = timm.create_model(f"local-dir:{folder}", pretrained=True, img_size=64)
    np.testing.assert_array_equal(own.pos_embed.detach().numpy(), expected.pos_embed.detach().numpy())


def test_what_is_not_here_is_one_sentence(
    masks: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for base in (
        "timm:resnet18",
        "hf:nvidia/mit-b0",
        "torchvision:resnet18",
        f"timm:resnet18@{tmp_path / 'none.pth'}",
    ):
        complaint = call("fit", masks, "--base", base, "--out", tmp_path / "never").complaint
        assert base.partition("@")[2] in complaint
        assert not (tmp_path / "never").exists()
