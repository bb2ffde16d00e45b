"""The decoder learns borders finer than its maps, repeatably, from masks of all sorts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.contracts import Example, Training
from headstart.core.errors import UserError
from headstart.fitting.fpn import Decoding, _overlaps
from headstart.fitting.loop import minimise
from headstart.fitting.recipe import Recipe
from headstart.specs import FitSpec
from tests.fitting.invented import CLASSES, MaskRows, example

torch = pytest.importorskip("torch")
COUNT, SIDE = 12, 4


def pictures(folder: Path) -> tuple[list[Example], list[np.ndarray]]:
    """Masks 8 by 8, and maps of 4 by 4 whose channels tell what lies in each quarter of a cell."""
    random = np.random.default_rng(0)
    masks = random.integers(0, 2, (COUNT, 8, 8))
    quarters = masks.reshape(COUNT, SIDE, 2, SIDE, 2).transpose(0, 2, 4, 1, 3).reshape(COUNT, 4, SIDE, SIDE)
    coarse = random.normal(size=(COUNT, 3, 2, 2)).astype(np.float32)
    examples = [example(folder / f"{number}.png", mask) for number, mask in enumerate(masks)]
    return examples, [(quarters * 3 + 7).astype(np.float32), coarse]


def training_of(examples: list[Example], maps: list[np.ndarray], **options: Any) -> Training:
    everything = np.arange(len(examples))
    return Training(
        spec=FitSpec(data="d", head_hidden=16, **options),
        reading=None,  # type: ignore[arg-type]
        frozen=None,  # type: ignore[arg-type]
        rows=MaskRows(examples, maps),
        classes=CLASSES,
        indices_n=everything[:-4],
        folds=[(everything[:-4], everything[-4:])],
        checkpoints=Path("nowhere"),
    )


def decoding(training: Training, loss: str = "dice", **changes: Any) -> tuple[Decoding, list[Any]]:
    recipe = Recipe(**{"epochs": 2, "batch_size": 4, "learning_rate": 1e-2, **changes})
    objective = Decoding(training, training.rows.columns, loss, recipe)
    return objective, minimise(objective, recipe, "test")


def weights(objective: Decoding) -> np.ndarray:
    return np.concatenate([one.detach().numpy().ravel() for one in objective.module.parameters()])


@pytest.fixture
def training(tmp_path: Path) -> Training:
    return training_of(*pictures(tmp_path))


@pytest.mark.parametrize("loss", ["cross-entropy", "dice", "focal", "cross-entropy+dice"])
def test_borders_inside_the_cells_of_the_finest_map_are_learnt(training: Training, loss: str) -> None:
    _, history = decoding(training, loss, epochs=12, learning_rate=2e-2)
    assert history[-1]["loss"] < history[0]["loss"] / 2
    # An answer as coarse as the map could not tell the four quarters of a cell apart.
    assert min(one["iou_loss"] for one in history) < 0.25


def test_training_is_repeatable_and_leaves_the_random_state_alone(training: Training) -> None:
    state = torch.get_rng_state()
    first = weights(decoding(training)[0])
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(7)
    np.testing.assert_array_equal(weights(decoding(training)[0]), first)
    assert np.abs(weights(decoding(training, seed=1)[0]) - first).max() > 1e-3
    torch.set_rng_state(state)


@pytest.mark.parametrize("loss", ["cross-entropy", "cross-entropy+dice"])
def test_a_step_is_the_same_in_two_parts(training: Training, loss: str) -> None:
    def stepped(parts: int) -> Any:
        objective, _ = decoding(training, loss, epochs=1, accumulate=parts, optimizer="sgd", average=1)
        return weights(objective)

    import headstart.fitting.fpn as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_DROPOUT", 0.0)  # what is dropped is drawn for each part
        np.testing.assert_allclose(stepped(1), stepped(2), atol=1e-5)


def test_short_memory_is_told_and_survived(
    training: Training, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plain = Decoding.loss

    def short(self: Decoding, places_n: Any, epoch: int) -> Any:
        if len(places_n) > 2:
            raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes")
        return plain(self, places_n, epoch)

    monkeypatch.setattr(Decoding, "loss", short)
    _, history = decoding(training)
    assert len(history) == 2
    assert "each step is taken in 2 parts" in caplog.text


def test_masks_that_are_ignored_are_left_out_of_the_batches(tmp_path: Path) -> None:
    examples, maps = pictures(tmp_path)
    examples[2] = example(tmp_path / "ignored.png", np.full((8, 8), 255))
    examples[-1] = example(tmp_path / "ignored too.png", np.full((8, 8), 255))
    objective, history = decoding(training_of(examples, maps))
    assert sorted(np.concatenate(objective.batches(0))) == [0, 1, 3, 4, 5, 6, 7]
    assert np.isfinite([one["iou_loss"] for one in history]).all()
    nothing = [example(tmp_path / f"n{number}.png", np.full((8, 8), 255)) for number in range(COUNT)]
    with pytest.raises(UserError, match="without a pixel of any class"):
        decoding(training_of(nothing, maps))


@pytest.mark.parametrize("kind", ["none", "sqrt", "balanced"])
@pytest.mark.parametrize("loss", ["cross-entropy", "dice"])
def test_a_single_class_and_a_class_of_one_pixel(tmp_path: Path, kind: str, loss: str) -> None:
    _, maps = pictures(tmp_path)
    plain = [example(tmp_path / f"p{number}.png", np.zeros((8, 8))) for number in range(COUNT)]
    one = np.zeros((8, 8))
    one[3, 3] = 2
    plain[1] = example(tmp_path / "one.png", one)
    objective, history = decoding(training_of(plain, maps, class_weights=kind), loss)
    assert np.isfinite(weights(objective)).all()
    assert np.isfinite(history[-1]["loss"])
    share = 1 / (64 * (COUNT - 4))
    expected = {
        "none": 1.0,
        "sqrt": (share**-0.5) / (share**0.5 + (1 - share) ** 0.5),
        "balanced": 0.5 / share,
    }
    assert objective.weights_K[2] == pytest.approx(expected[kind], rel=1e-4)
    assert objective.weights_K[1] == 1


def test_smoothed_labels_cost_more(training: Training) -> None:
    sharp, smooth = (
        Decoding(training, training.rows.columns, "cross-entropy", Recipe(label_smoothing=e))
        for e in (0.0, 0.3)
    )
    logits = torch.zeros(4, 3, 8, 8)
    logits[:, 2] = -9.0  # of a class that is nowhere
    for one in (sharp, smooth):
        one.module.forward = lambda maps: logits
    (a, area), (b, same) = (one.loss(np.arange(4), 0) for one in (sharp, smooth))
    assert area == same == 4 * 64
    surprise = float(-logits.log_softmax(dim=1)[0, :, 0, 0].mean())
    assert b.item() == pytest.approx(0.7 * a.item() + 0.3 * area * surprise, rel=1e-5)


def test_overlaps_are_areas() -> None:
    random = np.random.default_rng(0)
    said = random.integers(0, 3, (2, 5, 5))
    shares = random.dirichlet(np.ones(3), (2, 5, 5)).transpose(0, 3, 1, 2) * random.random((2, 1, 5, 5))
    found = _overlaps(said, shares)
    for k in range(3):
        taught = shares.sum(axis=1)
        expected = [taught[said == k].sum(), shares[:, k].sum(), shares[:, k][said == k].sum()]
        np.testing.assert_allclose(found[:, k], expected)
