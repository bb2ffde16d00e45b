"""Rows of evidence: every view's features are those of the cell or text that the target is of."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image

from headstart.contracts import Array, Column, Example, Floats, Rows, Training, Units
from headstart.data.mask import Coding, Mask
from headstart.fitting import evidence
from headstart.maths import bilinear
from headstart.model.rows import page_columns, paged
from headstart.specs import FitSpec

CODING = Coding(names={0: "ground", 1: "thing", 2: "other"}, ignored=frozenset({255}))


@dataclass(frozen=True)
class Made(Rows):
    """Rows that a test has made; ``starts_N1`` says which are whose."""

    examples: Sequence[Example]
    columns: Sequence[Column]
    starts_N1: Array
    rows_MD: Floats

    def read(self, places_m: Array, columns: Sequence[Column]) -> Floats:
        return np.hstack([self.rows_MD[places_m, one.start : one.stop] for one in columns])

    def places(self, indices_n: Array) -> Array:
        return np.concatenate([np.arange(self.starts_N1[i], self.starts_N1[i + 1]) for i in indices_n])

    def units(self, indices_n: Array) -> Units:
        return [[self.examples[index]] for index in indices_n]


def training(rows: Rows, classes: Sequence[str], count: int) -> Training:
    half = np.arange(count) < count // 2
    return Training(
        spec=FitSpec("x"),
        reading=cast("object", None),  # type: ignore[arg-type]
        frozen=cast("object", None),  # type: ignore[arg-type]
        rows=rows,
        classes=classes,
        indices_n=np.arange(count),
        folds=[(np.flatnonzero(half), np.flatnonzero(~half)), (np.flatnonzero(~half), np.flatnonzero(half))],
        checkpoints=Path(),
    )


def test_a_cell_has_the_class_that_covers_it_and_its_own_features(tmp_path: Path) -> None:
    random, examples = np.random.default_rng(0), []
    for number in range(4):
        mask = np.repeat(np.repeat(random.integers(0, 3, (4, 4)), 8, axis=0), 8, axis=1).astype(np.uint8)
        mask[:8, :8] = 255  # one cell where everything is ignored
        Image.fromarray(mask).save(tmp_path / f"{number}.png")
        truth = Mask(tmp_path / f"{number}.png", CODING)
        examples.append(Example(str(number), "", tmp_path / "x", truth=truth))
    columns = [Column("4x4/fine", 0, 3 * 16), Column("2x2/deep", 48, 48 + 2 * 4)]
    rows = Made(examples, columns, np.arange(5), random.normal(size=(4, 56)).astype(np.float32))
    sets = {"last": columns[1:], "all": columns}
    found = evidence.of_cells(training(rows, ("ground", "thing", "other"), 4), sets)

    x_MD, y_M, cell = found.views["all"], found.targets, 0
    for number, example in enumerate(examples):
        fine = rows.rows_MD[number, :48].reshape(3, 4, 4)
        deep = bilinear.resize(rows.rows_MD[number, 48:].reshape(2, 2, 2), 4, 4)
        truth_HW = cast(Mask, example.truth).places(("ground", "thing", "other"))
        for row in range(4):
            for column in range(4):
                if (row, column) == (0, 0):
                    continue
                np.testing.assert_allclose(x_MD[cell, :3], fine[:, row, column], atol=1e-6)
                np.testing.assert_allclose(x_MD[cell, 3:], deep[:, row, column], atol=1e-6)
                assert y_M[cell] == truth_HW[row * 8, column * 8]
                cell += 1
    assert cell == len(x_MD) == len(y_M)
    np.testing.assert_array_equal(found.views["last"], x_MD[:, 3:])
    # Cells of one picture are on one side of a fold.
    fit, validate = found.folds[0]
    assert set(fit) == set(range(30))
    assert set(validate) == set(range(30, 60))


def test_a_text_has_its_mean_state_and_the_words_of_its_target() -> None:
    random = np.random.default_rng(0)
    lengths = (3, 20, 16, 5, 17, 1, 2, 40)  # some on several pages
    states = [random.normal(size=(length, 4)).astype(np.float32) for length in lengths]
    pages = [paged(one, np.arange(len(one))) for one in states]
    starts = np.cumsum([0, *(len(one) for one in pages)])
    targets = [
        "The red cat",
        "a red dog",
        "the red fish",
        "The cat",
        "the dog",
        "the owl",
        "the cat",
        "the emu",
    ]
    examples = [Example(str(i), "", Path("x"), target=target) for i, target in enumerate(targets)]
    rows = Made(examples, page_columns("b", 4), starts, np.concatenate(pages))
    found = evidence.of_words(training(rows, (), len(lengths)), rows.columns)
    np.testing.assert_allclose(found.views["last"], [one.mean(axis=0) for one in states], atol=1e-6)
    # "the" is in more than half of the targets, the others but these two in fewer than three.
    assert found.num_classes == 2
    expected = [["cat" in target.split(), "red" in target.split()] for target in targets]
    np.testing.assert_array_equal(found.targets, expected)
    assert found.weak
