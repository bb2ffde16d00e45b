"""Keras' models from files: features against Keras' own predictions, from the picture on, by each engine."""

import copy
import hashlib
import random
import shutil
import urllib.error
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import sklearn.datasets
from safetensors.numpy import load_file

import headstart
from headstart.contracts import PicturePreprocess
from headstart.core import plugins
from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch
from headstart.core.records import Fitted
from headstart.data import picture
from headstart.model.keras import child as keras_child
from headstart.model.keras import reading as keras_reading
from headstart.model.keras.network import named_weights, prepare_keras
from headstart.model.keras.reading import without_tensorflow
from headstart.model.trunk import FrozenModel, find_model
from headstart.sources import _download
from headstart.sources.keras import _SIZES, KerasSource
from tests.ever_better import ever_better
from tests.sources import keras_models

torch = prepare_torch()
keras = prepare_keras()

IMAGES = Path(sklearn.datasets.__file__).parent / "images"
EMOJI = Path("examples/emoji/noto").resolve()
SIZES = {"image_size": None, "max_length": None}
HED = plugins.load("source", "pack").find("vgg16-hed").weights
PUBLISHED = keras_reading._published
pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # Keras' own
]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process do what a child would: it has Keras already."""

    def run(base: str, **task: Any) -> dict[str, Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return keras_reading.described(base, **task)

    monkeypatch.setattr(keras_child, "run", run)
    monkeypatch.setattr(keras_reading, "_published", lambda name: {})  # it takes a second


def found(base: str, size: int | None = None, seed: int | None = None) -> FrozenModel:
    return find_model(f"keras:{base}", "picture", {**SIZES, "image_size": size}, seed)


def pixels(model: FrozenModel) -> np.ndarray[Any, Any]:
    """Return real pictures as headstart gives them to the model, uint8 [N, S, S, 3]."""
    preprocess = model.pretrained.preprocess
    assert isinstance(preprocess, PicturePreprocess)
    images = [picture.decode((IMAGES / name).read_bytes())[0] for name in ("china.jpg", "flower.jpg")]
    return np.stack([picture.square(image, preprocess) for image in images])


def last(model: FrozenModel, pixels_NHWC: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the last block's output as Keras lays it out."""
    module: Any = model.module
    with torch.inference_mode():
        out = list(module.outputs(torch.from_numpy(pixels_NHWC)).values())[-1]
    return (out.permute(0, 2, 3, 1) if out.ndim == 4 else out).numpy()  # type: ignore[no-any-return]


def close(found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any], share: float = 1e-4) -> None:
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= share * np.abs(expected).max()


def preprocess_input(name: str) -> Any:
    """Return an application's own function."""
    return vars(keras.applications)[MODULES[name]].preprocess_input


MODULES = {
    **{"VGG16": "vgg16", "VGG19": "vgg19", "ResNet50": "resnet50", "ResNet50V2": "resnet_v2"},
    **{"MobileNetV2": "mobilenet_v2", "MobileNetV3Small": "mobilenet_v3", "EfficientNetB0": "efficientnet"},
    **{"EfficientNetV2B0": "efficientnet_v2", "ConvNeXtTiny": "convnext", "DenseNet121": "densenet"},
    **{"Xception": "xception", "InceptionV3": "inception_v3", "MobileNet": "mobilenet"},
}


@pytest.mark.parametrize("name", MODULES)
def test_features_are_those_that_keras_predicts(
    name: str, here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = keras_models.made(name)
    monkeypatch.setattr(keras_reading, "application", lambda name: own)
    model = found(name, 75 if name == "InceptionV3" else 71 if name == "Xception" else 64, seed=0)
    network = model.source.network(model.pretrained)
    values = {key: one.value for key, one in named_weights(own).items()}
    network.module.load_state_dict(values)
    preprocess = model.pretrained.preprocess
    trunk: Any = model.modality.trunk(preprocess, network, [])
    shown = pixels(model)
    with torch.inference_mode():
        maps = list(trunk.outputs(torch.from_numpy(shown)).values())
    expected = own.predict(preprocess_input(name)(shown.astype(np.float32)), verbose=0)
    close(maps[-1].permute(0, 2, 3, 1).numpy(), expected)
    assert len(maps) > 12


def test_weights_of_a_file_are_those_it_was_saved_with(here: None, tmp_path: Path) -> None:
    own = keras_models.made("MobileNetV3Small")
    model = found(f"MobileNetV3Small@{keras_models.save(own, tmp_path / 'own.weights.h5')}")
    pairs = zip(model.network().module.parameters(), named_weights(own).values(), strict=True)
    assert all(torch.equal(one, other.value) for one, other in pairs)


def test_every_application_has_its_size() -> None:
    known = {one for one in vars(keras.applications) if one[0].isupper()}
    assert known - set(_SIZES) == {"NASNetLarge", "NASNetMobile"}  # Keras has neither on torch
    assert set(_SIZES) <= known


def test_real_weights_give_keras_own_features_under_every_engine() -> None:
    """The file is HED's, whose layers lie in blocks: they are found by the names that they have in VGG16."""
    model = found(f"VGG16@{HED}", 64)
    own = keras.applications.VGG16(weights=None, include_top=False, input_shape=(64, 64, 3))
    with h5py.File(HED) as file:
        for layer in own.layers:
            block, _, number = layer.name.partition("_conv")
            if number:
                inner = file[f"{block}/layers/conv2d{'' if number == '1' else f'_{int(number) - 1}'}/vars"]
                layer.set_weights([np.asarray(inner["0"]), np.asarray(inner["1"])])
    shown = pixels(model)
    expected = own.predict(keras.applications.vgg16.preprocess_input(shown.astype(np.float32)), verbose=0)
    close(last(model, shown), expected)
    column = next(one for one in model.columns() if one.name == "mean/block5_pool")
    for engine in plugins.names("engine"):
        run = plugins.load("engine", engine).compile(model.trunk())
        rows = run({"pixels": shown})
        close(rows[:, column.start : column.stop], expected.mean((1, 2)))
        close(np.concatenate([run({"pixels": one[None]}) for one in shown]), rows, 1e-5)


def test_real_weights_give_the_packs_features() -> None:
    ours, pack = (
        found(f"VGG16@{HED}", 64),
        find_model("pack:vgg16-hed", "picture", {**SIZES, "image_size": 64}, None),
    )
    pixels_NCHW = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 60
    with torch.inference_mode():
        own, other = ours.network().outputs(pixels_NCHW), pack.network().outputs(pixels_NCHW)
    close(own[0].numpy(), other[0].numpy())
    close(own[-1].numpy(), other[-1].numpy())


@pytest.fixture(scope="module")
def small_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return keras_models.save(keras_models.small(), tmp_path_factory.mktemp("keras") / "small.keras")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a few pictures of three classes."""
    folder = tmp_path_factory.mktemp("emoji")
    for kind in sorted(EMOJI.iterdir())[:3]:
        (folder / kind.name).mkdir()
        for file in sorted(kind.iterdir())[:14]:
            shutil.copy(file, folder / kind.name)
    return folder


def fit(data: Path, base: str, out: Path, **options: Any) -> Fitted:
    return headstart.fit(str(data), base=base, out=str(out), engine="torch", **options)


@pytest.mark.parametrize(
    "options",
    [
        {"strategy": "head", "head_hidden": 32, "optimizer": "rmsprop", "epochs": 2, "batch_size": 32},
        {"strategy": "last-2", "recompute": True, "epochs": 1},
        {"strategy": "full", "epochs": 1},
    ],
    ids=lambda one: one["strategy"],
)
def test_it_trains_and_predicts_the_same_when_loaded(
    options: dict[str, Any], small_file: Path, data: Path, tmp_path: Path
) -> None:
    with ever_better():
        fitted = fit(data, f"keras:{small_file}", tmp_path / "run", **options)
    files = sorted(data.glob("*/*.png"))[12:15]
    many = list(headstart.predict(str(tmp_path / "run"), [str(one) for one in files]))
    single = [one for file in files for one in headstart.predict(str(tmp_path / "run"), [str(file)])]
    assert [one.prediction for one in many] == [one.prediction for one in single]
    if options["strategy"] == "head":
        return
    blocks = {one["block"]: one["moved"] for one in fitted.objective["blocks"]}
    still = list(blocks.values())[:-2] if options["strategy"] == "last-2" else []
    assert all(far == 0 for far in still)
    assert any(far > 0 for far in list(blocks.values())[-2:])


def test_keras_loads_what_a_run_has_saved(small_file: Path, data: Path, tmp_path: Path) -> None:
    fit(data, f"keras:{small_file}", tmp_path / "run")
    folder = tmp_path / "run" / "model"
    trunk = keras.models.model_from_json((folder / "config.json").read_text())
    weights = load_file(folder / "model.safetensors")
    for layer in trunk.layers:
        layer.set_weights([weights[f"{layer.name}/{one.name}"] for one in layer.weights])
    whole = keras_models.small()
    whole.load_weights(small_file)
    shown = pixels(found(str(small_file))).astype(np.float32)
    before_classifier = keras.Model(whole.inputs, whole.layers[-3].output)
    close(trunk.predict(shown, verbose=0), before_classifier.predict(shown, verbose=0))


def test_adapters_are_refused(small_file: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--strategy lora for this model"):
        fit(data, f"keras:{small_file}", tmp_path / "run", strategy="lora")


def test_random_weights_leave_pythons_random_state_alone(small_file: Path, here: None) -> None:
    random.seed(3)
    before = random.getstate()
    one, again, other = (found(str(small_file), seed=seed).state for seed in (0, 0, 1))
    assert random.getstate() == before
    assert all(np.array_equal(one[name], again[name]) for name in one)
    assert any(not np.array_equal(one[name], other[name]) for name in one)


def test_a_copy_runs_by_itself(small_file: Path) -> None:
    module: Any = found(str(small_file)).module
    other = copy.deepcopy(module)
    shown = torch.from_numpy(pixels(found(str(small_file))))
    with torch.no_grad():
        before = other(shown)
        for one in module.inner.parameters():
            one.zero_()
        assert torch.equal(other(shown), before)
        assert not torch.equal(module(shown), before)


def test_a_classifier_is_cut_off_and_any_size_goes(small_file: Path) -> None:
    model = found(str(small_file))
    assert not any("dense" in name for name in model.state)
    assert model.pretrained.preprocess.size == 48
    assert model.pretrained.preprocess.scale == 1.0  # it begins with a Rescaling of its own
    assert model.pretrained.adapted == ()
    larger = found(str(small_file), 80)
    assert [one.name for one in larger.columns()] == [one.name for one in model.columns()]


def test_dense_layers_hold_a_model_to_its_size(here: None, tmp_path: Path) -> None:
    layers = keras.layers
    inputs = keras.Input((32, 32, 3))
    x = layers.Flatten()(layers.MaxPooling2D(4)(layers.Conv2D(4, 3, activation="relu")(inputs)))
    model = keras.Model(inputs, layers.Dense(3)(layers.Dense(6, activation="relu")(x)))
    file = keras_models.save(model, tmp_path / "flat.keras")
    described = found(str(file)).pretrained
    assert "taken to be scaled to 0 ... 1" in described.adapted[0]
    assert found(str(file)).network().blocks[-1].startswith("dense")
    with pytest.raises(UserError, match=r"--image-size 40 for .* made for 32 px"):
        found(str(file), 40)


def test_an_application_inside_a_saved_model_is_cut_into_its_blocks(here: None, tmp_path: Path) -> None:
    inner = keras_models.made("MobileNet")
    layers = keras.layers
    inputs = keras.Input((64, 64, 3))
    x = layers.GlobalAveragePooling2D()(inner(layers.RandomFlip()(inputs)))
    file = keras_models.save(keras.Model(inputs, layers.Dense(2)(x)), tmp_path / "transfer.keras")
    model = found(str(file))
    assert "as MobileNet's" in model.pretrained.adapted[0]
    assert len(model.network().blocks) == 14
    shown = pixels(model)
    prepared = keras.applications.mobilenet.preprocess_input(shown.astype(np.float32))
    close(last(model, shown), inner.predict(prepared, verbose=0))


def test_a_sequential_model_is_one_too(here: None, tmp_path: Path) -> None:
    layers = keras.layers
    own = keras.Sequential(
        [keras.Input((32, 32, 3)), layers.Rescaling(1 / 255), layers.Conv2D(4, 3), layers.ReLU(),
         layers.Conv2D(6, 3), layers.GlobalAveragePooling2D(), layers.Dense(2), layers.Softmax()]
    )  # fmt: skip
    model = found(str(keras_models.save(own, tmp_path / "sequence.keras")))
    shown = pixels(model)
    expected = keras.Model(own.inputs, own.layers[3].output).predict(shown.astype(np.float32), verbose=0)
    close(last(model, shown), expected)


def older(model: Any, file: Path) -> Path:
    """Save weights as Keras did before version 3, and as it publishes them."""
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(file, "w") as content:
        legacy_h5_format.save_weights_to_hdf5_group(content, model)
    return file


@pytest.mark.parametrize("top", [True, False])
def test_published_weights_are_read_with_their_classifier_or_without(
    top: bool, here: None, tmp_path: Path
) -> None:
    whole = keras_models.drawn(keras.applications.MobileNet(weights=None, include_top=top, classes=7))
    model = found(f"MobileNet@{older(whole, tmp_path / 'm.h5')}")
    own = list(named_weights(whole).values())
    state = list(model.network().module.parameters())
    assert len(own) == len(state) + (2 if top else 0)
    assert all(torch.equal(one, other.value) for one, other in zip(state, own, strict=False))


def test_a_whole_model_of_an_older_file_is_read(here: None, tmp_path: Path) -> None:
    own = keras_models.small()
    model = found(str(keras_models.save(own, tmp_path / "small.h5")))
    shown = pixels(model)
    expected = keras.Model(own.inputs, own.layers[-4].output).predict(shown.astype(np.float32), verbose=0)
    close(last(model, shown), expected)


@pytest.mark.parametrize("kind", ["another model", "not a number", "one layer short"])
def test_weights_that_do_not_fit_are_refused(kind: str, here: None, tmp_path: Path) -> None:
    own = keras_models.made("MobileNetV3Small" if kind == "another model" else "MobileNet")
    if kind == "not a number":
        own.weights[3].assign(np.full(own.weights[3].shape, np.nan))
    file = keras_models.save(own, tmp_path / "own.weights.h5")
    if kind == "one layer short":
        with h5py.File(file, "a") as content:
            del content["layers/conv2d_3/vars"]
    with pytest.raises(UserError, match=r"the weights of keras:MobileNet@.* do not fit"):
        found(f"MobileNet@{file}")


def test_keras_cache_is_used_and_its_files_checked(
    here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras_reading, "_published", PUBLISHED)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("urllib.request.urlopen", refuse)
    instead = r"mobilenet_1_0_224_tf_no_top.h5 in .*models; give .* \(here of Keras: nothing\)"
    with pytest.raises(UserError, match=rf"could not be downloaded \(no network\); expected {instead}"):
        found("MobileNet")
    (tmp_path / "models").mkdir()
    file = older(keras_models.made("MobileNet"), tmp_path / "models" / "mobilenet_1_0_224_tf_no_top.h5")
    assert KerasSource().present() == ["MobileNet"]
    pretrained = found("MobileNet").pretrained
    assert (pretrained.licence, pretrained.revision) == ("Apache-2.0", file.name)


def refuse(*_: object, **__: object) -> None:
    raise urllib.error.URLError("no network")


def test_weights_are_downloaded_where_keras_would_look(tmp_path: Path) -> None:
    (tmp_path / "there.h5").write_bytes(b"weights")
    address = (tmp_path / "there.h5").as_uri()
    published = {"file": "here.h5", "address": address, "hash": hashlib.sha256(b"weights").hexdigest()}
    file = _download.fetched("keras:X", tmp_path / "models", published, "")
    assert file == tmp_path / "models" / "here.h5"
    assert file.read_bytes() == b"weights"
    (tmp_path / "there.h5").unlink()
    assert _download.fetched("keras:X", tmp_path / "models", published, "") == file
    file.write_bytes(b"others")
    with pytest.raises(UserError, match=r"here.h5 is not what was published"):
        _download.fetched("keras:X", tmp_path / "models", published, "")


def test_what_a_file_would_run_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "ran"
    monkeypatch.setenv("MARKER", str(marker))
    code = "lambda x: (__import__('pathlib').Path(__import__('os').environ['MARKER']).touch(), x)[1]"
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Lambda(eval(code))(inputs)
    file = keras_models.save(keras.Model(inputs, keras.layers.Conv2D(4, 3)(x)), tmp_path / "evil.keras")
    marker.unlink()
    with without_tensorflow():
        keras.saving.load_model(file, safe_mode=False, compile=False)
    marker.unlink()  # the attack is one
    with pytest.raises(UserError, match=r"holds __lambda__; expected .* layers that only compute"):
        found(str(file))
    assert not marker.exists()


@pytest.mark.parametrize("shape", [(None, None, 1), (32, 40, 3), (3, 32, 32)])
def test_models_of_other_pictures_are_refused(shape: tuple[int, ...], here: None, tmp_path: Path) -> None:
    inputs = keras.Input(shape)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
    with pytest.raises(UserError, match="expected a model of square RGB pictures"):
        found(str(keras_models.save(model, tmp_path / "other.keras")))


def test_keras_in_use_with_another_backend_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    prepare_keras.cache_clear()
    with pytest.raises(UserError, match="Keras is in use with jax here; expected its torch backend"):
        prepare_keras()
    monkeypatch.undo()
    assert prepare_keras() is keras
