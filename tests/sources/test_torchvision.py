"""Torchvision's chains from weights files: blocks against torchvision's own layers, from the file on."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.datasets
from PIL import Image

from headstart.contracts import PicturePreprocess
from headstart.core import plugins
from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch
from headstart.data import picture
from headstart.model.trunk import FrozenModel, find_model

torch = prepare_torch()

from safetensors.torch import save_file  # noqa: E402
from torchvision import models  # noqa: E402

CHINA = Path(sklearn.datasets.__file__).parent / "images" / "china.jpg"
SIZES = {"image_size": None, "max_length": None}


def drawn(name: str, **options: Any) -> Any:
    """Return a model whose every parameter is drawn, its statistics too."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = models.get_model(name, weights=None, **options)
        with torch.no_grad():
            for path, tensor in model.state_dict().items():
                if "running" in path or path.endswith("bias"):
                    tensor.copy_(torch.rand(tensor.shape) * 0.2 + (1 if "var" in path else 0))
    return model.eval()


@pytest.fixture(scope="module")
def file_of(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a function that gives a model and the file of its weights, made once."""
    root = tmp_path_factory.mktemp("torchvision")

    def make(name: str, **options: Any) -> tuple[Any, Path]:
        model = drawn(name, **options)
        save_file(model.state_dict(), root / f"{name}.safetensors")
        return model, root / f"{name}.safetensors"

    return cache(make)


def parts(model: FrozenModel, pixels_NHWC: np.ndarray[Any, Any]) -> dict[str, Any]:
    module: Any = model.module
    with torch.inference_mode():
        found = module.parts(torch.from_numpy(pixels_NHWC))
    return dict(zip([tap.name for tap in module.taps], found, strict=True))


def our_pixels(model: FrozenModel) -> np.ndarray[Any, Any]:
    preprocess = model.pretrained.preprocess
    assert isinstance(preprocess, PicturePreprocess)
    image, _ = picture.decode(CHINA.read_bytes())
    return np.stack([picture.square(image, preprocess)])


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "squeezenet1_1"])
def test_from_file_to_features_as_torchvision_does(name: str, file_of: Any) -> None:
    own, file = file_of(name, num_classes=7)
    model = find_model(f"torchvision:{name}@{file}", "picture", SIZES, None)
    transform = models.get_model_weights(name).DEFAULT.transforms()
    pixels_NCHW = transform(Image.open(CHINA).convert("RGB"))[None]
    seen: dict[str, Any] = {}
    for path in ("layer1.0", "layer2.1", "layer4.1") if name == "resnet18" else ("features.4", "features.12"):
        layer = own.get_submodule(path)
        layer.register_forward_hook(lambda _, given, out, path=path: seen.update({path: out.mean((2, 3))}))
    with torch.inference_mode():
        own(pixels_NCHW)
    found = parts(model, our_pixels(model))
    for path, mean_NC in seen.items():
        torch.testing.assert_close(found[f"mean/{path}"], mean_NC, rtol=1e-4, atol=1e-4)


def test_the_last_map_of_a_segmenter_is_what_its_last_layer_sees(file_of: Any) -> None:
    name = "deeplabv3_mobilenet_v3_large"
    own, file = file_of(name, weights_backbone=None, num_classes=5, aux_loss=True)
    model = find_model(f"torchvision:{name}@{file}", "picture-maps", {**SIZES, "image_size": 64}, None)
    pixels_NHWC = our_pixels(model)
    module: Any = model.module
    last = model.modality.layer_sets(model.columns())["last"][0].name
    assert last == "4x4/classifier"
    normal = torch.from_numpy(pixels_NHWC).permute(0, 3, 1, 2).float() * module.gain + module.offset
    with torch.inference_mode():
        logits = own.classifier[-1](parts(model, pixels_NHWC)[last].reshape(1, -1, 4, 4))
        expected = own.classifier(own.backbone(normal)["out"])
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    found_ND = plugins.load("engine", "onnxruntime").compile(model.trunk())({"pixels": pixels_NHWC})
    reference_ND = torch.cat(list(parts(model, pixels_NHWC).values()), dim=1).numpy()
    assert np.abs(found_ND - reference_ND).max() < 1e-4 * np.abs(reference_ND).max()


def test_torchvision_loads_what_is_saved(file_of: Any) -> None:
    own, file = file_of("resnet18", num_classes=7)
    state = find_model(f"torchvision:resnet18@{file}", "picture", SIZES, None).state
    own.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in state.items()})


def test_torchs_cache_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(UserError, match=r"not in torch's cache; expected squeezenet1_1-.*\.pth there"):
        find_model("torchvision:squeezenet1_1", "picture", SIZES, None)
    file = tmp_path / "hub" / "checkpoints" / Path(models.SqueezeNet1_1_Weights.DEFAULT.url).name
    file.parent.mkdir(parents=True)
    torch.save(drawn("squeezenet1_1").state_dict(), file)
    assert find_model("torchvision:squeezenet1_1", "picture", SIZES, None).pretrained.revision == file.name


def test_each_version_of_the_weights_has_its_own_preprocessing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(drawn("mobilenet_v2").state_dict(), tmp_path / "drawn.pth")
    for version in models.MobileNet_V2_Weights:
        file = folder / Path(version.url).name
        (tmp_path / "drawn.pth").rename(file)
        for name in ("mobilenet_v2", f"mobilenet_v2@{file}"):
            found = find_model(f"torchvision:{name}", "picture", SIZES, None).pretrained.preprocess
            assert isinstance(found, PicturePreprocess)
            assert found.crop == 224 / version.transforms().resize_size[0]
        file.rename(tmp_path / "drawn.pth")


def test_random_weights_need_no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert find_model(
        "torchvision:lraspp_mobilenet_v3_large", "picture-maps", {**SIZES, "image_size": 64}, 0
    ).columns()


def test_weights_of_another_model_are_refused(file_of: Any) -> None:
    _, file = file_of("squeezenet1_1", num_classes=7)
    with pytest.raises(UserError, match="do not fit") as told:
        find_model(f"torchvision:resnet18@{file}", "picture", SIZES, None).columns()
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", ["resnet81", "fasterrcnn_resnet50_fpn", "vit_b_16"])
def test_what_is_no_chain_gets_the_nearest(name: str) -> None:
    with pytest.raises(UserError, match=f"no chain of torchvision's is called '{name}'"):
        find_model(f"torchvision:{name}", "picture", SIZES, None)
