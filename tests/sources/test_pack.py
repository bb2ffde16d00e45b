"""Packs: a file's weights, run our way, are the author's model."""

import importlib.util
import pickle
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.datasets
from numpy.typing import NDArray
from PIL import Image

from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch
from headstart.data import picture
from headstart.model.trunk import FrozenModel, find_model
from headstart.sources import pack

Array = NDArray[Any]
LITES = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")
CHINA = Path(sklearn.datasets.__file__).parent / "images" / "china.jpg"
PALACE, MONASTERY, STUPA = 698, 663, 832


@cache
def model(name: str) -> FrozenModel:
    return find_model(f"pack:{name}", "picture", {"image_size": None, "max_length": None}, None)


@cache
def normalised(name: str) -> Any:
    """Return china.jpg as the first layer takes it, by our own way from the file: [1, 3, H, W]."""
    torch = prepare_torch()
    image, _ = picture.decode(CHINA.read_bytes())
    pixels = picture.square(image, model(name).pretrained.preprocess)  # type: ignore[arg-type]
    return first_layer(name, torch.from_numpy(pixels[None].copy()))


def first_layer(name: str, pixels_NHWC: Any) -> Any:
    module: Any = model(name).module
    x_NCHW = pixels_NHWC.permute(0, 3, 1, 2).float()
    return (x_NCHW[:, [2, 1, 0]] if module.flip else x_NCHW) * module.gain + module.offset


@cache
def ours(name: str) -> tuple[Any, ...]:
    """Return every block's map of china.jpg."""
    torch = prepare_torch()
    module: Any = model(name).module
    with torch.inference_mode():
        return tuple(module.network.outputs(normalised(name)))


@cache
def timm_model(name: str) -> Any:
    """Return timm's model, built and loaded by timm, with the pack's weights."""
    torch = prepare_torch()
    import timm

    built = timm.create_model(f"tf_{name.replace('-', '_')}", pretrained=False)
    built.load_state_dict({key: torch.from_numpy(array) for key, array in model(name).state.items()})
    return built.eval()


@pytest.mark.parametrize("name", LITES)
def test_the_last_block_is_timms_feature_map(name: str) -> None:
    torch = prepare_torch()
    with torch.inference_mode():
        expected = timm_model(name).forward_features(normalised(name))
    torch.testing.assert_close(ours(name)[-1], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", LITES)
def test_from_file_to_logits_as_timm_does(name: str) -> None:
    torch = prepare_torch()
    from timm.data import create_transform

    size = {"efficientnet-lite0": 224, "efficientnet-lite1": 240, "efficientnet-lite2": 260}[name]
    transform = create_transform(
        input_size=(3, size, size),
        interpolation="bicubic",
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        crop_pct=size / (size + 32),
    )
    with torch.inference_mode():
        expected = timm_model(name)(transform(Image.open(CHINA).convert("RGB"))[None])
        found = timm_model(name).forward_head(ours(name)[-1])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", LITES)
def test_features_are_the_maps_averages(name: str) -> None:
    torch = prepare_torch()
    frozen = model(name)
    image, _ = picture.decode(CHINA.read_bytes())
    pixels = picture.square(image, frozen.pretrained.preprocess)  # type: ignore[arg-type]
    with torch.inference_mode():
        (row,) = frozen.module(torch.from_numpy(pixels[None].copy()))
    places = {column.name: slice(column.start, column.stop) for column in frozen.columns()}
    blocks = dict(zip(frozen.module.network.blocks, ours(name), strict=True))  # type: ignore[union-attr]
    for block, map_NCHW in blocks.items():
        torch.testing.assert_close(
            row[places[f"mean/{block}"]], map_NCHW[0].mean(dim=(1, 2)), rtol=1e-4, atol=1e-5
        )
    # The picture itself, 16 x 16, between 0 and 1.
    shrunk = torch.nn.functional.adaptive_avg_pool2d(
        torch.from_numpy(pixels.copy()).permute(2, 0, 1).float()[None] / 255, 16
    )
    if pixels.shape[0] % 16 == 0:
        torch.testing.assert_close(row[places["pixels"]], shrunk.flatten(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", LITES)
def test_the_authors_own_model_agrees(name: str) -> None:
    author = pytest.importorskip(
        "efficientnet_lite_pytorch", reason="the author's code: pip install efficientnet-lite-pytorch"
    )
    torch = prepare_torch()
    theirs = author.EfficientNet.from_name(name)
    theirs.load_state_dict(torch.load(model(name).pretrained.weights, map_location="cpu", weights_only=True))
    theirs.eval()
    with torch.inference_mode():
        expected_map = theirs.extract_features(normalised(name))
        expected = theirs(normalised(name))
        found = timm_model(name).forward_head(ours(name)[-1])
    torch.testing.assert_close(ours(name)[-1], expected_map, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [*LITES, "squeezenet1_1"])
def test_a_temple_is_taken_for_one(name: str) -> None:
    """What no comparison of code with itself shows: that channels, scale and mean are the right ones."""
    torch = prepare_torch()
    module: Any = model(name).module.network.module  # type: ignore[union-attr]
    last = ours(name)[-1]
    with torch.inference_mode():
        logits = module.forward_head(last) if name in LITES else module.classifier(last).flatten(1)
    assert int(logits.argmax()) in (PALACE, MONASTERY, STUPA)
    assert float(logits.softmax(1).max()) > 0.2


def convolve(x_HWC: Array, kernel_HWIO: Array, bias_O: Array, stride: int, pad: int) -> Array:
    """A convolution as it is defined, with zeros around."""
    x_HWC = np.pad(x_HWC, ((pad, pad), (pad, pad), (0, 0)))
    side = kernel_HWIO.shape[0]
    rows = (x_HWC.shape[0] - side) // stride + 1
    columns = (x_HWC.shape[1] - side) // stride + 1
    found = np.empty((rows, columns, kernel_HWIO.shape[3]))
    for i in range(rows):
        for j in range(columns):
            window = x_HWC[i * stride : i * stride + side, j * stride : j * stride + side]
            found[i, j] = np.tensordot(window, kernel_HWIO, 3) + bias_O
    return found


def largest(x_HWC: Array, side: int, ceil: bool) -> Array:
    """Max-pooling with stride 2; ``ceil`` keeps a last, incomplete window, as Caffe does."""
    span = (np.array(x_HWC.shape[:2]) - side) / 2 + 1
    rows, columns = (np.ceil(span) if ceil else np.floor(span)).astype(int)
    return np.array(
        [
            [x_HWC[2 * i : 2 * i + side, 2 * j : 2 * j + side].max(axis=(0, 1)) for j in range(columns)]
            for i in range(rows)
        ]
    )


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def patch(side: int) -> NDArray[np.uint8]:
    return np.asarray(Image.open(CHINA).convert("RGB").resize((side, side)))


def first_maps(name: str, pixels_HWC: Array, count: int) -> list[Array]:
    torch = prepare_torch()
    module: Any = model(name).module
    with torch.inference_mode():
        maps = module.network.outputs(first_layer(name, torch.from_numpy(pixels_HWC[None].copy())))
    return [one[0].permute(1, 2, 0).numpy() for one in maps[:count]]


def test_squeezenet_is_its_files_arrays() -> None:
    weights = model("squeezenet1_1").pretrained.weights
    with weights.open("rb") as file:
        arrays = {
            (k.decode() if isinstance(k, bytes) else k): v
            for k, v in pickle.load(file, encoding="bytes").items()
        }
    pixels = patch(34)  # an even map before pooling: the incomplete window counts
    bgr = pixels[:, :, ::-1].astype(np.float64) - np.array([104.0, 117.0, 124.0])
    first = relu(convolve(bgr, *arrays["conv1"], stride=2, pad=0))
    squeezed = relu(convolve(largest(first, 3, ceil=True), *arrays["fire2/squeeze1x1"], stride=1, pad=0))
    second = np.concatenate(
        [
            relu(convolve(squeezed, *arrays["fire2/expand1x1"], stride=1, pad=0)),
            relu(convolve(squeezed, *arrays["fire2/expand3x3"], stride=1, pad=1)),
        ],
        axis=2,
    )
    found = first_maps("squeezenet1_1", pixels, 2)
    for ours_HWC, expected_HWC in zip(found, (first, second), strict=True):
        assert ours_HWC.shape == expected_HWC.shape
        np.testing.assert_allclose(ours_HWC, expected_HWC, rtol=1e-3, atol=1e-3 * expected_HWC.max())
    assert (second > 0).any()


def test_vgg16_is_its_files_arrays() -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(model("vgg16-hed").pretrained.weights, "r") as file:
        layers = [
            tuple(np.asarray(file[f"{place}/vars/{part}"]) for part in "01")
            for place in (
                *("block1/layers/conv2d", "block1/layers/conv2d_1"),
                "block2/layers/conv2d",
            )
        ]
    pixels = patch(35)
    bgr = pixels[:, :, ::-1].astype(np.float64) - np.array([104.00699, 116.66877, 122.67892])
    first = relu(convolve(bgr, *layers[0], stride=1, pad=1))
    second = relu(convolve(first, *layers[1], stride=1, pad=1))
    third = relu(convolve(largest(second, 2, ceil=False), *layers[2], stride=1, pad=1))
    for ours_HWC, expected_HWC in zip(
        first_maps("vgg16-hed", pixels, 3), (first, second, third), strict=True
    ):
        assert ours_HWC.shape == expected_HWC.shape
        np.testing.assert_allclose(ours_HWC, expected_HWC, rtol=1e-3, atol=1e-4 * expected_HWC.max())


@pytest.mark.parametrize("name", pack.PACKS)
def test_an_absent_pack_names_the_one_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    module = pack.PACKS[name].module
    monkeypatch.setattr(importlib.util, "find_spec", lambda one: None if one == module else find(one))
    with pytest.raises(UserError) as told:
        pack.PackSource().find(name)
    assert f"pack:{name} are not installed" in told.value.found
    assert told.value.remedy == f"run: {pack.PACKS[name].install}"
    assert told.value.remedy.startswith("run: pip install ")
    assert module.replace("_", "-") in told.value.remedy


def test_a_pack_without_its_reader_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda one: None if one == "h5py" else find(one))
    with pytest.raises(UserError) as told:
        pack.PackSource().find("vgg16-hed")
    assert "h5py" in told.value.remedy


def test_a_package_without_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ndf").mkdir()
    (tmp_path / "ndf" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match="not installed"):
        pack.PackSource().find("squeezenet1_1")


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("efficientnet_lite0", "efficientnet-lite0"),
        ("efficientnet-lite3", "efficientnet-lite"),
        ("squeezenet", "squeezenet1_1"),
        ("vgg16", "vgg16-hed"),
        ("minilm", "minilm-l6"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(wrong: str, near: str) -> None:
    with pytest.raises(UserError) as told:
        pack.PackSource().find(wrong)
    assert f"did you mean '{near}" in told.value.remedy
    assert all(name in told.value.expected for name in pack.PACKS)
