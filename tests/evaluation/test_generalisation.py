"""The learning curve and the gap on invented features, where it is known what they must show."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from headstart.contracts import Array, Column, Example, Rows, Training
from headstart.core import plugins
from headstart.core.records import Table
from headstart.core.tallies import Tallies
from headstart.evaluation import generalisation
from headstart.specs import FitSpec

TASK = plugins.load("task", "text-classification")
LEARNER = plugins.load("learner", "classes")
CLASSES = ("no", "yes")
COLUMNS = [Column("mean/0", 0, 30)]


@dataclass(frozen=True)
class Invented(Rows):
    """Rows that lie in memory."""

    examples: Sequence[Example]
    features_ND: Array
    columns: Sequence[Column]
    starts_N1: Array

    def read(self, places_m: Array, columns: Sequence[Column]) -> Any:
        """Return rows."""
        return np.concatenate([self.features_ND[places_m, c.start : c.stop] for c in columns], axis=1)

    def places(self, indices_n: Array) -> Array:
        """Return the examples themselves."""
        return indices_n

    def units(self, indices_n: Array) -> list[list[Example]]:
        """Return one unit each."""
        return [[self.examples[int(index)]] for index in indices_n]


def training(num_train: int, num_held: int, noise: float, **options: Any) -> Training:
    """Return a problem whose classes are apart in every feature a little."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, num_train + num_held)
    features = random.normal(size=(len(labels), 30)) * noise + (2 * labels[:, None] - 1)
    examples = [Example(f"{i}", CLASSES[k], Path("t"), text="a word") for i, k in enumerate(labels)]
    rows = Invented(examples, features.astype(np.float32), COLUMNS, np.arange(len(labels) + 1))
    fit, held = np.arange(num_train), np.arange(num_train, len(labels))
    return Training(
        spec=FitSpec("x", l2=1e-4, **options),
        reading=cast(Any, None),
        frozen=cast(Any, None),
        rows=rows,
        classes=CLASSES,
        indices_n=fit,
        folds=[(fit, held)],
        checkpoints=Path("nowhere"),
    )


def curve(one: Training) -> Table | None:
    sets = {"last": COLUMNS}
    return generalisation.curve(TASK, LEARNER, one, LEARNER.train(one, sets), sets)


def values(table: Table) -> list[float]:
    return [float(row[-1].split(" ")[0]) for row in table.rows]


def test_more_data_helps_where_the_task_is_noisy() -> None:
    table = curve(training(160, 1500, noise=8.0))
    assert table is not None
    assert [row[0] for row in table.rows] == ["20", "40", "80", "160"]
    assert values(table) == sorted(values(table))
    assert "more data would probably help further" in table.note


def test_more_data_hardly_helps_where_everything_is_right_already() -> None:
    table = curve(training(160, 1500, noise=1.2))
    assert table is not None
    assert min(values(table)[1:]) > 0.98
    assert "hardly help" in table.note or "cannot tell" in table.note


def test_few_held_out_examples_tell_nothing_and_few_to_train_on_make_no_curve() -> None:
    table = curve(training(160, 12, noise=8.0))
    assert table is not None
    assert "12 held-out texts cannot tell" in table.note
    assert curve(training(20, 12, noise=8.0)) is None


def test_the_last_point_is_the_head_itself() -> None:
    one = training(160, 400, noise=8.0)
    table = curve(one)
    head = LEARNER.train(one, {"last": COLUMNS}).head
    held = one.folds[0][1]
    right = head.outputs(one.rows.read(held, COLUMNS)).argmax(axis=1) == np.array(
        [CLASSES.index(one.rows.examples[i].label) for i in held]
    )
    assert table is not None
    assert values(table)[-1] == np.round(right.mean(), 3)


def test_the_gap_between_memory_and_what_holds() -> None:
    one = training(60, 300, noise=8.0)
    head = LEARNER.train(one, {"last": COLUMNS}).head
    held = one.folds[0][1]
    added, units = generalisation.statistics(TASK, head, one.rows, held, CLASSES)
    digests = np.zeros((len(held), 32), np.uint8)
    tallies = Tallies(
        task=TASK.name,
        kind="",
        classes=CLASSES,
        statistics_NM=added,
        inputs=digests,
        truths=digests,
        units_N=units,
    )
    table = generalisation.gap(TASK, head, one.rows, one.folds[0][0], tallies)
    trained, other = values(table)
    assert trained > other + 0.1
    assert f"{trained - other:+.3f}"[:4] in table.note
