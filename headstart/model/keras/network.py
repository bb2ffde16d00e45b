"""Keras models as networks: Keras 3 builds and runs them on torch, cut into blocks that follow each other.

Shape letters: N pictures, H W sides, C channels.
"""

import copy
import os
import random
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import Any, final

import torch
from torch import Tensor, nn

from headstart.contracts import Pretrained
from headstart.core.errors import UserError
from headstart.core.files import read_json
from headstart.core.foreign import reason_of
from headstart.core.frameworks import prepare_torch
from headstart.model.keras.config import CONFIG, MODELS, Config, computing
from headstart.model.keras.cut import cuts, operations
from headstart.model.picture_network import PictureNetwork, size_of

_UNNAMED = re.compile(r"variable(_\d+)?$")
_REFUSALS = (ValueError, TypeError, RuntimeError, LookupError, AttributeError, NotImplementedError)


@cache
def prepare_keras() -> Any:
    """Import Keras on its torch backend and return it.

    Raises UserError where it is not installed, or is in use with another backend.
    """
    prepare_torch()
    if find_spec("keras") is None:
        raise UserError("Keras is not installed", "keras", "run: pip install keras h5py")
    said = {"KERAS_BACKEND": "torch", "KERAS_TORCH_DEVICE": "cpu"}
    before = {name: os.environ.get(name) for name in said}
    if "keras" not in sys.modules:
        os.environ.update(said)
    try:
        import keras
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
    if keras.config.backend() != "torch":
        raise UserError(
            f"Keras is in use with {keras.config.backend()} here",
            "its torch backend",
            "set KERAS_BACKEND=torch before anything imports keras",
        )
    return keras


def network(pretrained: Pretrained) -> PictureNetwork:
    """Build a model with random weights. Raises UserError where Keras can't, or for a size it can't take."""
    described = read_json(pretrained.assets[CONFIG], "a model as Keras describes it")
    config = computing(pretrained.base, described)
    try:
        module = Blocks(config)
    except _REFUSALS as error:
        raise UserError(
            f"Keras {prepare_keras().__version__} cannot make {pretrained.base} ({reason_of(error)})",
            "a model that it knows, with one input and one output",
            "check name and file",
        ) from error
    return PictureNetwork(pretrained.base, module, _outputs, size_of(pretrained))


def _outputs(module: Any, pixels_NCHW: Tensor) -> list[tuple[str, Tensor]]:
    """Return every block's map as [N, C, H, W], or vector [N, C], by the name of its last layer."""
    x, found = pixels_NCHW.permute(0, 2, 3, 1), []
    for name, block in zip(module.names, module.blocks, strict=True):
        x = block(x)
        found.append((name, x.permute(0, 3, 1, 2) if x.ndim == 4 else x))
    return found


@final
class Blocks(nn.Module):
    """A Keras model as a chain of parts of it; all its weights are this module's own parameters.

    Keras' layers run as they do when Keras predicts: no dropout, and batch normalisation by the means that
    it was trained with.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self._config = config
        model = built(config)
        parts = chain(model, config)
        self.names = tuple(name for name, _ in parts)
        self.blocks = nn.ModuleList(_Block(inner) for _, inner in parts)
        for name, variable in named_weights(model).items():
            self.register_parameter(name, variable.value)

    def forward(self, x_NHWC: Tensor) -> Tensor:
        """Return the last block's output for pixels [N, H, W, C]."""
        for block in self.blocks:
            x_NHWC = block(x_NHWC)
        return x_NHWC

    def __deepcopy__(self, memo: dict[int, Any]) -> "Blocks":
        """Build it once more: a copy by way of Keras would have parameters that are not this module's."""
        other = Blocks(self._config)
        other.load_state_dict(self.state_dict())
        for name, one in self.named_parameters():
            other.get_parameter(name).requires_grad_(one.requires_grad)
        return other.train(self.training)


@final
class _Block(nn.Module):
    """Keras models that follow each other, hidden from torch: their weights belong to the whole."""

    def __init__(self, parts: Sequence[Any]) -> None:
        super().__init__()
        self._parts = tuple(parts)

    def forward(self, x: Tensor) -> Tensor:
        """Run the models on the device where their input is."""
        with prepare_keras().device(str(x.device)):
            for part in self._parts:
                x = part(x, training=False)
        return x


def built(config: Config) -> Any:
    """Return the Keras model of a description, its weights drawn from torch's random state alone."""
    keras = prepare_keras()
    with keras.device("cpu"), _seeded(int(torch.randint(2**31, (1,)))):
        if "module" not in config:  # of an HDF5 file
            from keras.src.legacy.saving import saving_utils

            return saving_utils.model_from_config(copy.deepcopy(dict(config)))
        return keras.saving.deserialize_keras_object(copy.deepcopy(dict(config)), safe_mode=True)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Let Keras, which asks Python for seeds, draw from this one; Python's own state stays as it is."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)


def application(name: str, **options: Any) -> Any:
    """Build an application without its classifier. Raises UserError where Keras has none of the name."""
    keras = prepare_keras()
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    known = [one for one in vars(keras.applications) if one[0].isupper()]
    if name not in known:
        raise UserError(
            f"Keras {keras.__version__} has no application called {name}", ", ".join(known), "choose another"
        )
    return getattr(keras.applications, name)(**{"weights": None, "include_top": False, **options})


def layers_of(model: Any) -> dict[str, Any]:
    """Return a model's layers and operations by name."""
    sequential = isinstance(model, prepare_keras().Sequential)
    return {one.name: one for one in (model.layers if sequential else model.operations)}


def named_weights(model: Any, prefix: str = "") -> dict[str, Any]:
    """Return a model's variables as LAYER/VARIABLE, those of models inside as MODEL/LAYER/VARIABLE.

    Keras' own paths depend on what else a process has made; where names repeat, they are numbered.
    """
    found: dict[str, Any] = {}
    for layer in model.layers:
        path = f"{prefix}{layer.name}/".replace(".", "_")
        if isinstance(layer, prepare_keras().Model):
            found |= named_weights(layer, path)
            continue
        for variable in layer.weights:
            own = _UNNAMED.sub("variable", variable.path.rpartition(f"{layer.name}/")[2].replace(".", "_"))
            name, number = path + own, 1
            while name in found:
                number += 1
                name = f"{path}{own}#{number}"
            found[name] = variable
    return found


def chain(model: Any, config: Config, prefix: str = "") -> list[tuple[str, list[Any]]]:
    """Return the parts of a model in order, each of Keras models in order, by the name of its last layer.

    A model inside is cut further. Raises ValueError where it has several inputs or outputs.
    """
    part_of = prepare_keras().Model
    listed = operations(config)
    layers, configs = layers_of(model), _layer_configs(config)
    before, start, found = model.inputs[0], 0, []
    ends = set(cuts(listed))
    for index, one in enumerate(listed):
        if one.name not in ends:
            continue
        inside = [other for other in listed[start : index + 1] if other.kind != "InputLayer"]
        after = _output(layers[one.name])
        if one.kind in MODELS and all(other.kind not in MODELS for other in inside[:-1]):
            inner = chain(layers[one.name], configs[one.name], f"{prefix}{one.name}/")
            if len(inside) > 1:
                inner[0][1].insert(0, part_of(before, _output(layers[inside[-2].name])))
            found += inner
        else:
            found.append((f"{prefix}{one.name}", [part_of(before, after)]))
        before, start = after, index + 1
    return found


def _output(layer: Any) -> Any:
    """Return what an operation gives in its model: a model inside has another ``output``, its own end."""
    inside = isinstance(layer, prepare_keras().Model)
    return layer._inbound_nodes[0].outputs[0] if inside else layer.output


def _layer_configs(config: Config) -> Mapping[str, Config]:
    layers: Sequence[Config] = config["config"]["layers"]
    return {layer["config"]["name"]: layer for layer in layers}
