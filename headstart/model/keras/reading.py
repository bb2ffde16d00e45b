"""What Keras says of an application or a saved model, without its classifier; run in a child process.

Weights are written as safetensors, under the names that the description gives them.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from headstart.core.errors import UserError
from headstart.model.keras import files as keras_files
from headstart.model.keras import weights as keras_weights
from headstart.model.keras.config import MODELS, Config, computing, relaxed
from headstart.model.keras.cut import WORKING, operations
from headstart.model.keras.network import application, built, layers_of, named_weights, prepare_keras

_COLOURS = np.concatenate([np.zeros((1, 3)), 255 * np.eye(3)]).astype(np.float32)
_SIDE = 224
_UNTOUCHED = ("InputLayer", "ZeroPadding", "Random", "Resizing", "CenterCrop", "Cropping")
_CLASSIFYING = ("Dense", "Activation", "Softmax", "Dropout")


def described(
    base: str, name: str | None = None, file: str | None = None, target: str | None = None
) -> dict[str, Any]:
    """Describe the application called ``name``, or else the model in ``file``; write weights to ``target``.

    What comes back: Keras' JSON of the trunk (``config``), what black, red, green and blue become before it
    (``prepared``), a side in px (``size``) and, where it takes no other, the same again (``made_for``), what
    was assumed (``adapted``), and where published weights lie (``published``).
    """
    if name is not None:
        whole = trunk = application(name)
        told = {"prepared": _prepared(name), "published": {} if file else _published(name), "adapted": []}
    else:
        whole = built(keras_files.described(base, Path(str(file))))
        _check_input(base, whole)
        trunk = _without_classifier(whole, _json(whole))
        told = {**_likely(base, trunk, computing(base, _json(trunk))), "published": {}}
    config = computing(base, _json(trunk))
    if target is not None:
        keras_weights.load(base, whole, name, Path(str(file)))
        keras_weights.write(trunk, Path(target))
    opened, side = _any_size(trunk, config), whole.inputs[0].shape[1]
    return {**told, "config": opened, "size": side or _SIDE, "made_for": side if opened is config else None}


def _check_input(base: str, model: Any) -> None:
    """Raise UserError for a model that does not take one square RGB picture."""
    shapes = [tuple(one.shape) for one in model.inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][3] != 3 or shapes[0][1] != shapes[0][2]:
        raise UserError(
            f"{base} takes inputs of the shape {', '.join(map(str, shapes))}",
            "a model of square RGB pictures, channels last",
            "choose another --base",
        )


def _likely(base: str, model: Any, config: Config) -> dict[str, Any]:
    """Return how a saved model's pictures are prepared, as far as it tells.

    By itself, where it begins with arithmetic; else as the application inside has it; else 0 to 1 is assumed.
    """
    kinds = _beginning(config)
    if any(not kind.startswith(_UNTOUCHED) for kind in kinds):
        return {"prepared": _COLOURS.tolist(), "adapted": []}
    known = {_letters(one): one for one in vars(prepare_keras().applications) if one[0].isupper()}
    names = [_letters(one.name) for one in (model, *model.layers)]
    found = [
        one for one in sorted(known, key=len, reverse=True) if any(name.startswith(one) for name in names)
    ]
    if found:
        told = f"{base} does not say how its pictures are prepared: as {known[found[0]]}'s"
        return {"prepared": _prepared(known[found[0]]), "adapted": [told]}
    told = f"{base} does not say how its pictures are prepared: taken to be scaled to 0 ... 1"
    return {"prepared": (_COLOURS / 255).tolist(), "adapted": [told]}


def _beginning(config: Config) -> list[str]:
    """Return the kinds of operations before the first that works, looking into models inside."""
    kinds: list[str] = []
    layers = {layer["config"]["name"]: layer for layer in config["config"]["layers"]}
    for one in operations(config):
        if one.kind in MODELS:
            return kinds + _beginning(layers[one.name])
        if one.kind.startswith(WORKING):
            break
        kinds.append(one.kind)
    return kinds


def _letters(name: str) -> str:
    return "".join(one for one in name.lower() if one.isalnum())


@contextmanager
def without_tensorflow() -> Iterator[None]:
    """Keep Keras from importing TensorFlow, where that is installed, to write JSON: it takes seconds."""
    before = sys.modules.get("tensorflow")
    sys.modules["tensorflow"] = None  # type: ignore[assignment]  # what makes an import fail
    try:
        yield
    finally:
        sys.modules.pop("tensorflow")
        if before is not None:
            sys.modules["tensorflow"] = before


def _json(model: Any) -> Any:
    with without_tensorflow():
        return json.loads(model.to_json())


def _prepared(name: str) -> list[list[float]]:
    """Return what the application's own ``preprocess_input`` makes of black, and of each colour alone."""
    applications = vars(prepare_keras().applications)
    module = applications[applications[name].__module__.rpartition(".")[2]]
    found: list[Any] = module.preprocess_input(_COLOURS.reshape(1, 2, 2, 3).copy())[0].tolist()
    return [colour for row in found for colour in row]


def _published(name: str) -> dict[str, str]:
    """Return the file, address and hash of an application's weights, as it asks for them."""
    from keras.src.utils import file_utils

    asked: dict[str, str] = {}

    class Asked(Exception):
        pass

    def note(fname: str, origin: str, **said: Any) -> None:
        asked.update(file=fname, address=origin, hash=said.get("file_hash") or "")
        raise Asked

    before, file_utils.get_file = file_utils.get_file, note
    try:
        application(name, weights="imagenet")
    except Asked:
        pass
    finally:
        file_utils.get_file = before
    return asked


def _without_classifier(model: Any, config: Config) -> Any:
    """Return the model up to what its classifier reads: all of it, where no dense layer is the last."""
    listed = {one.name: one for one in operations(config)}
    layers = layers_of(model)
    last = next(reversed(listed.values()))
    while last.kind in _CLASSIFYING and len(last.takes) == 1 and last.once:
        before = listed[last.takes[0]]
        if last.kind == "Dense":
            while before.kind == "Dropout" and len(before.takes) == 1:
                before = listed[before.takes[0]]
            return prepare_keras().Model(model.inputs, layers[before.name].output, name=model.name)
        last = before
    return model


def _any_size(model: Any, config: Config) -> Config:
    """Return the description for pictures of any size, where the model has the same weights at any."""
    opened = relaxed(config)
    if opened == config:
        return opened
    try:
        shapes = [tuple(one.shape) for one in named_weights(built(opened)).values()]
    except (ValueError, TypeError, RuntimeError):
        return config
    return opened if shapes == [tuple(one.shape) for one in named_weights(model).values()] else config
