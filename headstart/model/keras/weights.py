"""The weights of Keras' files, loaded into a model and written as safetensors; run in a child process."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from headstart.contracts import Array
from headstart.core.errors import UserError
from headstart.core.files import write_bytes
from headstart.core.foreign import reason_of
from headstart.model.keras import files as keras_files
from headstart.model.keras.network import application, named_weights, prepare_keras


def load(base: str, model: Any, name: str | None, file: Path) -> None:
    """Load a file's weights: as Keras does, or else layer by layer by their names.

    A weight that is left out is found out: all of them are made not a number first.
    """
    with tempfile.TemporaryDirectory() as folder:
        weights = keras_files.plain_weights(base, file, Path(folder))
        reasons = []
        for way in (_as_keras, _with_classifier, _by_names):
            for one in model.weights:
                if "float" in one.dtype:
                    one.assign(np.full(one.shape, np.nan, one.dtype))
            try:
                way(model, name, weights)
            except (ValueError, KeyError, TypeError, RuntimeError, IndexError, AttributeError) as error:
                reasons.append(reason_of(error))
                continue
            missing = [key for key, one in named_weights(model).items() if not _is_there(one)]
            if not missing:
                return
            reasons.append(f"{missing[0]} is not in it")
    raise UserError(
        f"the weights of {base} do not fit ({reasons[-1]})",
        "weights of that model",
        "check name and file",
    )


def _is_there(variable: Any) -> bool:
    return bool(np.isfinite(variable.numpy()).all())


def _as_keras(model: Any, name: str | None, weights: Path) -> None:
    """Let Keras load all of the model's weights, by the order of its layers."""
    model.load_weights(weights)


def _by_names(model: Any, name: str | None, weights: Path) -> None:
    """Give each layer what the file has under the layer's name."""
    found = dict(keras_files.layers(weights))
    for layer in _weighted(model):
        if layer.name not in found:
            raise ValueError(f"it has no layer called {layer.name}")
        layer.set_weights(found[layer.name])


def _with_classifier(model: Any, name: str | None, weights: Path) -> None:
    """Read the weights of an application with its classifier, of which all but that is wanted."""
    if name is None or weights.name != keras_files.OLDER:  # Keras 3's own layout needs no such help
        raise ValueError("it is no application's")
    classes = [arrays[-1] for _, arrays in keras_files.layers(weights) if arrays][-1].shape[0]
    whole = application(name, include_top=True, classes=classes, classifier_activation=None)
    whole.load_weights(weights)
    for own, other in zip(_weighted(model), _weighted(whole), strict=False):
        own.set_weights(other.get_weights())


def _weighted(model: Any) -> Iterator[Any]:
    """Yield the layers that hold weights, those of models inside in their place."""
    for layer in model.layers:
        if isinstance(layer, prepare_keras().Model):
            yield from _weighted(layer)
        elif layer.weights:
            yield layer


def write(model: Any, target: Path) -> None:
    """Write a model's weights as safetensors, by their paths."""
    named: Mapping[str, Array] = {
        name: np.ascontiguousarray(one.numpy()) for name, one in named_weights(model).items()
    }
    write_bytes(target, save(dict(named)))
