"""The detector on invented rows: several an example, in pieces, and as runs kept it before."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from headstart.contracts import Array, Column, Example, Learnt, Modality, Rows
from headstart.core import plugins
from headstart.core.errors import UserError
from headstart.evaluation import beside, unlike, vectors

MAPS: Modality = plugins.load("modality", "picture-maps")
COLUMNS = [Column("4x4/colours", 0, 48), Column("4x4/a", 48, 48 + 80), Column("2x2/b", 128, 128 + 24)]
FOLD = (np.arange(60), np.arange(60, 120))


class Parted(Rows):
    """Rows in memory, several an example; ``largest`` is the most numbers that were read at once."""

    def __init__(self, rows_MD: Array, counts: Sequence[int], columns: Sequence[Column] = COLUMNS) -> None:
        self.rows_MD, self.columns, self.largest = rows_MD.astype(np.float32), columns, 0
        self.starts_N1 = np.cumsum([0, *counts])
        self.examples = [Example(f"{i}", "", Path("p")) for i in range(len(counts))]

    def read(self, places_m: Array, columns: Sequence[Column]) -> Any:
        """Return rows."""
        found = np.concatenate([self.rows_MD[places_m, c.start : c.stop] for c in columns], axis=1)
        self.largest = max(self.largest, found.size)
        return found

    def places(self, indices_n: Array) -> Array:
        """Return every row of some examples."""
        spans = [np.arange(self.starts_N1[i], self.starts_N1[i + 1]) for i in indices_n]
        return np.concatenate(spans)

    def units(self, indices_n: Array) -> Any:
        """Return nothing: nobody asks."""
        raise NotImplementedError


def parted(seed: int = 0) -> Parted:
    """120 pictures of one to five tiles; what they share lies in the first map, noise of cells in all."""
    random = np.random.default_rng(seed)
    counts = 1 + np.arange(120) % 5
    own = np.repeat(random.normal(size=(120, 5)), counts, axis=0)
    rows = random.normal(size=(len(own), 152)) * 0.5
    rows[:, 48:128] += np.repeat(own, 16, axis=1)
    return Parted(rows, counts)


def learnt(rows: Rows, detector: str = "neighbours") -> Learnt:
    found = unlike.learn(rows, MAPS, FOLD, np.full(120, ""), detector, 0)
    assert found is not None
    return found


def test_tiles_are_one_vector_a_picture() -> None:
    rows = parted()
    means = [
        rows.rows_MD[start:stop].mean(axis=0)
        for start, stop in zip(rows.starts_N1, rows.starts_N1[1:], strict=False)
    ]
    many, one = learnt(rows), learnt(Parted(np.stack(means), [1] * 120))
    assert one.facts["threshold"] == pytest.approx(many.facts["threshold"], abs=1e-3)
    every = np.arange(120)
    np.testing.assert_allclose(
        unlike.scores(many, MAPS, rows, every),
        unlike.scores(one, MAPS, Parted(np.stack(means), [1] * 120), every),
        atol=1e-3,
    )


def test_one_in_twenty_of_what_the_threshold_was_set_on_is_flagged() -> None:
    rows = parted()
    assert 0 < (unlike.scores(learnt(rows), MAPS, rows, FOLD[1]) > 0).mean() <= unlike.RATE


def test_what_varies_where_the_data_does_not_is_flagged_and_size_alone_is_not() -> None:
    random = np.random.default_rng(3)
    rows, other = parted(), parted(1)
    centre = rows.rows_MD.mean(axis=0)
    for one in (rows, other):
        one.rows_MD[:, 96:128] = centre[96:128] + 0.01 * random.normal(size=(len(one.rows_MD), 32))
    found, every = learnt(rows, "subspace"), np.arange(120)
    assert (unlike.scores(found, MAPS, other, every) > 0).mean() < 0.2
    shrunk = Parted(centre + (other.rows_MD - centre) * 0.3, np.diff(rows.starts_N1).tolist())
    assert (unlike.scores(found, MAPS, shrunk, every) > 0).mean() < 0.3
    other.rows_MD[:, 96:128] += 20.0
    assert (unlike.scores(found, MAPS, other, every) > 0).mean() > 0.8


def test_colours_do_not_count() -> None:
    found, rows, other = learnt(parted()), parted(1), parted(1)
    other.rows_MD[:, :48] += 100.0
    every = np.arange(120)
    assert np.array_equal(unlike.scores(found, MAPS, rows, every), unlike.scores(found, MAPS, other, every))


def test_whole_rows_say_the_same_as_columns_that_are_read() -> None:
    found, rows = learnt(parted()), parted(1)
    some = np.array([7, 3, 119])
    given = unlike.scores_of(found, MAPS, rows.rows_MD[rows.places(some)], np.diff(rows.starts_N1)[some])
    assert given == pytest.approx(unlike.scores(found, MAPS, rows, some))


def test_rows_are_read_in_pieces_of_whole_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, every = parted(), np.random.default_rng(0).permutation(120)
    whole = learnt(rows)
    scores = unlike.scores(whole, MAPS, rows, every)
    monkeypatch.setattr(vectors, "_PIECE_BYTES", 4 * 80 * 6)
    again = Parted(rows.rows_MD, np.diff(rows.starts_N1).tolist())
    assert learnt(again).facts == whole.facts
    assert np.array_equal(unlike.scores(whole, MAPS, again, every), scores)
    assert again.largest <= 80 * 6
    monkeypatch.setattr(vectors, "_PIECE_BYTES", 1)  # an example is one piece, whatever its size
    assert np.array_equal(unlike.scores(whole, MAPS, again, every), scores)


def test_runs_of_before_have_one_column_a_block() -> None:
    found, rows, every = learnt(parted()), parted(1), np.arange(120)
    assert all(len(block) == 1 for block in found.facts["columns"])
    old = replace(found, facts={**found.facts, "columns": [block[0] for block in found.facts["columns"]]})
    assert np.array_equal(unlike.scores(old, MAPS, rows, every), unlike.scores(found, MAPS, rows, every))


def test_too_few_held_out_examples_make_no_detector() -> None:
    fold = (np.arange(60), np.arange(60, 78))
    assert unlike.learn(parted(), MAPS, fold, np.full(120, ""), "neighbours", 0) is None


def test_a_detector_that_cannot_be_had_is_refused() -> None:
    beside.check("neighbours", MAPS, parted())
    beside.check(None, plugins.load("modality", "text-tokens"), parted())
    with pytest.raises(UserError, match="without a class each"):
        beside.check("mahalanobis", MAPS, parted())
    with pytest.raises(UserError, match="no detector"):
        beside.check("neighbours", plugins.load("modality", "text-tokens"), cast(Any, parted()))
