"""Small Keras models, and applications of Keras, with every weight drawn."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from headstart.model.keras.network import application, prepare_keras
from headstart.model.keras.reading import without_tensorflow


def drawn(model: Any, seed: int = 5) -> Any:
    """Draw what Keras starts at zeros or ones: biases, scales, means and variances."""
    random = np.random.default_rng(seed)
    for one in model.weights:
        if len(one.shape) == 1:
            low, high = (0.5, 1.5) if one.name.endswith(("variance", "gamma")) else (-0.1, 0.1)
            one.assign(random.uniform(low, high, one.shape))
    return model


def small(size: int | None = 48, begin: str = "rescaling", top: str = "pooled") -> Any:
    """Return a classifier of five classes: convolutions, a residual block, a depthwise separable one."""
    keras = prepare_keras()
    layers = keras.layers
    inputs = keras.Input((size, size, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(inputs) if begin == "rescaling" else inputs
    x = layers.Conv2D(8, 3, 2, padding="same", activation="relu")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Conv2D(12, 3, padding="same", activation="relu")(x)
    branch = layers.Conv2D(12, 3, padding="same")(x)
    branch = layers.Activation("relu")(layers.BatchNormalization()(branch))
    x = layers.Add()([x, branch])
    x = layers.MaxPooling2D()(x)
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.Conv2D(16, 1, activation="relu")(x)
    x = layers.GlobalAveragePooling2D()(x) if top == "pooled" else layers.Flatten()(x)
    x = layers.Dropout(0.5)(x)
    return drawn(keras.Model(inputs, layers.Dense(5, activation="softmax")(x)))


def made(name: str) -> Any:
    """Return an application without its classifier."""
    return drawn(application(name))


def save(model: Any, file: Path) -> Path:
    """Save a whole model, or its weights alone, as the file's name says."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with without_tensorflow(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras asks torch for arrays in NumPy's old way
        if file.name.endswith(".weights.h5"):
            model.save_weights(file)
        else:
            model.save(file)
    return file
