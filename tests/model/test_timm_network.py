"""Models that timm itself saved, names and files of it: blocks against timm's own forward, from the file on.

Small models that timm has for tests, with random weights, every parameter drawn.
"""

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.datasets
from numpy.typing import NDArray
from PIL import Image

from headstart.contracts import PicturePreprocess
from headstart.core import plugins
from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch
from headstart.data import picture
from headstart.model.trunk import FrozenModel, find_model

torch = prepare_torch()

import timm  # noqa: E402
from safetensors.numpy import load_file, save_file  # noqa: E402
from timm.data import create_transform, resolve_data_config  # noqa: E402
from timm.models import save_for_hf  # noqa: E402

CHINA = Path(sklearn.datasets.__file__).parent / "images" / "china.jpg"
SIZES = {"image_size": None, "max_length": None}
STAGED = ("test_resnet", "test_convnext", "test_efficientnet", "test_mambaout")
PLAIN = ("test_vit", "test_vit2", "test_vit_relpos")
MODELS = (*STAGED, *PLAIN)
every_model = pytest.mark.parametrize("name", MODELS)
Folders = Callable[[str], Path]


def drawn(name: str, **options: Any) -> Any:
    """Return a model whose every parameter is drawn: fresh biases and norms would hide mistakes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = timm.create_model(name, pretrained=False, **options)
        with torch.no_grad():
            for path, parameter in model.named_parameters():
                norm = path.endswith("weight") and parameter.ndim == 1
                parameter.normal_(1.0 if norm else 0.0, 0.1 if norm or parameter.ndim < 2 else 0.15)
    return model.eval()


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Return a function that gives each model's folder as timm saves it, made once; not to be changed."""
    root = tmp_path_factory.mktemp("timm")

    def make(name: str) -> Path:
        save_for_hf(drawn(name, num_classes=7), root / name, safe_serialization=True)
        return root / name

    return cache(make)


@cache
def frozen(base: str, modality: str = "picture", image_size: int | None = None) -> FrozenModel:
    return find_model(base, modality, {**SIZES, "image_size": image_size}, None)


@cache
def theirs(folder: Path) -> Any:
    return timm.create_model(f"local-dir:{folder}", pretrained=True).eval()


def our_pixels(model: FrozenModel, count: int = 1) -> NDArray[Any]:
    """Return china.jpg and smaller cuts of it as the trunk takes them, from the file."""
    preprocess = model.pretrained.preprocess
    assert isinstance(preprocess, PicturePreprocess)
    image, _ = picture.decode(CHINA.read_bytes())
    parts = [image.crop((0, 0, image.width - 40 * n, image.height - 20 * n)) for n in range(count)]
    return np.stack([picture.square(part, preprocess) for part in parts])


def named_parts(model: FrozenModel, pixels_NHWC: NDArray[Any]) -> dict[str, Any]:
    module: Any = model.module
    with torch.inference_mode():
        parts = module.parts(torch.from_numpy(pixels_NHWC))
    return dict(zip([tap.name for tap in module.taps], parts, strict=True))


@every_model
def test_from_file_to_features_as_timm_does(name: str, folder_of: Folders) -> None:
    folder = folder_of(name)
    own, model = theirs(folder), frozen(f"timm:{folder}")
    pixels_NCHW = create_transform(**resolve_data_config(model=own))(Image.open(CHINA).convert("RGB"))[None]
    parts = named_parts(model, our_pixels(model))
    with torch.inference_mode():
        last, maps = own.forward_intermediates(pixels_NCHW)
        summary = own.forward_head(last, pre_logits=True)
    for info, map_NCHW in zip(own.feature_info, maps, strict=True):
        torch.testing.assert_close(
            parts[f"mean/{info['module']}"], map_NCHW.mean((2, 3)), rtol=1e-4, atol=1e-4
        )
    seen = model.modality.layer_sets(model.columns())["last"][0].name
    torch.testing.assert_close(parts[seen], summary, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["test_resnet", "test_convnext", "test_efficientnet"])
def test_maps_are_those_of_features_only(name: str, folder_of: Folders) -> None:
    folder = folder_of(name)
    model = frozen(f"timm:{folder}", "picture-maps")
    module: Any = model.module
    pixels_NHWC = our_pixels(model)
    normal = torch.from_numpy(pixels_NHWC).permute(0, 3, 1, 2).float() * module.gain + module.offset
    own = timm.create_model(f"local-dir:{folder}", pretrained=True, features_only=True).eval()
    with torch.inference_mode():
        expected = dict(zip(own.feature_info.module_name(), own(normal), strict=True))
    parts = {tap.partition("/")[2]: part for tap, part in named_parts(model, pixels_NHWC).items()}
    shared = expected.keys() & parts.keys()
    assert len(shared) >= 2
    assert parts.keys() - shared <= {"colours", "features"}
    for block in shared:
        torch.testing.assert_close(parts[block], expected[block].flatten(1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", PLAIN)
def test_a_map_keeps_where_tokens_are(name: str, folder_of: Folders) -> None:
    model = frozen(f"timm:{folder_of(name)}", "picture-maps")
    module: Any = model.module
    pixels_NHWC = our_pixels(model)
    normal = torch.from_numpy(pixels_NHWC).permute(0, 3, 1, 2).float() * module.gain + module.offset
    own = theirs(folder_of(name))
    with torch.inference_mode():
        tokens_NTC = own.forward_features(normal)
    side = pixels_NHWC.shape[1] // 16
    last = model.modality.layer_sets(model.columns())["last"][0].name
    found = named_parts(model, pixels_NHWC)[last].reshape(-1, side, side)
    for row, column in ((0, 0), (0, side - 1), (3, 5), (side - 1, 2)):
        place = tokens_NTC.shape[1] - side * side + row * side + column
        torch.testing.assert_close(found[:, row, column], tokens_NTC[0, place], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["test_convnext", "test_vit", "test_mambaout"])
def test_every_engine_gives_the_same_in_any_batch(name: str, folder_of: Folders) -> None:
    model = frozen(f"timm:{folder_of(name)}", "picture-maps", 96)
    pixels_NHWC = our_pixels(model, 3)
    reference_ND = plugins.load("engine", "torch").compile(model.trunk())({"pixels": pixels_NHWC})
    most = np.abs(reference_ND).max()
    for engine in plugins.names("engine"):
        run = plugins.load("engine", engine).compile(model.trunk())
        found_ND = run({"pixels": pixels_NHWC})
        assert np.abs(found_ND - reference_ND).max() < 1e-4 * most, engine
        alone_ND = np.concatenate([run({"pixels": pixels_NHWC[row : row + 1]}) for row in range(3)])
        assert np.abs(alone_ND - found_ND).max() < 1e-5 * most, engine


def test_positions_are_resampled_as_timm_does(folder_of: Folders) -> None:
    folder = folder_of("test_vit")
    model = frozen(f"timm:{folder}", "picture", 96)
    assert model.pretrained.adapted == (
        f"timm:{folder} is made for 160 px: timm resamples its positions for 96 px",
    )
    own = timm.create_model(f"local-dir:{folder}", pretrained=True, img_size=96)
    np.testing.assert_array_equal(model.state["pos_embed"], own.pos_embed.detach().numpy())
    assert frozen(f"timm:{folder}").state["pos_embed"].shape != model.state["pos_embed"].shape
    assert not frozen(f"timm:{folder_of('test_resnet')}", "picture", 96).pretrained.adapted


def test_a_size_that_cuts_through_patches_is_refused(folder_of: Folders) -> None:
    with pytest.raises(
        UserError, match=r"patches are 16 px; expected a multiple of 16; give 96|should be divisible"
    ):
        frozen(f"timm:{folder_of('test_vit')}", "picture", 100).columns()


@pytest.mark.parametrize(("name", "image_size"), [("test_resnet", None), ("test_vit", 96)])
def test_timm_loads_what_is_saved(
    name: str, image_size: int | None, folder_of: Folders, tmp_path: Path
) -> None:
    model = frozen(f"timm:{folder_of(name)}", "picture", image_size)
    save_file(dict(model.state), tmp_path / "model.safetensors", metadata={"format": "pt"})
    for file, content in model.source.own_files(model.pretrained).items():
        (tmp_path / file).write_text(json.dumps(content))
    again = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    for path, tensor in again.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), model.state[path])
    own_data, saved_data = (
        resolve_data_config(model=theirs(folder_of(name))),
        resolve_data_config(model=again),
    )
    assert saved_data.pop("input_size") == (3, image_size or 160, image_size or 160)
    own_data.pop("input_size")
    assert saved_data == own_data
    # And headstart finds the same function in it.
    back = find_model(f"timm:{tmp_path}", "picture", SIZES, None)
    assert not back.pretrained.adapted
    pixels = torch.from_numpy(our_pixels(model))
    with torch.inference_mode():
        torch.testing.assert_close(back.module(pixels), model.module(pixels))


def test_a_weights_file_tells_of_how_many_classes(folder_of: Folders, tmp_path: Path) -> None:
    own = drawn("test_resnet", num_classes=7)
    torch.save(
        {"state_dict": {f"module.{name}": one for name, one in own.state_dict().items()}}, tmp_path / "w.pth"
    )
    model = frozen(f"timm:test_resnet@{tmp_path / 'w.pth'}")
    assert model.pretrained.config["pretrained_cfg"]["num_classes"] == 7
    for name, array in frozen(f"timm:{folder_of('test_resnet')}").state.items():
        np.testing.assert_array_equal(model.state[name], array)


def test_published_weights_by_timms_name_give_what_the_pack_gives(tmp_path: Path) -> None:
    pack = frozen("pack:efficientnet-lite0", "picture", 96)
    save_file(dict(pack.state), tmp_path / "lite0.safetensors")
    model = frozen(f"timm:tf_efficientnet_lite0@{tmp_path / 'lite0.safetensors'}", "picture", 96)
    pixels_NHWC = our_pixels(pack)
    ours, theirs_too = named_parts(model, pixels_NHWC), named_parts(pack, pixels_NHWC)
    for stage, block in ((0, "0.0"), (1, "1.1"), (2, "2.1"), (4, "4.2"), (6, "6.0")):
        torch.testing.assert_close(ours[f"mean/blocks.{stage}"], theirs_too[f"mean/blocks.{block}"])
    torch.testing.assert_close(ours["mean/features"], theirs_too["mean/head"])
    assert model.pretrained.preprocess == pack.pretrained.preprocess


def test_weights_of_another_architecture_are_refused(folder_of: Folders) -> None:
    weights = folder_of("test_vit") / "model.safetensors"
    with pytest.raises(UserError, match="cannot make timm:test_resnet@") as told:
        frozen(f"timm:test_resnet@{weights}").columns()
    assert "\n" not in str(told.value)


def test_a_name_is_looked_up_in_the_hubs_cache(
    folder_of: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    with pytest.raises(UserError, match=r"not in the local cache .* \(there is none\)"):
        find_model("timm:test_resnet", "picture", SIZES, None)
    cached = tmp_path / "models--timm--test_resnet.r160_in1k"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("0123abc")
    shutil.copytree(folder_of("test_resnet"), cached / "snapshots" / "0123abc")
    for name in ("timm:test_resnet", "timm:test_resnet.r160_in1k"):
        found = find_model(name, "picture", SIZES, None)
        assert found.pretrained.revision == "0123abc"
        assert (
            found.pretrained.weights_digest
            == frozen(f"timm:{folder_of('test_resnet')}").pretrained.weights_digest
        )
    with pytest.raises(UserError, match=r"\(test_resnet.r160_in1k\)"):
        find_model("timm:test_vit", "picture", SIZES, None)


def test_a_file_of_torchs_cache_is_used(
    folder_of: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    address = str(timm.get_pretrained_cfg("resnet10t").url)
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    file = tmp_path / "hub" / "checkpoints" / Path(address).name
    torch.save(drawn("resnet10t").state_dict(), file)
    assert find_model("timm:resnet10t", "picture", SIZES, None).pretrained.revision == file.name


def test_random_weights_need_no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "headstart.sources._hub.snapshot", lambda *asked: pytest.fail("weights were looked for")
    )
    drawn_twice = [find_model("timm:test_vit", "picture", SIZES, 3) for _ in range(2)]
    first, second = (dict(one.state) for one in drawn_twice)
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])
    assert drawn_twice[0].key == drawn_twice[1].key
    assert drawn_twice[0].key != find_model("timm:test_vit", "picture", SIZES, 4).key


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"architecture": "hf-hub:somebody/something"}, "names the architecture"),
        ({"architecture": "no_such_net"}, "cannot make"),
        ({"model_args": {"checkpoint_path": "/etc/passwd"}}, "would load weights by checkpoint_path"),
        ({"pretrained_cfg": {"input_size": [1, 64, 64]}}, "takes pictures of 1 channels"),
        ({"model_args": {"in_chans": 4}}, "is built for 4 channels"),
        ({"pretrained_cfg": {"input_size": [3, 64, 32]}}, "takes pictures of 64 x 32 px"),
        ({"pretrained_cfg": {"crop_mode": "border"}}, "pads pictures"),
        ({"pretrained_cfg": {"interpolation": "random"}}, "resizes by random"),
    ],
)
def test_what_a_config_may_not_say(
    change: dict[str, Any], expected: str, folder_of: Folders, tmp_path: Path
) -> None:
    shutil.copytree(folder_of("test_resnet"), tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    inner = {**config["pretrained_cfg"], **change.get("pretrained_cfg", {})}
    (tmp_path / "config.json").write_text(json.dumps({**config, **change, "pretrained_cfg": inner}))
    with pytest.raises(UserError, match=expected) as told:
        find_model(f"timm:{tmp_path}", "picture", SIZES, None).columns()
    assert "\n" not in str(told.value)


def test_a_config_cannot_send_the_loader_elsewhere(folder_of: Folders, tmp_path: Path) -> None:
    shutil.copytree(folder_of("test_resnet"), tmp_path / "model")
    other = {
        name: np.zeros_like(array)
        for name, array in load_file(tmp_path / "model" / "model.safetensors").items()
    }
    save_file(other, tmp_path / "other.safetensors")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    config["pretrained_cfg"] |= {
        **{"file": str(tmp_path / "other.safetensors"), "source": "local-dir", "custom_load": True},
        **{"hf_hub_id": "somebody/something", "url": "http://127.0.0.1:9/x.pth"},
    }
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    state = find_model(f"timm:{tmp_path / 'model'}", "picture", SIZES, None).state
    np.testing.assert_array_equal(
        state["fc.weight"], frozen(f"timm:{folder_of('test_resnet')}").state["fc.weight"]
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet81", "knows no model called 'resnet81'"),
        ("resnet18.nowhere", "has no weights called 'nowhere'"),
    ],
)
def test_a_name_that_timm_does_not_know_gets_the_nearest(name: str, expected: str) -> None:
    with pytest.raises(UserError, match=expected) as told:
        find_model(f"timm:{name}", "picture", SIZES, None)
    assert "did you mean 'resnet" in str(told.value) or "a1_in1k" in str(told.value)
