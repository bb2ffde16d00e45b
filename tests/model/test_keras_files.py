"""Files that claim to be Keras': what is not a model of plain arrays and known layers is refused, unread."""

import copy
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from headstart.core.errors import UserError
from headstart.model.keras import files as keras_files
from headstart.model.keras.config import computing
from headstart.model.keras.cut import cuts, operations

LAYER: dict[str, Any] = {
    "module": "keras.layers",
    "class_name": "Conv2D",
    "config": {"name": "conv", "activation": "relu", "filters": 4},
    "registered_name": None,
}
MODEL: dict[str, Any] = {
    "module": "keras",
    "class_name": "Sequential",
    "config": {"name": "m", "layers": [LAYER]},
    "registered_name": None,
    "compile_config": {"optimizer": "adam", "loss": {"module": "os", "class_name": "system"}},
}


def with_layer(**changed: Any) -> dict[str, Any]:
    model = copy.deepcopy(MODEL)
    model["config"]["layers"].append({**copy.deepcopy(LAYER), **changed})
    return model


def test_what_only_training_needs_is_left_out() -> None:
    assert "compile_config" not in computing("keras:m.keras", MODEL)
    assert computing("keras:m.keras", with_layer())["config"]["layers"] == [LAYER, LAYER]


def nested(depth: int) -> Any:
    part: Any = {}
    for _ in range(depth):
        part = [part]
    return with_layer(config={"name": part})


CODE = {"class_name": "__lambda__", "config": {"code": "4wAAAAA="}}
ATTACKS = {
    "a lambda": with_layer(class_name="Lambda", config={"function": CODE}),
    "a lambda of an older file": with_layer(module=None, class_name="Lambda", config={"function": ["4wA="]}),
    "a lambda as an activation": with_layer(config={"name": "c", "activation": CODE}),
    "a torch module": with_layer(class_name="TorchModuleWrapper", config={"module": "gASV"}),
    "a TensorFlow layer": with_layer(class_name="TFSMLayer", config={"filepath": "/tmp/x"}),
    "a JAX layer": with_layer(class_name="JaxLayer"),
    "a vocabulary file": with_layer(class_name="StringLookup", config={"vocabulary": "/etc/passwd"}),
    "a text vectoriser": with_layer(class_name="TextVectorization", config={"vocabulary": "/etc/passwd"}),
    "a module of Python's": with_layer(module="os", class_name="system", config="true"),
    "a function of Python's": with_layer(module="builtins", class_name="function", config="eval"),
    "a function of Keras'": with_layer(module="keras.utils", class_name="get_file"),
    "Keras' loader": with_layer(module="keras.models", class_name="load_model"),
    "Keras' unsafe switch": with_layer(module="keras.config", class_name="enable_unsafe_deserialization"),
    "a module inside Keras": with_layer(module="keras.src.utils.file_utils", class_name="get_file"),
    "a private operation": with_layer(module="keras.src.ops.numpy", class_name="__builtins__"),
    "an operation that calls": with_layer(module="keras.src.ops.core", class_name="Map"),
    "another package": with_layer(module="evil", class_name="Conv2D"),
    "a package like Keras": with_layer(module="keras_evil.layers", class_name="Conv2D"),
    "a layer registered elsewhere": with_layer(registered_name="mine>Conv2D"),
    "a custom activation": with_layer(config={"name": "c", "activation": "mine>steal"}),
    "a class that is no text": with_layer(class_name={"a": 1}),
    "a module without a class": with_layer(config={"name": "c", "inner": {"module": "os", "fn": "system"}}),
    "a type of another library": with_layer(config={"shape": {"class_name": "__typespec__"}}),
    "a class where a number belongs": with_layer(config={"kernel": {"module": "os", "class_name": "system"}}),
    "depth": nested(10_000),
    "no model": {"class_name": "Conv2D", "config": {}},
    "a list": [MODEL],
    "nothing": None,
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_descriptions_that_name_more_than_layers_are_refused(attack: str) -> None:
    with pytest.raises(UserError, match=r"layers that only compute"):
        computing("keras:m.keras", ATTACKS[attack])


def archive(
    file: Path, config: Any = MODEL, more: Callable[[zipfile.ZipFile], None] = lambda _: None
) -> Path:
    weights = file.with_suffix(".tmp.h5")
    with h5py.File(weights, "w") as content:
        content["layers/conv2d/vars/0"] = np.ones((3, 3, 3, 4), np.float32)
    with zipfile.ZipFile(file, "w") as held:
        held.writestr("metadata.json", "{}")
        held.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
        held.write(weights, "model.weights.h5")
        more(held)
    return file


def bomb(held: zipfile.ZipFile) -> None:
    held.writestr("assets/x", b"\0" * (200 << 20), zipfile.ZIP_DEFLATED)


ARCHIVES: dict[str, Callable[[Path], Path]] = {
    "a climbing name": lambda file: archive(file, more=lambda held: held.writestr("../evil", "x")),
    "an absolute name": lambda file: archive(file, more=lambda held: held.writestr("/tmp/evil", "x")),
    "assets": lambda file: archive(file, more=lambda held: held.writestr("assets/vocabulary.txt", "x")),
    "a bomb": lambda file: archive(file, more=bomb),
    "damaged JSON": lambda file: archive(file, "{" * 50),
    "deep JSON": lambda file: archive(file, "[" * 100_000),
    "a lambda": lambda file: archive(file, ATTACKS["a lambda"]),
    "a pickle": lambda file: (file.write_bytes(b"\x80\x04cos\nsystem\n."), file)[1],
    "nothing": lambda file: (file.write_bytes(b""), file)[1],
}


@pytest.mark.parametrize("attack", ARCHIVES)
def test_archives_that_hold_more_than_a_model_are_refused(attack: str, tmp_path: Path) -> None:
    file = ARCHIVES[attack](tmp_path / "m.keras")
    with pytest.raises(UserError):
        keras_files.described("keras:m.keras", file)
    assert not list(tmp_path.parent.glob("evil"))


def test_a_member_twice_is_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        file = archive(tmp_path / "m.keras", more=lambda held: held.writestr("config.json", "{}"))
    with pytest.raises(UserError, match="names a member twice"):
        keras_files.described("keras:m.keras", file)


def test_a_whole_archive_is_read(tmp_path: Path) -> None:
    file = archive(tmp_path / "m.keras")
    assert keras_files.described("keras:m.keras", file)["class_name"] == "Sequential"
    weights = keras_files.plain_weights("keras:m.keras", file, tmp_path)
    assert weights.name.endswith(".weights.h5")
    ((_, (kernel,)),) = keras_files.layers(weights)
    assert kernel.shape == (3, 3, 3, 4)


def _external_link(content: Any, secret: Path) -> None:
    content["a/vars/0"] = h5py.ExternalLink(str(secret), "/x")


def _soft_link(content: Any, secret: Path) -> None:
    content["a/vars/0"] = h5py.SoftLink("/elsewhere")


def _external_storage(content: Any, secret: Path) -> None:
    content.create_dataset("a/vars/0", (4,), "u1", external=[(str(secret), 0, 4)])


def _virtual(content: Any, secret: Path) -> None:
    layout = h5py.VirtualLayout((4,), "u1")
    layout[:] = h5py.VirtualSource(str(secret), "x", (4,))
    content.create_virtual_dataset("a/vars/0", layout)


def _texts(content: Any, secret: Path) -> None:
    content.create_dataset("a/vars/0", data=[b"code"], dtype=h5py.string_dtype())


def _references(content: Any, secret: Path) -> None:
    content.create_dataset("a/vars/0", (1,), h5py.ref_dtype)


def _opaque(content: Any, secret: Path) -> None:
    content["a/vars/0"] = np.void(b"\x80\x04.")


def _compound(content: Any, secret: Path) -> None:
    content["a/vars/0"] = np.zeros(2, [("a", "f4"), ("b", "i4")])


def _loop(content: Any, secret: Path) -> None:
    content.create_group("a/vars")
    content["a/vars/again"] = content["a"]


def _bomb(content: Any, secret: Path) -> None:
    content.create_dataset("a/vars/0", (1 << 40,), "f4", chunks=(1 << 20,), compression="gzip")


def _type(content: Any, secret: Path) -> None:
    content["a/vars/0"] = np.dtype("f4")


@pytest.mark.parametrize(
    "attack",
    [
        *(_external_link, _soft_link, _external_storage, _virtual, _texts, _references, _opaque),
        *(_compound, _loop, _bomb, _type),
    ],
)
def test_hdf5_that_holds_more_than_arrays_is_refused(attack: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"root")
    with h5py.File(tmp_path / "w.h5", "w") as content:
        content["plain/vars/0"] = np.ones(3, np.float32)
        attack(content, tmp_path / "secret")
    with pytest.raises(UserError, match="expected an HDF5 file of plain arrays"):
        keras_files.plain_weights("keras:VGG16@w.h5", tmp_path / "w.h5", tmp_path)


@pytest.mark.parametrize("keep", [0, 8, 100, 700])
def test_damaged_hdf5_is_refused(keep: int, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "whole.h5", "w") as content:
        content["plain/vars/0"] = np.ones(300, np.float32)
    (tmp_path / "w.h5").write_bytes((tmp_path / "whole.h5").read_bytes()[:keep])
    with pytest.raises(UserError, match="is damaged"):
        keras_files.plain_weights("keras:VGG16@w.h5", tmp_path / "w.h5", tmp_path)


def test_long_lists_of_names_are_read_in_their_parts(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as content:
        root = content.create_group("model_weights")
        root.attrs["layer_names0"], root.attrs["layer_names1"] = [b"one"], [b"two"]
        for name in ("one", "two"):
            root.create_group(name).attrs["weight_names"] = [f"{name}/kernel".encode()]
            root[name][f"{name}/kernel"] = np.full(2, len(name), np.float32)
    weights = keras_files.plain_weights("keras:VGG16@w.h5", tmp_path / "w.h5", tmp_path)
    assert weights.name == "weights.h5"
    assert [name for name, _ in keras_files.layers(weights)] == ["one", "two"]


def functional(*edges: tuple[str, str, str]) -> dict[str, Any]:
    """Return the description of a graph of (name, kind, names of what it takes)."""
    layers = []
    for name, kind, takes in edges:
        args = [{"class_name": "__keras_tensor__", "config": {"keras_history": [one, 0, 0]}} for one in takes]
        node = [{"args": args, "kwargs": {}}] if takes else []
        layers.append({"name": name, "class_name": kind, "config": {"name": name}, "inbound_nodes": node})
    inner = {"layers": layers, "input_layers": ["i", 0, 0], "output_layers": [[edges[-1][0], 0, 0]]}
    return {"class_name": "Functional", "config": inner}


def test_blocks_end_where_all_that_follows_depends_on_one_tensor() -> None:
    graph = functional(
        ("i", "InputLayer", ""), ("a", "Conv2D", "i"), ("b", "BatchNormalization", "a"),
        ("c", "Conv2D", "b"), ("d", "Conv2D", "c"), ("e", "Add", "bd"), ("f", "ReLU", "e"),
        ("g", "ZeroPadding2D", "f"), ("h", "DepthwiseConv2D", "g"), ("j", "Conv2D", "h"), ("k", "ReLU", "j"),
        ("l", "MaxPooling2D", "k"), ("m", "Dropout", "l"),
    )  # fmt: skip
    assert cuts(operations(graph)) == ["b", "f", "k", "m"]


def test_what_only_grows_is_one_block() -> None:
    graph = functional(
        ("i", "InputLayer", ""), ("a", "Conv2D", "i"), ("b", "Conv2D", "a"), ("c", "Concatenate", "ab"),
        ("d", "Conv2D", "c"), ("e", "Concatenate", "cd"), ("f", "Conv2D", "e"), ("g", "Concatenate", "ef"),
        ("h", "AveragePooling2D", "g"),
    )  # fmt: skip
    assert cuts(operations(graph)) == ["a", "g", "h"]
