"""The one suite that every engine passes: torch's numbers, and no trace of having run.

Small and real: SqueezeNet and a vision transformer with random weights, EfficientNet-Lite0 and MiniLM with
their own.
"""

import random
import threading
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from headstart.contracts import Compiled, Engine, Inputs, Trunk
from headstart.core import plugins
from headstart.core.errors import EngineUnavailable
from headstart.model.trunk import FrozenModel, find_model

NOTO = Path(__file__).resolve().parents[2] / "examples" / "emoji" / "noto"
ENGINES = plugins.names("engine")
TRUNKS = ("squeezenet", "lite0", "vit", "minilm")


@cache
def model(name: str) -> FrozenModel:
    base, sizes, seed = {
        "squeezenet": ("pack:squeezenet1_1", {"image_size": 64, "max_length": None}, 0),
        "lite0": ("pack:efficientnet-lite0", {"image_size": 96, "max_length": None}, None),
        "vit": ("timm:test_vit", {"image_size": 64, "max_length": None}, 0),
        "minilm": ("pack:minilm-l6", {"image_size": None, "max_length": 32}, None),
    }[name]
    return find_model(base, "text" if name == "minilm" else "picture", sizes, seed)


@cache
def trunk(name: str) -> Trunk:
    return model(name).trunk()


@cache
def compiled(engine: str, name: str) -> Compiled:
    found: Engine = plugins.load("engine", engine)
    return found.compile(trunk(name))


def batch(name: str, count: int = 5) -> dict[str, NDArray[Any]]:
    """Return real pictures, or texts of different lengths (random tokens are as good as any)."""
    if name == "minilm":
        generator = np.random.default_rng(1)
        mask = np.zeros((count, 20), dtype=np.int64)
        for row, length in enumerate(generator.integers(3, 21, count)):
            mask[row, :length] = 1
        return {"input_ids": generator.integers(1000, 20000, (count, 20)) * mask, "attention_mask": mask}
    size = {"squeezenet": 64, "lite0": 96, "vit": 64}[name]
    files = sorted(NOTO.glob("*/*.png"))[:: len(sorted(NOTO.glob("*/*.png"))) // count][:count]
    pictures = [Image.open(file).convert("RGBA").convert("RGB").resize((size, size)) for file in files]
    return {"pixels": np.stack([np.asarray(picture) for picture in pictures])}


@cache
def reference(name: str) -> NDArray[Any]:
    """Return what the trunk computes in plain torch, without any engine of ours."""
    import torch

    fresh = FrozenModel(
        source=model(name).source, pretrained=model(name).pretrained, random_seed=model(name).random_seed
    )
    with torch.inference_mode():
        found = fresh.module(*(torch.from_numpy(array) for array in batch(name).values()))
    return np.asarray(found.numpy())


def apart(first_ND: NDArray[Any], second_ND: NDArray[Any]) -> float:
    """Return the largest difference as a share of the largest magnitude."""
    return float(np.abs(first_ND - second_ND).max() / np.abs(second_ND).max())


every_engine = pytest.mark.parametrize("engine", ENGINES)
every_trunk = pytest.mark.parametrize("name", TRUNKS)


@every_engine
@every_trunk
def test_output_is_torchs(engine: str, name: str) -> None:
    features_ND = compiled(engine, name)(batch(name))
    assert features_ND.shape == reference(name).shape
    assert apart(features_ND, reference(name)) < 1e-4


@every_engine
@every_trunk
def test_every_tap_is_torchs(engine: str, name: str) -> None:
    # Taps differ in size by orders of magnitude: a wrong small one would drown in the largest.
    features_ND = compiled(engine, name)(batch(name))
    for column in model(name).columns():
        place = slice(column.start, column.stop)
        assert apart(features_ND[:, place], reference(name)[:, place]) < 1e-3, column.name


@every_engine
@every_trunk
def test_features_are_float32_rows(engine: str, name: str) -> None:
    columns = model(name).columns()
    for count in (1, 2, 5):
        features_ND = compiled(engine, name)(batch(name, count))
        assert features_ND.dtype == np.float32
        assert features_ND.shape == (count, columns[-1].stop)
        assert np.isfinite(features_ND).all()


@every_engine
@every_trunk
def test_a_row_does_not_depend_on_its_batch(engine: str, name: str) -> None:
    whole = batch(name)
    together_ND = compiled(engine, name)(whole)
    for row in range(5):
        alone = {key: array[row : row + 1] for key, array in whole.items()}
        assert apart(compiled(engine, name)(alone), together_ND[row : row + 1]) < 1e-5
    backwards = {key: array[::-1] for key, array in whole.items()}  # not contiguous either
    assert apart(compiled(engine, name)(backwards)[::-1], together_ND) < 1e-5


@every_engine
@every_trunk
def test_twice_is_the_same_and_answers_are_the_callers_own(engine: str, name: str) -> None:
    run = compiled(engine, name)
    first_ND = run(batch(name))
    kept_ND = first_ND.copy()
    other = {key: array[::-1] for key, array in batch(name).items()}
    second_ND = run(other)
    assert not np.array_equal(second_ND, kept_ND)
    # An engine that hands out its own buffer would have overwritten the first answer by now.
    np.testing.assert_array_equal(first_ND, kept_ND)
    np.testing.assert_array_equal(run(batch(name)), kept_ND)


@every_engine
@every_trunk
def test_the_callers_arrays_stay_as_they_are(engine: str, name: str) -> None:
    given = batch(name)
    before = {key: array.copy() for key, array in given.items()}
    compiled(engine, name)(given)
    for key, array in given.items():
        np.testing.assert_array_equal(array, before[key])


@every_engine
@every_trunk
def test_no_random_state_moves(engine: str, name: str) -> None:
    import torch

    fresh: Engine = plugins.load("engine", engine)
    compiled(engine, name)  # what is imported on the way may draw once
    before = (random.getstate(), _numpy_state(), torch.get_rng_state(), torch.is_grad_enabled())
    fresh.compile(trunk(name))(batch(name))
    after = (random.getstate(), _numpy_state(), torch.get_rng_state(), torch.is_grad_enabled())
    assert torch.equal(before[2], after[2])
    assert (before[0], before[1], before[3]) == (after[0], after[1], after[3])


def _numpy_state() -> str:
    return repr(np.random.get_state())


@every_engine
@every_trunk
def test_another_thread_may_ask(engine: str, name: str) -> None:
    expected_ND = compiled(engine, name)(batch(name))
    found: dict[str, NDArray[Any]] = {}
    thread = threading.Thread(target=lambda: found.update(features=compiled(engine, name)(batch(name))))
    thread.start()
    thread.join(60)
    assert apart(found["features"], expected_ND) < 1e-6


@every_engine
@every_trunk
def test_the_model_is_left_in_evaluation_mode(engine: str, name: str) -> None:
    compiled(engine, name)(batch(name))
    assert not any(part.training for part in model(name).module.modules())


@every_engine
def test_the_version_is_told(engine: str) -> None:
    assert plugins.load("engine", engine).version()[0].isdigit()


def test_padding_does_not_matter() -> None:
    short: Mapping[str, NDArray[Any]] = {key: array[:, :12] for key, array in batch("minilm", 3).items()}
    masked = {"input_ids": short["input_ids"], "attention_mask": short["attention_mask"]}
    longer: Inputs = {key: np.pad(array, ((0, 0), (0, 9))) for key, array in masked.items()}
    for engine in ENGINES:
        run = compiled(engine, "minilm")
        assert apart(run(longer), run(masked)) < 1e-5


@pytest.mark.parametrize("name", ["lite0", "minilm"])
def test_rounded_numbers_are_close(name: str) -> None:
    for engine in ("torch", "openvino"):
        run = plugins.load("engine", engine).compile(replace(trunk(name), precision="bfloat16"))
        assert apart(run(batch(name)), reference(name)) < 1e-1
        if engine == "torch":  # where a processor has no bfloat16, OpenVINO does not round
            assert apart(run(batch(name)), reference(name)) > 1e-4
    with pytest.raises(EngineUnavailable, match="no bfloat16"):
        plugins.load("engine", "onnxruntime").compile(replace(trunk(name), precision="bfloat16"))


def test_what_is_rounded_has_a_place_of_its_own_in_the_store() -> None:
    exact = model("lite0")
    rounded = replace(exact, pretrained=replace(exact.pretrained, precision="bfloat16"))
    assert rounded.key != model("lite0").key
    assert rounded.trunk().precision == "bfloat16"
