"""The one suite that every source of pretrained models passes."""

import inspect
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import headstart
from headstart.api import own
from headstart.contracts import Allowed, Pretrained, Source
from headstart.core import plugins
from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch
from headstart.model.trunk import FrozenModel, find_model, source_of
from headstart.sources.pack import PACKS
from tests.sources import keras_models
from tests.sources.graphs import SAVED_MODEL, picture_graph
from tests.sources.hub_repository import clone, small_network
from tests.verbs.conftest import copy_pictures

SIZES = {"image_size": None, "max_length": None}
MATRICES = (".weight", "/kernel")


@cache
def made(name: str) -> str:
    """Return the name by which a source finds a small model that its library has written."""
    folder = Path(os.environ["HEADSTART_HOME"]) / "made" / name.replace(" ", "-")
    if name == "a Keras model":
        return str(keras_models.save(keras_models.small(), folder / "small.keras"))
    if name == "a text folder":  # the one that a pack brings
        return str(plugins.load("source", "pack").find("minilm-l6").weights.parent)
    torch = prepare_torch()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        return {
            "a picture folder": _segformer,
            "a timm folder": _timm,
            "a weights file": _squeezenet,
            "a clone": lambda folder: f"{clone(folder)}:small_cnn",
            "a module": lambda _: own("module", small_network).partition(":")[2],
            "a graph": lambda folder: str(picture_graph(folder / "model.onnx")),
            "a run": _run,
        }[name](folder)


def _segformer(folder: Path) -> str:
    import transformers

    sizes = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "decoder_hidden_size": 16}
    config = transformers.SegformerConfig(**sizes, num_attention_heads=[1, 2, 2, 2])
    transformers.SegformerForSemanticSegmentation(config).save_pretrained(folder)
    transformers.SegformerImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder)
    return str(folder)


def _timm(folder: Path) -> str:
    import timm

    timm.models.save_for_hf(timm.create_model("test_vit"), folder, safe_serialization=True)
    return str(folder)


def _squeezenet(folder: Path) -> str:
    import torchvision
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    save_file(torchvision.models.squeezenet1_0(weights=None).state_dict(), folder / "weights.safetensors")
    return f"squeezenet1_0@{folder / 'weights.safetensors'}"


def _run(folder: Path) -> str:
    data = copy_pictures(folder / "data", ("animals", "vehicles"), 8)
    base = f"timm:{made('a timm folder')}"
    headstart.fit(str(data), base=base, out=str(folder / "run"), image_size=64, engine="torch")
    return str(folder / "run")


CASES = {
    "pack": tuple(PACKS),
    "hf": ("a text folder", "a picture folder"),
    "timm": ("a timm folder",),
    "torchvision": ("a weights file",),
    "keras": ("a Keras model",),
    "hub": ("a clone",),
    "own": ("a module",),
    "run": ("a run",),
    "onnx": ("a graph",),
    "tf": (str(SAVED_MODEL),),
}
MADE = (
    *("a text folder", "a picture folder", "a timm folder", "a weights file"),
    *("a clone", "a module", "a graph", "a run", "a Keras model"),
)
EVERY = [(source, name) for source, names in CASES.items() for name in names]
every_model = pytest.mark.parametrize(
    ("source", "name"), EVERY, ids=[f"{one}:{Path(name).name}" for one, name in EVERY]
)


def found(source: str, name: str) -> Pretrained:
    described: Pretrained = loaded(source, name).find(real_name(name))
    return described


def loaded(source: str, name: str) -> Source:
    """Return a source that trusts the code of a model, where it comes as code."""
    return source_of(source, trusting(name))


def trusting(name: str) -> Allowed:
    """Return the user's word that the code of a model may run."""
    where = real_name(name).rpartition(":")[0] if name == "a clone" else ""
    return Allowed(trusted=frozenset({where} - {""}))


def real_name(name: str) -> str:
    return made(name) if name in MADE else name


def frozen(source: str, name: str, seed: int | None = None) -> FrozenModel:
    modality = found(source, name).preprocess.modality
    return find_model(f"{source}:{real_name(name)}", modality, SIZES, seed, trusting(name))


@cache
def state(source: str, name: str) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    read: dict[str, np.ndarray] = loaded(source, name).state(found(source, name))  # type: ignore[type-arg]
    return read


def test_every_source_is_tested() -> None:
    assert set(CASES) == set(plugins.names("source"))


@pytest.mark.parametrize("source", CASES)
def test_a_source_is_a_final_class_of_its_name(source: str) -> None:
    one = plugins.load("source", source)
    assert isinstance(one, Source)
    assert one.name == source
    assert getattr(type(one), "__final__", False)
    assert set(one.names()) <= set(CASES[source])
    # itself, Source, ABC, object, and below Source what sources of graphs share
    assert len(inspect.getmro(type(one))) <= 5


@every_model
def test_a_description_is_whole(source: str, name: str) -> None:
    one = found(source, name)
    assert one.base == f"{source}:{real_name(name)}"
    assert one.licence
    assert one.revision
    assert one.weights.is_file()
    assert len(one.weights_digest) == 64
    assert one.architecture.count("/") == 1
    assert one.preprocess.modality in plugins.names("modality")
    assert all(path.is_file() for path in one.assets.values())
    json.dumps(plugins.load("source", source).own_files(one))
    assert found(source, name) == one


def test_describing_imports_no_framework() -> None:
    code = (
        "import sys\nfrom headstart.contracts import Allowed\nfrom headstart.model.trunk import source_of\n"
        "import json\nfor source, name, trusted in json.loads(sys.argv[1]):\n"
        "    source_of(source, Allowed(trusted=frozenset(trusted))).find(name)\n"
        "heavy = {'torch', 'timm', 'torchvision', 'transformers', 'keras'}\n"
        "heavy |= {'openvino', 'onnxruntime', 'onnx'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    for source, name in EVERY:
        found(source, name)  # what only the library knows of a name is learnt once on a machine
    # What a program has made itself is known to no other process.
    cases = [
        (source, real_name(name), list(trusting(name).trusted)) for source, name in EVERY if source != "own"
    ]
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(cases)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@every_model
def test_weights_fit_the_architecture_exactly(source: str, name: str) -> None:
    network = loaded(source, name).network(found(source, name))
    expected = {key: tuple(tensor.shape) for key, tensor in network.module.state_dict().items()}
    # torchvision counts batches in a tensor that some checkpoints lack; nothing else may be missing.
    assert {key: array.shape for key, array in state(source, name).items()} == expected
    for key, array in state(source, name).items():
        assert np.isfinite(array).all(), key


@every_model
def test_no_weight_is_left_as_drawn(source: str, name: str) -> None:
    network = loaded(source, name).network(found(source, name))
    drawn = {key: tensor.numpy() for key, tensor in network.module.state_dict().items()}
    for key, array in state(source, name).items():
        if key.endswith(MATRICES) and array.ndim > 1 and source != "own":  # made with its weights
            assert not np.array_equal(array, drawn[key]), key


@every_model
def test_every_block_has_an_output(source: str, name: str) -> None:
    import torch

    model = frozen(source, name)
    network = model.source.network(model.pretrained)
    assert len(set(network.blocks)) == len(network.blocks) > 3
    columns = model.columns()
    sample = [
        torch.from_numpy(array) for array in model.modality.sample(model.pretrained.preprocess).values()
    ]
    with torch.inference_mode():
        features_ND = model.module(*sample)
    assert features_ND.shape == (2, columns[-1].stop)
    assert features_ND.dtype == torch.float32
    assert {"last", "all"} <= set(model.modality.layer_sets(columns))
    assert all(columns for columns in model.modality.layer_sets(columns).values())


SMALL_MODELS = [("pack", "squeezenet1_1"), ("pack", "efficientnet-lite0"), ("pack", "minilm-l6")]
SMALL_MODELS += [("hf", "a picture folder"), ("timm", "a timm folder"), ("hub", "a clone")]
SMALL_MODELS += [("keras", "a Keras model")]


@pytest.mark.parametrize(("source", "name"), SMALL_MODELS)
def test_random_weights_are_drawn_from_the_seed_alone(source: str, name: str) -> None:
    import torch

    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = frozen(source, name, seed=0).state
    again = frozen(source, name, seed=0).state
    other = frozen(source, name, seed=1).state
    assert torch.equal(torch.get_rng_state(), before)
    pretrained = state(source, name)
    assert set(first) == set(pretrained)
    matrices = [key for key, array in first.items() if array.ndim > 1 and key.endswith(MATRICES)]
    assert matrices
    for key in matrices:
        np.testing.assert_array_equal(first[key], again[key])
        assert not np.array_equal(first[key], other[key]), key
        assert not np.array_equal(first[key], pretrained[key]), key


@every_model
def test_the_smallest_size_that_may_be_asked_for_works(source: str, name: str) -> None:
    text = found(source, name).preprocess.modality == "text"
    sizes = {"image_size": None, "max_length": 4} if text else {"image_size": 32, "max_length": None}
    modality = "text" if text else "picture"
    columns = find_model(f"{source}:{real_name(name)}", modality, sizes, None, trusting(name)).columns()
    assert columns[-1].stop > 0


@every_model
def test_the_key_names_the_function(source: str, name: str) -> None:
    # What makes an own model draws its weights itself, or not; a frozen graph has no weights but its own.
    seeds = (0, 1) if source != "own" and found(source, name).trains else ()
    keys = [frozen(source, name, seed).key for seed in (None, *seeds)]
    assert len(set(keys)) == 1 + len(seeds)
    assert frozen(source, name).key == keys[0]


@pytest.mark.parametrize("source", CASES)
@pytest.mark.parametrize("name", ["", "no-such-model", "../..", "a\0b", "/nowhere/at/all"])
def test_what_is_not_there_is_one_sentence(
    source: str, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError):
        plugins.load("source", source).find(name)
