"""Models of the calling program: a module as its author runs it, a transformer as scikit-learn does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA

import headstart
from headstart.api import own
from headstart.core import plugins
from headstart.core.errors import EngineUnavailable, UserError
from headstart.core.frameworks import prepare_torch
from headstart.model.trunk import find_model
from headstart.sources.own import OwnSource
from tests.sources.hub_repository import small_network
from tests.verbs.conftest import copy_pictures

torch = prepare_torch()

SIZES = {"image_size": None, "max_length": None}
SMALL = {"size": 32, "crop": 1.0, "mean": (0, 0, 0), "std": (1, 1, 1)}
ROWS = np.random.default_rng(2).random((40, 32 * 32 * 3), dtype=np.float32)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OwnSource, "_known", {})


def pixels(pictures: int = 3) -> Any:
    return np.random.default_rng(1).integers(0, 256, (pictures, 32, 32, 3), dtype=np.uint8)


def test_a_module_computes_what_it_computes() -> None:
    model: Any = find_model(own("net", small_network, SMALL), "picture", SIZES, None)
    theirs = small_network().eval()
    with torch.inference_mode():
        logits = theirs(torch.from_numpy(pixels()).permute(0, 3, 1, 2).float() / 255)
        torch.testing.assert_close(
            model.module.inner(torch.from_numpy(pixels()).permute(0, 3, 1, 2) / 255), logits
        )
    np.testing.assert_array_equal(model.state["fc.bias"], theirs.fc.bias.detach().numpy())


def test_a_transformer_gives_its_rows() -> None:
    pca = PCA(5, random_state=0).fit(ROWS)
    model: Any = find_model(own("pca", lambda: pca, SMALL), "picture", SIZES, None)
    expected = pca.transform(pixels().reshape(3, -1).astype(np.float32) / 255)
    run = plugins.load("engine", "torch").compile(model.trunk())
    columns = {one.name: slice(one.start, one.stop) for one in model.columns()}
    found = run({"pixels": pixels()})[:, columns["mean/transform"]]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        run({"pixels": pixels()[:1]})[:, columns["mean/transform"]], found[:1], atol=1e-5
    )
    with pytest.raises(EngineUnavailable):  # no graph of torch's: only torch calls it
        plugins.load("engine", "onnxruntime").compile(model.trunk())


def test_another_function_under_the_name_is_refused_and_has_another_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def squared() -> Any:
        net = small_network()
        net.conv4.register_forward_hook(lambda _, __, given: given * given)
        return net

    pictures, run = copy_pictures(tmp_path / "pictures"), tmp_path / "run"
    base = own("net", small_network, SMALL)
    headstart.fit(str(pictures), base=base, out=str(run), engine="torch")
    keys = [find_model(base, "picture", SIZES, None).key]
    own("net", squared, SMALL)
    keys.append(find_model(base, "picture", SIZES, None).key)
    assert len(set(keys)) == 2  # though both have the same weights
    new = next(pictures.rglob("*.png"))
    with pytest.raises(UserError, match="computes something else than when it was described"):
        list(headstart.predict(str(run), [str(new)], engine="torch"))
    own("net", small_network, SMALL)
    (again,) = headstart.predict(str(run), [str(new)], engine="torch")
    assert again.prediction
    OwnSource._known.clear()
    with pytest.raises(UserError, match=r"knows no own:net; .* call headstart.api.own\('net', ...\)"):
        list(headstart.predict(str(run), [str(new)], engine="torch"))


def test_what_a_function_draws_is_the_same_each_time_and_nobody_elses() -> None:
    base = own("drawn", lambda: torch.nn.Sequential(*(torch.nn.Conv2d(3, 3, 3) for _ in range(4))), SMALL)
    before = torch.get_rng_state()
    assert find_model(base, "picture", SIZES, None).key == find_model(base, "picture", SIZES, None).key
    assert find_model(base, "picture", SIZES, None).columns()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("make", "preprocess", "told"),
    [
        (small_network, {"siez": 64}, "siez is no part of it"),
        (small_network, {"size": 0}, "out of range"),
        (small_network, {"mean": (1, 2)}, "cannot be made out"),
        (lambda: PCA(5), SMALL, "not fitted"),
        (lambda: PCA(5).fit(ROWS[:, :300]), SMALL, "a fitted transformer of 3,072 numbers a row"),
        (lambda: 7, SMALL, "has no attribute 'transform'"),
    ],
)
def test_what_cannot_be_a_model_is_one_sentence(make: Any, preprocess: Any, told: str) -> None:
    with pytest.raises(UserError) as error:
        find_model(own("x", make, preprocess), "picture", SIZES, None)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_random_weights_are_the_functions_own_affair() -> None:
    with pytest.raises(UserError, match="--random-init of own:net"):
        find_model(own("net", small_network, SMALL), "picture", SIZES, 0)
