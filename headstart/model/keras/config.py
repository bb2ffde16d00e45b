"""Keras' description of a model, the JSON of ``to_json``: what it may name, and how it is read as a graph.

A description can name any class and function, so whoever writes one would choose what runs. Only Keras' own
layers that compute are let through: no Lambda, nothing that calls Python, reads files or wraps a library.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from headstart.core.errors import UserError

Config = Mapping[str, Any]
CONFIG = "config.json"
"""What Keras' own description of a model is called among its assets."""

_DEEPEST, _MOST = 60, 1_000_000
_CONVOLUTIONS = ("Conv2D", "Conv2DTranspose", "DepthwiseConv2D", "SeparableConv2D", "Dense", "EinsumDense")
_NORMALISING = (
    *("BatchNormalization", "GroupNormalization", "LayerNormalization", "RMSNormalization"),
    *("UnitNormalization", "Normalization", "Rescaling", "LayerScale", "CustomScaleLayer"),
)
_DRAWING = (  # what these do in training is nothing where a model only looks
    *("Dropout", "AlphaDropout", "GaussianDropout", "GaussianNoise", "SpatialDropout2D", "StochasticDepth"),
    *("RandomBrightness", "RandomContrast", "RandomCrop", "RandomFlip", "RandomHeight", "RandomRotation"),
    *("RandomTranslation", "RandomWidth", "RandomZoom", "ActivityRegularization"),
)
_ACTIVATIONS = ("Activation", "ELU", "LeakyReLU", "PReLU", "ReLU", "Softmax", "Identity")
_MERGING = ("Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract")
_SHAPING = (
    *("AveragePooling2D", "MaxPooling2D", "GlobalAveragePooling2D", "GlobalMaxPooling2D", "Flatten"),
    *("AdaptiveAveragePooling2D", "AdaptiveMaxPooling2D", "Permute", "Reshape", "RepeatVector"),
    *("Cropping2D", "UpSampling2D", "ZeroPadding2D", "Resizing", "CenterCrop", "InputLayer"),
)
_ATTENDING = ("Attention", "AdditiveAttention", "MultiHeadAttention", "GroupedQueryAttention")
MODELS = frozenset({"Functional", "Model", "Sequential"})
"""What models are called where a description names one."""
_LAYERS = frozenset(
    (*_CONVOLUTIONS, *_NORMALISING, *_DRAWING, *_ACTIVATIONS, *_MERGING, *_SHAPING, *_ATTENDING)
)
_OPERATIONS = frozenset({"keras.src.ops.numpy", "keras.src.ops.nn", "keras.src.ops.math"})
_APPLICATIONS = "keras.src.applications."
_NUMBERS = frozenset({"keras.initializers", "keras.regularizers", "keras.constraints", "keras"})
_NUMBER_NAMES = frozenset(
    (
        *("Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity", "LecunNormal"),
        *("LecunUniform", "Ones", "Orthogonal", "RandomNormal", "RandomUniform", "TruncatedNormal"),
        *("VarianceScaling", "Zeros", "L1", "L1L2", "L2", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"),
        *("DTypePolicy", "Policy"),
    )
)
_MARKERS = frozenset({"__keras_tensor__", "__tuple__", "__ellipsis__", "__slice__", "__numpy__", "__bool__"})
_ACTIVATION_NAMES = frozenset(
    (
        *(
            "celu",
            "elu",
            "exponential",
            "gelu",
            "glu",
            "hard_sigmoid",
            "hard_silu",
            "hard_swish",
            "hard_tanh",
        ),
        *(
            "leaky_relu",
            "linear",
            "log_sigmoid",
            "mish",
            "relu",
            "relu6",
            "selu",
            "sigmoid",
            "silu",
            "softmax",
        ),
        *("softplus", "softsign", "swish", "tanh", "sparse_plus", "squareplus", "soft_shrink"),
    )
)


def computing(base: str, config: Any) -> dict[str, Any]:
    """Return a description without what only training needs.

    Raises UserError where it names anything but layers that Keras has and that only compute.
    """
    try:
        cleaned: Any = _untrained(config, 0)
        found = sorted(set(_refused(cleaned)))
    except ValueError as error:
        cleaned, found = {}, [str(error)]
    if not isinstance(cleaned, dict) or cleaned.get("class_name") not in MODELS:
        found.append("describes no model")
    if found:
        raise UserError(
            f"{base} {found[0]}",
            "a model of Keras' own layers that only compute",
            "save it without that: nothing of a file's choosing is run",
        )
    kept: dict[str, Any] = cleaned
    return kept


def _untrained(part: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        raise ValueError(f"is nested more than {_DEEPEST} deep")
    if isinstance(part, Mapping):
        kept = {key: value for key, value in part.items() if key not in ("compile_config", "build_config")}
        return {key: _untrained(value, depth + 1) for key, value in kept.items()}
    return [_untrained(value, depth + 1) for value in part] if isinstance(part, list) else part


def _refused(config: Any) -> Iterator[str]:
    """Yield a reason for each thing named that may not be."""
    waiting = [config]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Mapping):
            yield from _named(part)
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def _named(part: Config) -> Iterator[str]:
    name, module = part.get("class_name"), part.get("module")
    if "class_name" not in part:
        if module is not None:
            yield f"names the module {module!r}"
    elif not isinstance(name, str) or not isinstance(module, str | None):
        yield f"names a class by {name!r}"
    elif not _may(name, module, part):
        yield f"holds {name if module is None else f'{module}.{name}'}"
    registered = part.get("registered_name")
    if isinstance(registered, str) and ">" in registered:
        yield f"holds {registered}"
    activation = part.get("activation")
    if isinstance(activation, str) and activation not in _ACTIVATION_NAMES:
        yield f"calls {activation!r} an activation"


def _may(name: str, module: str | None, part: Config) -> bool:
    """Say whether a description may name a class of a module; older files name no module."""
    if module is None:
        return name in _LAYERS | MODELS | _MARKERS | _NUMBER_NAMES
    if module == "builtins":
        return name == "function" and part.get("config") in _ACTIVATION_NAMES
    if module in _NUMBERS and name in _NUMBER_NAMES:
        return True
    if module == "keras" or module.startswith("keras.src.models."):
        return name in MODELS
    if module == "keras.layers" or module.startswith((_APPLICATIONS, "keras.src.layers.")):
        return name in _LAYERS
    return module in _OPERATIONS and name.isidentifier() and name[0].isupper()


def relaxed(config: Config) -> dict[str, Any]:
    """Return a description that takes pictures of any size, where its layers allow that."""

    def opened(part: Any) -> Any:
        if isinstance(part, list):
            return [opened(value) for value in part]
        if not isinstance(part, Mapping):
            return part
        kept = {key: opened(value) for key, value in part.items() if key != "build_input_shape"}
        for key in ("batch_shape", "batch_input_shape"):
            if isinstance(kept.get(key), list) and len(kept[key]) == 4:
                kept[key] = [None, None, None, kept[key][3]]
        return kept

    found: dict[str, Any] = opened(config)
    return found
