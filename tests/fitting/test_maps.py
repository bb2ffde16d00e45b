"""The layer on maps against scikit-learn on the same maps resized and put side by side."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.optimize import minimize
from scipy.special import logsumexp

from headstart.contracts import Example
from headstart.core.errors import UserError
from headstart.fitting import maps
from headstart.maths import bilinear
from headstart.model.maps import logits
from tests.fitting.invented import CLASSES, MaskRows, example

SIDE = 4
EVERYTHING = np.arange(6)


@pytest.fixture
def examples(tmp_path: Path) -> list[Example]:
    random = np.random.default_rng(0)
    found = []
    for number in range(6):
        values = random.integers(0, 3, (SIDE * maps.PER_CELL,) * 2).astype(np.uint8)
        values[random.random(values.shape) < 0.2] = 255
        found.append(example(tmp_path / f"{number}.png", values))
    return found


def samples_of(examples: list[Example], side: int = SIDE) -> maps.Samples:
    rows = MaskRows(examples, [np.zeros((len(examples), 1, 1, 1), np.float32)])
    return maps.Samples(rows, np.arange(len(examples)), CLASSES, side)


def test_shares_are_counted_without_ignored_pixels(examples: list[Example]) -> None:
    shares = samples_of(examples).shares(np.array([4, 1]))
    for row, place in enumerate((4, 1)):
        values = np.asarray(Image.open(examples[place].path))
        for r in range(SIDE):
            for c in range(SIDE):
                cell = values[r * 4 : r * 4 + 4, c * 4 : c * 4 + 4]
                expected = [(cell == k).sum() / 16 for k in range(3)]
                np.testing.assert_allclose(shares[row, :, r, c], expected)


def test_areas_are_counts_of_samples(examples: list[Example]) -> None:
    areas, taught = samples_of(examples).areas(np.array([4, 1]))
    both = [np.asarray(Image.open(examples[place].path)) for place in (4, 1)]
    assert areas.tolist() == [sum((one == k).sum() for one in both) for k in range(3)]
    assert taught.tolist() == [True, True]


def test_tiles_are_sampled_from_their_part_of_the_mask(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 3, (16, 40))
    boxes = [(0, 0, 16, 16), (12, 0, 28, 16), (24, 0, 40, 16)]
    two = [example(tmp_path / "a.png", values), example(tmp_path / "b.png", 2 - values)]
    rows = MaskRows(two, [np.zeros((6, 1, 1, 1), np.float32)], [boxes, boxes])
    shares = maps.Samples(rows, np.array([1, 0]), CLASSES, 4).shares(np.array([1, 5]))
    for share, (mask, (left, _, right, _)) in zip(
        shares, ((values, boxes[1]), (2 - values, boxes[2])), strict=True
    ):
        cells = mask[:, left:right].reshape(4, 4, 4, 4)
        np.testing.assert_allclose(share, [(cells == k).mean(axis=(1, 3)) for k in range(3)])


def test_units_that_are_all_ignored_teach_nothing_and_alone_are_refused(tmp_path: Path) -> None:
    masks = [np.full((16, 16), 255), np.zeros((16, 16)), np.full((16, 16), 255)]
    rows = [example(tmp_path / f"{number}.png", mask) for number, mask in enumerate(masks)]
    samples = samples_of(rows)
    weights, taught = maps.weigh(samples, np.arange(3), "balanced")
    assert taught.tolist() == [1]
    assert weights.tolist() == [1, 1, 1]
    with pytest.raises(UserError, match="without a pixel of any class"):
        maps.weigh(samples, np.array([0, 2]), None)


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (0.2, 1.0, 3.0)])
def test_the_solution_is_that_of_a_slow_reference(
    weights: tuple[float, float, float], examples: list[Example]
) -> None:
    random, l2 = np.random.default_rng(2), 1e-2
    fine = random.normal(size=(6, 2, SIDE, SIDE)).astype(np.float32)
    coarse = (random.normal(size=(6, 3, 2, 2)) + 5).astype(np.float32)
    samples = samples_of(examples)

    def read(some_n: np.ndarray) -> list[np.ndarray]:
        return [fine[some_n], coarse[some_n]]

    scaled, weights_K = maps.scaling(read, EVERYTHING), np.array(weights, dtype=np.float32)
    pieces = maps.Pieces(read=read, samples=samples, places_m=EVERYTHING, scaling=scaled, weights_K=weights_K)
    layer = maps.solve(pieces, l2, tolerance=1e-12)

    # The reference resizes every channel, puts all side by side and solves for each cell as an example.
    wide = [bilinear.resize(one, SIDE, SIDE) for one in scaled.apply(read(EVERYTHING))]
    x = np.concatenate(wide, axis=1).transpose(0, 2, 3, 1).reshape(-1, 5).astype(np.float64)
    shares = samples.shares(EVERYTHING).transpose(0, 2, 3, 1).reshape(-1, 3).astype(np.float64) * weights

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
    said = logits(read(EVERYTHING), raw.weights, raw.bias_K, SIDE)
    same = logits(scaled.apply(read(EVERYTHING)), layer.weights, layer.bias_K, SIDE)
    np.testing.assert_allclose(said, same, atol=1e-4)


def test_pieces_that_are_not_kept_give_the_same(
    examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    fine = np.random.default_rng(3).normal(size=(6, 2, SIDE, SIDE)).astype(np.float32)
    samples = samples_of(examples)

    def solved() -> maps.Layer:
        scaled = maps.scaling(lambda n: [fine[n]], EVERYTHING)
        return maps.solve(
            maps.Pieces(read=lambda n: [fine[n]], samples=samples, places_m=EVERYTHING, scaling=scaled), 1e-3
        )

    kept = solved()
    monkeypatch.setattr(maps, "_IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(maps, "_PIECE_BYTES", 1000)
    streamed = solved()
    np.testing.assert_allclose(kept.weights[0], streamed.weights[0], atol=1e-3)
