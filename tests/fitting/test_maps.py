"""The layer on maps against scikit-learn on the same maps resized and put side by side."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.optimize import minimize
from scipy.special import logsumexp

from headstart.contracts import Example
from headstart.data.mask import Coding, Mask
from headstart.fitting import maps
from headstart.maths import bilinear
from headstart.model.maps import logits

CLASSES = ("background", "thing", "other")
CODING = Coding(names=dict(enumerate(CLASSES)), ignored=frozenset({255}))
SIDE = 4


@pytest.fixture
def examples(tmp_path: Path) -> list[Example]:
    random = np.random.default_rng(0)
    found = []
    for number in range(6):
        values = random.integers(0, 3, (SIDE * maps.PER_CELL,) * 2).astype(np.uint8)
        values[random.random(values.shape) < 0.2] = 255
        path = tmp_path / f"{number}.png"
        Image.fromarray(values).save(path)
        found.append(Example(str(number), "", path, truth=Mask(path, CODING)))
    return found


def test_shares_are_counted_without_ignored_pixels(examples: list[Example]) -> None:
    samples = maps.Samples(examples, np.arange(6), CLASSES, SIDE)
    shares = samples.shares(np.array([4, 1]))
    for row, place in enumerate((4, 1)):
        values = np.asarray(Image.open(examples[place].path))
        for r in range(SIDE):
            for c in range(SIDE):
                cell = values[r * 4 : r * 4 + 4, c * 4 : c * 4 + 4]
                expected = [(cell == k).sum() / 16 for k in range(3)]
                np.testing.assert_allclose(shares[row, :, r, c], expected)


def test_the_solution_is_that_of_a_slow_reference(examples: list[Example]) -> None:
    random, l2 = np.random.default_rng(2), 1e-2
    fine = random.normal(size=(6, 2, SIDE, SIDE)).astype(np.float32)
    coarse = (random.normal(size=(6, 3, 2, 2)) + 5).astype(np.float32)
    everything = np.arange(6)
    samples = maps.Samples(examples, everything, CLASSES, SIDE)

    def read(some_n: np.ndarray) -> list[np.ndarray]:
        return [fine[some_n], coarse[some_n]]

    scaled = maps.scaling(read, everything)
    pieces = maps.Pieces(read=read, samples=samples, indices_n=everything, scaling=scaled)
    layer = maps.solve(pieces, l2, tolerance=1e-12)

    # The reference resizes every channel, puts all side by side and solves for each cell as an example.
    wide = [bilinear.resize(one, SIDE, SIDE) for one in scaled.apply(read(everything))]
    x = np.concatenate(wide, axis=1).transpose(0, 2, 3, 1).reshape(-1, 5).astype(np.float64)
    shares = samples.shares(everything).transpose(0, 2, 3, 1).reshape(-1, 3).astype(np.float64)

    def objective(flat: np.ndarray) -> float:
        w, b = flat[:15].reshape(5, 3), flat[15:]
        said = x @ w + b
        loss = (shares * (logsumexp(said, axis=1, keepdims=True) - said)).sum() / shares.sum()
        return float(loss + l2 / 2 * (w**2).sum())

    best = minimize(objective, np.zeros(18), method="BFGS", options={"gtol": 1e-8}).x
    ours = np.concatenate([*(w.ravel() for w in layer.weights), layer.bias_K])
    assert objective(ours) == pytest.approx(objective(best), abs=1e-6)
    np.testing.assert_allclose(ours[:15], best[:15], atol=5e-3)

    # Folded into raw maps it says the same.
    raw = scaled.fold(layer)
    said = logits(read(everything), raw.weights, raw.bias_K, SIDE)
    same = logits(scaled.apply(read(everything)), layer.weights, layer.bias_K, SIDE)
    np.testing.assert_allclose(said, same, atol=1e-4)


def test_pieces_that_are_not_kept_give_the_same(
    examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    fine = np.random.default_rng(3).normal(size=(6, 2, SIDE, SIDE)).astype(np.float32)
    everything = np.arange(6)
    samples = maps.Samples(examples, everything, CLASSES, SIDE)

    def solved() -> maps.Layer:
        scaled = maps.scaling(lambda n: [fine[n]], everything)
        return maps.solve(
            maps.Pieces(read=lambda n: [fine[n]], samples=samples, indices_n=everything, scaling=scaled), 1e-3
        )

    kept = solved()
    monkeypatch.setattr(maps, "_IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(maps, "_PIECE_BYTES", 1000)
    streamed = solved()
    np.testing.assert_allclose(kept.weights[0], streamed.weights[0], atol=1e-3)
