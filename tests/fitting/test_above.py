"""Heads as they train with the model below: their losses are the solved heads', and what is settled after."""

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from headstart.contracts import Array, Column, Example, Floats, Rows, Training, Units
from headstart.core.frameworks import prepare_torch
from headstart.fitting import dense, maps, sentences
from headstart.fitting.dense import DenseAbove
from headstart.fitting.documents import SentencesAbove
from headstart.fitting.labels import LabelsAbove
from headstart.fitting.masks import PixelsAbove
from headstart.fitting.probe import Problem
from headstart.fitting.recipe import Recipe
from headstart.maths import logistic, softmax
from headstart.model.maps import MapHead, unpacked
from headstart.specs import FitSpec
from tests.fitting.invented import CLASSES, MaskRows
from tests.fitting.test_fpn import pictures, training_of

torch = prepare_torch()
RANDOM = np.random.default_rng(0)
TEXTS = [
    ["A cat sat on a mat.", "It was grey.", "Nobody saw it there."],
    ["The price of oil rose."],
    ["Rain fell all day.", "The river is high and may flood the town."],
]


def tapped(columns: Any, rows_mD: Floats) -> dict[str, Any]:
    """Return features as the taps give them, by name."""
    return {one.name: torch.from_numpy(rows_mD[:, one.start : one.stop].copy()) for one in columns}


def test_pixels_lose_what_the_solved_layer_loses(tmp_path: Path) -> None:
    training = training_of(*pictures(tmp_path), class_weights="balanced")
    training = replace(training, spec=replace(training.spec, head_hidden=None))
    rows = training.rows
    assert isinstance(rows, MaskRows)
    weights = tuple(RANDOM.normal(size=(count, 3)).astype(np.float32) for count in (4, 3))
    head = MapHead(tuple(rows.columns), weights, RANDOM.normal(size=3).astype(np.float32), 4)
    above = PixelsAbove(training, rows.columns, head)
    places_n = np.array([3, 1, 9])
    losses_n, areas_n = above.losses(tapped(rows.columns, rows.rows[places_n]), {}, places_n, None)

    samples = maps.Samples(rows, np.arange(12), CLASSES, 4)
    weights_K, _ = maps.weigh(samples, np.arange(8), "balanced")
    for number, place in enumerate(places_n):
        raw = unpacked(rows.columns, rows.rows[[place]])
        said = maps._logits(raw, maps.Layer(weights=weights, bias_K=head.bias_K), 4)[0]
        shares = samples.shares(np.array([place]))[0]
        total = 0.0
        for k in range(3):
            for r in range(4):
                for c in range(4):
                    log_p = said[k, r, c] - np.log(np.exp(said[:, r, c]).sum())
                    total -= weights_K[k] * shares[k, r, c] * log_p
        assert float(losses_n[number].detach()) == pytest.approx(total, rel=1e-4)
        assert areas_n[number] == pytest.approx(float(shares.sum()))
    again = above.head()
    for one, other in zip((*again.weights, again.bias_K), (*weights, head.bias_K), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (again.columns, again.side, above.settle([])) == (head.columns, 4, {})
    new = PixelsAbove(training, rows.columns, None).head()
    assert not any(one.any() for one in (*new.weights, new.bias_K))


def test_smoothing_is_of_the_steps_alone(tmp_path: Path) -> None:
    training = training_of(*pictures(tmp_path), label_smoothing=0.2)
    above, places_n = PixelsAbove(training, training.rows.columns, None), np.array([0])
    seen = tapped(training.rows.columns, 3 * RANDOM.normal(size=(1, 76)).astype(np.float32))
    with torch.no_grad():
        above.module[0].add_(torch.from_numpy(RANDOM.normal(size=(4, 3)).astype(np.float32)))
        stepped = float(above.losses(seen, {}, places_n, None)[0])
        above.module.eval()
        assert float(above.losses(seen, {}, places_n, None)[0]) != pytest.approx(stepped)


@dataclass(frozen=True)
class Documents(Rows):
    """Three documents of a few sentences each."""

    examples: Any
    columns: Any
    starts_N1: Array
    rows_MD: Floats

    def read(self, places_m: Array, columns: Any) -> Floats:
        return np.hstack([self.rows_MD[places_m, one.start : one.stop] for one in columns])

    def places(self, indices_n: Array) -> Array:
        return np.concatenate([np.arange(self.starts_N1[i], self.starts_N1[i + 1]) for i in indices_n])

    def units(self, indices_n: Array) -> Units:
        return [[Example("u", "", Path(), text=text) for text in TEXTS[index]] for index in indices_n]


@pytest.fixture
def documents() -> Training:
    examples = [Example(str(n), "", Path(), target=one[-1]) for n, one in enumerate(TEXTS)]
    columns = [Column("first", 0, 4), Column("last", 4, 9)]
    starts_N1 = np.cumsum([0, *map(len, TEXTS)])
    rows = Documents(examples, columns, starts_N1, RANDOM.normal(size=(6, 9)).astype(np.float32))
    return Training(
        spec=FitSpec("x"),
        reading=SimpleNamespace(task=SimpleNamespace(unit="texts")),  # type: ignore[arg-type]
        frozen=None,  # type: ignore[arg-type]
        rows=rows,
        classes=(),
        indices_n=np.arange(3),
        folds=[(np.arange(3), np.arange(3))],
        checkpoints=Path("nowhere"),
    )


def test_sentences_lose_what_the_solved_layer_loses(documents: Training) -> None:
    rows, columns = documents.rows, documents.rows.columns
    labelled = sentences.label(documents, columns[-1])
    head, _ = sentences.solve(labelled, columns, np.arange(3), 0.1)
    above = SentencesAbove(documents, head, begins=False)
    places_n = np.array([2, 0, 1])
    moved_mD = rows.read(rows.places(places_n), columns) + np.float32(0.3)  # as the encoder moves
    losses_n, counts_n = above.losses(tapped(columns, moved_mD), {}, places_n, None)
    assert counts_n.tolist() == [2, 3, 1]
    p_m, start = head.probabilities(moved_mD, rows.units(places_n)), 0
    for loss, place in zip(losses_n, places_n, strict=True):
        taken = sentences.oracle_of(TEXTS[place], TEXTS[place][-1])
        part = p_m[start : start + len(TEXTS[place])]
        start += len(part)
        expected = -sum(np.log(p if at in taken else 1 - p) for at, p in enumerate(part))
        assert float(loss.detach()) == pytest.approx(expected, rel=1e-4)
    losses_n.sum().backward()
    again = above.head()
    np.testing.assert_array_equal(again.weight_D, head.weight_D)
    assert (again.bias, again.budget, above.settle([])) == (pytest.approx(head.bias), head.budget, {})
    assert not SentencesAbove(documents, head, begins=True).head().weight_D.any()


def drawn(factor: float) -> tuple[Array, Array]:
    """Return logits [N, K] that are ``factor`` times those that the truth is drawn by, and the latter."""
    logits_NK = 2 * np.random.default_rng(1).standard_normal((2_000, 3))
    return (factor * logits_NK).astype(np.float32), logits_NK


def in_batches(columns: Any, x_ND: Floats) -> Any:
    for part_n in np.array_split(np.arange(len(x_ND)), 7):
        yield tapped(columns, x_ND[part_n]), part_n


def identity(module: Any) -> None:
    with torch.no_grad():
        module.weight.copy_(torch.eye(3))
        module.bias.zero_()


@pytest.mark.parametrize("factor", [0.4, 2.5])
def test_classes_are_divided_by_the_temperature(factor: float) -> None:
    x_ND, logits_NK = drawn(factor)
    random = np.random.default_rng(2)
    y_N = np.array([random.choice(3, p=p_K) for p_K in softmax.probabilities(logits_NK)])
    columns = [Column("last", 0, 3)]
    above = DenseAbove(Problem(targets=y_N, num_classes=3), columns, None, FitSpec("x"))
    identity(above.module[0])
    found = above.settle(in_batches(columns, x_ND))
    assert found == {"temperature": pytest.approx(factor, rel=0.1)}
    said_NK = above.head().outputs(x_ND)
    np.testing.assert_allclose(said_NK, softmax.probabilities(logits_NK), atol=0.04)


def test_labels_are_divided_and_given_from_a_threshold() -> None:
    x_ND, logits_NK = drawn(3.0)
    examples_y = np.random.default_rng(2).random(logits_NK.shape) < logistic.probabilities(logits_NK - 2)
    columns = [Column("last", 0, 3)]
    above = LabelsAbove(examples_y.astype(np.uint8), columns, None)
    identity(above.module)
    with torch.no_grad():
        above.module.bias.fill_(-6.0)
    found = above.settle(in_batches(columns, x_ND))
    assert found["temperature"] == pytest.approx(3, rel=0.1)
    head = above.head()
    assert head.threshold == found["threshold"]

    def f1(threshold: float) -> float:
        given = head.outputs(x_ND).probabilities_nK >= threshold
        return 2 * float((given & examples_y).sum()) / float(given.sum() + examples_y.sum())

    assert f1(head.threshold) >= max(f1(one) for one in np.linspace(0.05, 0.95, 19)) - 1e-9
    assert f1(head.threshold) > f1(0.5)


def test_a_head_with_a_hidden_layer_is_divided_too(documents: Training, tmp_path: Path) -> None:
    """It has learnt its training examples by heart: what it says of others is far too sure."""
    random = np.random.default_rng(0)
    x_ND, odds_N = random.normal(size=(240, 6)).astype(np.float32), random.random(240)
    labels = [
        "b" if chance < 1 / (1 + np.exp(-row[0])) else "a" for row, chance in zip(x_ND, odds_N, strict=True)
    ]
    examples = [Example(str(n), label, Path()) for n, label in enumerate(labels)]
    columns = [Column("last", 0, 6)]
    fit_n, held_n = np.arange(120), np.arange(120, 240)
    training = replace(
        documents,
        spec=replace(documents.spec, head_hidden=32),
        rows=Documents(examples, columns, np.arange(241), x_ND),
        classes=("a", "b"),
        indices_n=fit_n,
        folds=[(fit_n, held_n)],
        checkpoints=tmp_path,
    )
    recipe = Recipe(epochs=1, batch_size=20, learning_rate=0.3)
    head, history, told = dense.train(training, columns, 0.0, recipe)
    y_n = np.array([label == "b" for label in labels])[held_n].astype(int)

    def loss(factor: float) -> float:
        *below, last = head.layers
        p_nK = replace(head, layers=(*below, last.times(factor))).outputs(x_ND[held_n])
        return float(-np.log(p_nK[np.arange(120), y_n]).mean())

    assert told > 1.2
    assert history[0]["log_loss"] == pytest.approx(loss(told), rel=1e-3)
    sums = [120 * loss(factor) + np.log(factor / told) ** 2 / 2 for factor in (1.0, 0.9, 1.1, told)]
    assert sums[0] == min(sums)  # of the loss and of the prior that little is changed
