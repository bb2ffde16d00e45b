"""The labels that a model was trained to give, read off its features: exactly its own, or none."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from headstart.core.frameworks import prepare_torch
from headstart.model.source_labels import source_probabilities
from headstart.model.trunk import FrozenModel, find_model

torch = prepare_torch()
SIZES = {"image_size": 64, "max_length": None, "target_length": None, "tiles": None}


def model(base: str, kind: str = "picture") -> FrozenModel:
    sizes = SIZES if kind == "picture" else {**SIZES, "image_size": None}
    return find_model(base, kind, sizes, None)


def test_they_are_the_models_own() -> None:
    frozen = model("pack:efficientnet-lite0")
    pixels = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    network = frozen.network()
    with torch.inference_mode():
        last_ND = network.outputs(pixels)[-1].mean((2, 3)).numpy()
        own_NZ = network.module(pixels).softmax(dim=1).numpy()
    found_NZ = source_probabilities(frozen, last_ND)
    assert found_NZ is not None
    assert found_NZ.shape == (3, 1000)
    np.testing.assert_allclose(found_NZ, own_NZ, atol=1e-5)


@pytest.mark.parametrize(("base", "width"), [("pack:squeezenet1_1", 512), ("pack:vgg16-hed", 512)])
def test_a_model_without_a_linear_classifier_has_none(base: str, width: int) -> None:
    assert source_probabilities(model(base), np.zeros((2, width), np.float32)) is None


def test_a_matrix_of_the_right_shape_is_not_a_classifier_for_that(tmp_path: Path) -> None:
    import timm

    made = timm.create_model(
        "test_convnext", pretrained=False
    )  # its blocks hold matrices as wide as its last map
    timm.models.save_for_hf(made, tmp_path, safe_serialization=True)
    frozen = find_model(f"timm:{tmp_path}", "picture", {**SIZES, "image_size": None}, None)
    width = made.head.fc.in_features
    assert sum(one.shape[1:] == (width,) for one in frozen.state.values()) > 1
    found_NZ = source_probabilities(frozen, np.eye(2, width, dtype=np.float32))
    weight_ZD, bias_Z = made.head.fc.weight.detach(), made.head.fc.bias.detach()
    own_NZ = (torch.eye(2, width) @ weight_ZD.T + bias_Z).softmax(dim=1).numpy()
    assert found_NZ is not None
    np.testing.assert_allclose(found_NZ, own_NZ, atol=1e-6)


def test_texts_have_none(family_folder: Callable[[str], Path]) -> None:
    frozen = model(f"hf:{family_folder('bert')}", "text")
    assert source_probabilities(frozen, np.zeros((2, 32), np.float32)) is None
