"""From a file to what a library says of it: its own classifier on our features, under each engine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.datasets
from numpy.typing import NDArray
from PIL import Image

from headstart.api import own
from headstart.contracts import Allowed, Task
from headstart.core import plugins
from headstart.core.frameworks import prepare_torch
from headstart.model.batches import stacked
from headstart.model.keras.network import prepare_keras
from headstart.model.trunk import find_model
from tests.sources import keras_models
from tests.sources.hub_repository import clone, small_network

torch, keras = prepare_torch(), prepare_keras()

from torchvision.transforms import functional  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SIDE, WHOLE = 224, 256
"""A crop of 0.875 without rounding. Keras pads odd maps otherwise where it knows their size: none is here."""


@dataclass(frozen=True)
class Classified:
    """A model with its classifier as its library has it.

    ``said`` is what the whole of it says of pictures that are cut to size, uint8 [N, H, W, 3]; ``classifier``
    what its last layer makes of what it is given [N, C], which is the column ``reads``.
    """

    base: str
    reads: str
    said: Callable[[NDArray[Any]], NDArray[Any]]
    classifier: Callable[[NDArray[Any]], NDArray[Any]]


def of_torch(base: str) -> Classified:
    theirs = small_network().eval()

    def said(pixels_NHWC: NDArray[Any]) -> NDArray[Any]:
        normal = (pixels_NHWC / 255 - np.array(IMAGENET[0])) / np.array(IMAGENET[1])
        with torch.inference_mode():
            return np.asarray(theirs(torch.from_numpy(normal).permute(0, 3, 1, 2).float()))

    def classifier(features_NC: NDArray[Any]) -> NDArray[Any]:
        with torch.inference_mode():
            return np.asarray(theirs.fc(torch.from_numpy(features_NC)))

    return Classified(base, "mean/fc.input", said, classifier)


def of_keras(folder: Path) -> Classified:
    theirs = keras_models.drawn(
        keras.applications.MobileNetV2((SIDE, SIDE, 3), weights=None, classes=7, classifier_activation=None)
    )
    for one in theirs.weights:  # drawn as they are, hardly anything of a picture gets through
        if len(one.shape) == 4:
            one.assign(3 * one.value)
    file = keras_models.save(theirs, folder / "whole.weights.h5")
    prepared = keras.applications.mobilenet_v2.preprocess_input

    def said(pixels_NHWC: NDArray[Any]) -> NDArray[Any]:
        shown = torch.from_numpy(prepared(pixels_NHWC.astype(np.float32)))
        with torch.inference_mode():
            return np.asarray(theirs(shown, training=False).numpy())

    weight_CK, bias_K = (one.value.detach().numpy() for one in theirs.layers[-1].weights)
    return Classified(
        f"keras:MobileNetV2@{file}",
        "mean/out_relu",
        said,
        lambda features_NC: features_NC @ weight_CK + bias_K,
    )


@pytest.fixture(scope="module")
def classified(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Classified]:
    @cache
    def made(source: str) -> Classified:
        folder = tmp_path_factory.mktemp(source)
        if source == "keras":
            return of_keras(folder)
        return of_torch(
            f"hub:{clone(folder / 'clone')}:small_cnn" if source == "hub" else own("net", small_network)
        )

    return made


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Path]:
    folder = tmp_path_factory.mktemp("files")
    with Image.open(Path(sklearn.datasets.__file__).parent / "images" / "china.jpg") as china:
        wide = china.crop((0, 0, 634, 427))  # resized, what is cut away is even
        wide.save(folder / "wide.png")
        wide.transpose(Image.Transpose.ROTATE_90).save(folder / "high.png")
    return [folder / "wide.png", folder / "high.png"]


@pytest.mark.parametrize("engine", ["torch", "onnxruntime", "openvino"])
@pytest.mark.parametrize("source", ["keras", "hub", "own"])
def test_the_librarys_classifier_says_the_same(
    source: str, engine: str, classified: Callable[[str], Classified], files: Sequence[Path]
) -> None:
    one = classified(source)
    trusted = frozenset([one.base.partition(":")[2].rpartition(":")[0]])
    sizes = {"image_size": SIDE, "max_length": None}
    model = find_model(one.base, "picture", sizes, None, Allowed(trusted=trusted))
    task: Task = plugins.load("task", "image-classification")
    examples = list(task.inputs([str(file) for file in files]))
    read = [task.prepare(each, task.content(each), model.pretrained).inputs for each in examples]
    run = plugins.load("engine", engine).compile(model.trunk())
    rows_ND = run({name: stacked([each[name] for each in read]) for name in read[0]})
    (column,) = [each for each in model.columns() if each.name == one.reads]
    found_NK = one.classifier(rows_ND[:, column.start : column.stop])
    cut = [functional.center_crop(functional.resize(Image.open(file), WHOLE), [SIDE, SIDE]) for file in files]
    right_NK = one.said(np.stack([np.asarray(each) for each in cut]))
    np.testing.assert_allclose(found_NK, right_NK, atol=1e-4 * np.abs(right_NK).max())
    assert (
        np.abs(right_NK[0] - right_NK[1]).max() > 1e-3 * np.abs(right_NK).max()
    )  # ten times the tolerance: else anything would do
