"""Picture models that Transformers itself wrote: blocks against Transformers' own forward, from the file on.

The models are the real classes, small and randomly initialised, every parameter drawn.
"""

import json
import shutil
import warnings
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
from headstart.model.fastest import fastest
from headstart.model.transformers import pictures as transformers_pictures
from headstart.model.trunk import FrozenModel, find_model
from tests.model.picture_families import ENCODERS, KINDS, save

torch = prepare_torch()

import transformers as t  # noqa: E402

CHINA = Path(sklearn.datasets.__file__).parent / "images" / "china.jpg"
WIDTH, HEIGHT = (
    634,
    427,
)  # resized to 72 px, an even number of columns is cut away: half of it is half for all
SIZES = {"image_size": None, "max_length": None}
every_encoder = pytest.mark.parametrize("kind", ENCODERS)


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that gives each kind's folder, made once; not to be changed."""
    root = tmp_path_factory.mktemp("pictures")
    return cache(lambda kind: save(kind, root / kind))


@cache
def frozen(folder: Path, modality: str = "picture", image_size: int | None = None) -> FrozenModel:
    return find_model(f"hf:{folder}", modality, {**SIZES, "image_size": image_size}, None)


def our_pixels(model: FrozenModel, count: int = 1) -> NDArray[Any]:
    """Return china.jpg and smaller cuts of it as the trunk takes them, from the file."""
    preprocess = model.pretrained.preprocess
    assert isinstance(preprocess, PicturePreprocess)
    image, _ = picture.decode(CHINA.read_bytes())
    parts = [image.crop((0, 0, WIDTH - 40 * n, HEIGHT - 20 * n)) for n in range(count)]
    return np.stack([picture.square(part, preprocess) for part in parts])


@cache
def theirs(folder: Path, kind: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return KINDS[kind][0].from_pretrained(folder).eval()


def their_pixels(folder: Path) -> Any:
    """Return china.jpg as Transformers' own processor prepares it, with Pillow as we do."""
    processor = t.AutoImageProcessor.from_pretrained(folder, backend="pil")
    part = Image.open(CHINA).convert("RGB").crop((0, 0, WIDTH, HEIGHT))
    return processor(images=part, return_tensors="pt")["pixel_values"]


def named_parts(model: FrozenModel, pixels_NHWC: NDArray[Any]) -> dict[str, Any]:
    module: Any = model.module
    with torch.inference_mode():
        return dict(
            zip([tap.name for tap in module.taps], module.parts(torch.from_numpy(pixels_NHWC)), strict=True)
        )


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "mask2former"])
def test_pixels_are_the_processors_own(kind: str, folder_of: Callable[[str], Path]) -> None:
    folder = folder_of(kind)
    model = frozen(folder)
    module: Any = model.module
    pixels_NCHW = torch.from_numpy(our_pixels(model)).permute(0, 3, 1, 2).float()
    ours = (pixels_NCHW[:, [2, 1, 0]] if module.flip else pixels_NCHW) * module.gain + module.offset
    torch.testing.assert_close(ours, their_pixels(folder), rtol=0, atol=1e-5)


def slow_encoder(model: Any, pixels: Any, at_any_size: bool = False) -> tuple[list[Any], Any]:
    """Return what Transformers says of a picture: averages of every hidden state, and its own summary."""
    more = {"interpolate_pos_encoding": True} if at_any_size else {}
    with torch.inference_mode():
        found = model.base_model(pixels, output_hidden_states=True, **more)
    states = found.get("reshaped_hidden_states") or found.hidden_states
    grid = (pixels.shape[-1] // 16) ** 2
    means = [x.mean((2, 3)) if x.ndim == 4 else x[:, -grid:].mean(1) for x in states]
    pooled = found.get("pooler_output")
    return means, found.last_hidden_state[:, 0] if pooled is None else pooled.flatten(1)


@every_encoder
def test_from_file_to_features_as_transformers_does(kind: str, folder_of: Callable[[str], Path]) -> None:
    folder = folder_of(kind)
    model = frozen(folder)
    own = theirs(folder, kind)
    if kind in ("vit", "deit"):
        own.base_model.pooler = None  # drawn anew, for the checkpoint has none
    means, summary = slow_encoder(own, their_pixels(folder))
    parts = named_parts(model, our_pixels(model))
    for place, mean_NC in enumerate(means):
        torch.testing.assert_close(parts[f"mean/states.{place}"], mean_NC, rtol=1e-4, atol=1e-4)
    last = model.modality.layer_sets(model.columns())["last"][0].name
    torch.testing.assert_close(parts[last], summary, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["vit", "deit", "swin", "convnext"])
def test_the_summary_is_what_the_classifier_sees(kind: str, folder_of: Callable[[str], Path]) -> None:
    folder = folder_of(kind)
    own, model = theirs(folder, kind), frozen(folder)
    with torch.inference_mode():
        logits = own(their_pixels(folder)).logits
        last = model.modality.layer_sets(model.columns())["last"][0].name
        found = own.classifier(named_parts(model, our_pixels(model))[last])
    torch.testing.assert_close(found, logits, rtol=1e-4, atol=1e-4)


def classified(own: Any, last_NCHW: Any) -> Any:
    """Return the logits that a segmentation model's own last layer gives for what it sees."""
    if isinstance(own, t.DPTForSemanticSegmentation):
        return own.head.head[5](own.head.head[4](last_NCHW))
    logits_NKHW = own.decode_head.classifier(last_NCHW)
    if isinstance(own, t.UperNetForSemanticSegmentation):
        return torch.nn.functional.interpolate(logits_NKHW, (64, 64), mode="bilinear")
    return logits_NKHW


@pytest.mark.parametrize("kind", ["segformer", "upernet", "dpt"])
def test_the_last_map_is_what_tells_classes(kind: str, folder_of: Callable[[str], Path]) -> None:
    """A frozen decoder below a linear head: the checkpoint's own head gives the checkpoint's logits."""
    folder = folder_of(kind)
    own, model = theirs(folder, kind), frozen(folder, "picture-maps")
    module: Any = model.module
    name = model.modality.layer_sets(model.columns())["last"][0].name
    assert name.endswith("/decoder")
    side = int(name.partition("x")[0])
    pixels_NHWC = our_pixels(model)
    flat_ND = named_parts(model, pixels_NHWC)[name]
    normal = torch.from_numpy(pixels_NHWC).permute(0, 3, 1, 2).float() * module.gain + module.offset
    with torch.inference_mode():
        found = classified(own, flat_ND.reshape(1, -1, side, side))
        torch.testing.assert_close(found, own(normal).logits, rtol=1e-4, atol=1e-4)


def test_mask2formers_last_map_is_its_embedding_of_pixels(folder_of: Callable[[str], Path]) -> None:
    folder = folder_of("mask2former")
    own, model = theirs(folder, "mask2former"), frozen(folder, "picture-maps")
    module: Any = model.module
    pixels_NHWC = our_pixels(model)
    normal = torch.from_numpy(pixels_NHWC).permute(0, 3, 1, 2).float() * module.gain + module.offset
    with torch.inference_mode():
        expected = own.model(normal).pixel_decoder_last_hidden_state
    found = named_parts(model, pixels_NHWC)["32x32/decoder"]
    torch.testing.assert_close(found, expected.flatten(1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["segformer", "mask2former"])
def test_every_engine_gives_the_same_in_any_batch(kind: str, folder_of: Callable[[str], Path]) -> None:
    model = frozen(folder_of(kind), "picture-maps")
    pixels_NHWC = our_pixels(model, 3)
    reference_ND = plugins.load("engine", "torch").compile(model.trunk())({"pixels": pixels_NHWC})
    most = np.abs(reference_ND).max()
    for engine in plugins.names("engine"):
        run = plugins.load("engine", engine).compile(model.trunk())
        found_ND = run({"pixels": pixels_NHWC})
        assert np.abs(found_ND - reference_ND).max() < 1e-4 * most, engine
        alone_ND = np.concatenate([run({"pixels": pixels_NHWC[row : row + 1]}) for row in range(3)])
        assert np.abs(alone_ND - found_ND).max() < 1e-5 * most, engine


def test_what_onnx_lacks_leaves_torch_with_the_reason(folder_of: Callable[[str], Path]) -> None:
    model = frozen(folder_of("dinov2_with_registers"))
    pixels = {"pixels": our_pixels(model, 2)}
    choice, _ = fastest(model.trunk(), pixels)
    assert choice.name == "torch"
    assert all("_upsample_bicubic2d_aa" in why for why in choice.left_out.values())
    assert set(choice.left_out) == {"onnxruntime", "openvino"}


@pytest.mark.parametrize("kind", ["vit", "deit", "beit", "dinov2"])
def test_positions_are_interpolated_as_transformers_does(kind: str, folder_of: Callable[[str], Path]) -> None:
    folder = folder_of(kind)
    model = frozen(folder, image_size=96)
    assert model.pretrained.adapted == (
        f"hf:{folder} is made for 64 px: its positions are interpolated for 96 px",
    )
    own = theirs(folder, kind)
    module: Any = model.module
    pixels_NHWC = our_pixels(model)
    normal = torch.from_numpy(pixels_NHWC).permute(0, 3, 1, 2).float() * module.gain + module.offset
    means, _ = slow_encoder(own, normal, at_any_size=kind != "dinov2")
    parts = named_parts(model, pixels_NHWC)
    for place, mean_NC in enumerate(means):
        torch.testing.assert_close(parts[f"mean/states.{place}"], mean_NC, rtol=1e-4, atol=1e-4)


def test_a_size_that_cuts_through_patches_is_refused(folder_of: Callable[[str], Path]) -> None:
    with pytest.raises(UserError, match="whose patches are 16 px; expected a multiple of 16; give 96"):
        frozen(folder_of("vit"), image_size=100)


def test_a_size_that_the_model_cannot_run_at_is_refused(folder_of: Callable[[str], Path]) -> None:
    with pytest.raises(UserError, match="cannot be run at 64 px"):
        frozen(folder_of("swin"), image_size=64).columns()


@pytest.mark.parametrize("kind", ["vit", "swin", "resnet"])
def test_transformers_loads_what_is_saved(
    kind: str, folder_of: Callable[[str], Path], tmp_path: Path
) -> None:
    from safetensors.numpy import save_file

    folder = folder_of(kind)
    model = frozen(folder)
    save_file(dict(model.state), tmp_path / "model.safetensors", metadata={"format": "pt"})
    for name, content in model.source.own_files(model.pretrained).items():
        (tmp_path / name).write_text(json.dumps(content))
    for name, path in model.pretrained.assets.items():
        shutil.copy(path, tmp_path / name)
    again, said = t.AutoModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not {one for one in said["missing_keys"] if "pooler" not in one}
    assert not said["unexpected_keys"]
    pixels = their_pixels(tmp_path)
    with torch.inference_mode():
        expected = theirs(folder, kind).base_model.eval()(pixels).last_hidden_state
        torch.testing.assert_close(again.eval()(pixels).last_hidden_state, expected, rtol=1e-5, atol=1e-5)


def test_weights_of_another_model_are_refused(folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    shutil.copytree(folder_of("vit"), tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 4}))
    with pytest.raises(UserError, match=r"lack encoder|lack layer"):
        frozen(tmp_path).columns()


def test_weights_of_another_width_are_refused(folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    shutil.copytree(folder_of("resnet"), tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "hidden_sizes": [8, 16, 24, 40]}))
    with pytest.raises(UserError, match=r"do not fit its config.json") as told:
        frozen(tmp_path).columns()
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"size": {"height": 64, "width": 32}}, "takes pictures of 32 x 64 px"),
        ({"image_mean": [0.5]}, "takes pictures of 1 channels"),
        ({"resample": 9}, "cannot be made out"),
        ({"size": "large"}, "cannot be made out"),
        ({"image_std": [0.5, "a", 0.5]}, "cannot be made out"),
    ],
)
def test_what_a_processor_may_not_say(
    change: dict[str, Any], expected: str, folder_of: Callable[[str], Path], tmp_path: Path
) -> None:
    shutil.copytree(folder_of("vit"), tmp_path, dirs_exist_ok=True)
    said = json.loads((tmp_path / "preprocessor_config.json").read_text())
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**said, **change}))
    with pytest.raises(UserError, match=expected):
        frozen(tmp_path)


def test_every_kind_is_tested() -> None:
    assert set(KINDS) == transformers_pictures.KINDS


def test_half_precision_is_read_as_float32(folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    theirs(folder_of("vit"), "vit").half().save_pretrained(tmp_path)
    shutil.copy(folder_of("vit") / "preprocessor_config.json", tmp_path)
    model = frozen(tmp_path)
    assert {array.dtype for array in model.state.values()} == {np.dtype(np.float32)}
    exact = frozen(folder_of("vit")).state
    for name, array in model.state.items():
        np.testing.assert_allclose(array, exact[name], rtol=1e-2, atol=1e-3)


def test_a_pickle_of_tensors_is_read(folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    own = theirs(folder_of("resnet"), "resnet")
    for name in ("config.json", "preprocessor_config.json"):
        shutil.copy(folder_of("resnet") / name, tmp_path)
    torch.save(own.state_dict(), tmp_path / "pytorch_model.bin")
    state = frozen(tmp_path).state
    for name, array in frozen(folder_of("resnet")).state.items():
        np.testing.assert_array_equal(state[name], array)


def test_random_weights_need_no_weights(folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    for name in ("config.json", "preprocessor_config.json"):
        shutil.copy(folder_of("convnext") / name, tmp_path)
    drawn = find_model(f"hf:{tmp_path}", "picture", SIZES, 0)
    assert drawn.columns()[-1].stop == frozen(folder_of("convnext")).columns()[-1].stop
    with pytest.raises(UserError, match=r"has no model.safetensors"):
        frozen(tmp_path)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("vit_mae", "is a model of type 'vit_mae'"), ("yolos", "is a model of type 'yolos'")],
)
def test_other_picture_models_are_refused_by_name(kind: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    (tmp_path / "preprocessor_config.json").write_text("{}")
    with pytest.raises(UserError, match=expected):
        frozen(tmp_path)


def test_a_picture_model_for_texts_is_refused(folder_of: Callable[[str], Path]) -> None:
    with pytest.raises(UserError, match="is a picture model; expected a text model"):
        find_model(f"hf:{folder_of('vit')}", "text", SIZES, None)


def test_a_timm_model_in_transformers_wrapper(tmp_path: Path) -> None:
    import timm

    cfg = {**timm.get_pretrained_cfg("test_resnet").to_dict(), "input_size": [3, 64, 64]}
    config = t.TimmWrapperConfig(architecture="test_resnet", pretrained_cfg=cfg)
    own = t.TimmWrapperModel(config).eval()
    own.save_pretrained(tmp_path)
    model = frozen(tmp_path)
    assert model.pretrained.architecture == "timm/test_resnet"
    module: Any = model.module
    pixels_NHWC = our_pixels(model)
    normal = torch.from_numpy(pixels_NHWC).permute(0, 3, 1, 2).float() * module.gain + module.offset
    with torch.inference_mode():
        found = own(normal, output_hidden_states=True).hidden_states
    parts = named_parts(model, pixels_NHWC)
    for block, map_NCHW in zip(module.network.blocks, found, strict=True):
        torch.testing.assert_close(parts[f"mean/{block}"], map_NCHW.mean((2, 3)), rtol=1e-4, atol=1e-5)
