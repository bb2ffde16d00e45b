import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.contracts import Example, Listing
from headstart.core.errors import UserError
from headstart.data.split import Dataset, arrange, folds


def examples(split: str, **counts: int) -> list[Example]:
    keys = (
        (f"{split}/{label}/{number}", label) for label, count in counts.items() for number in range(count)
    )
    return [Example(key, label, Path(key)) for key, label in keys]


def listing(**splits: list[Example]) -> Listing:
    classes = tuple(sorted({example.label for items in splits.values() for example in items}))
    return Listing(layout="x", splits=splits, classes=classes)


def keys(items: tuple[Example, ...]) -> set[str]:
    return {example.key for example in items}


def parts(data: Dataset) -> list[tuple[Example, ...]]:
    return [data.train, data.val, data.test]


def test_unsplit_data_is_divided_by_class() -> None:
    data = arrange(listing(all=examples("", a=100, b=40, c=3)), 0)
    counts = [Counter(example.label for example in part) for part in parts(data)]
    assert counts == [{"a": 70, "b": 28, "c": 1}, {"a": 15, "b": 6, "c": 1}, {"a": 15, "b": 6, "c": 1}]
    assert len(keys(data.train) | keys(data.val) | keys(data.test)) == 143
    assert data.reported == "test"
    assert "70/15/15" in data.made
    assert "seed 0" in data.made


def test_what_has_no_class_is_not_said_to_be_divided_by_class() -> None:
    texts = [Example(f"{number}", "", Path("pairs.jsonl"), target="x") for number in range(20)]
    unlabelled = arrange(listing(all=texts), 0)
    assert "class" not in unlabelled.made
    assert "each class in proportion" in arrange(listing(all=examples("", a=10, b=10)), 0).made
    assert [len(part) for part in parts(unlabelled)] == [14, 3, 3]


def test_the_division_depends_on_seed_and_keys_alone() -> None:
    items = examples("", a=50, b=50)
    first = arrange(listing(all=items), 3)
    state = np.random.get_state()[1].copy(), random.getstate()
    random.Random(1).shuffle(items)
    np.testing.assert_array_equal(np.random.get_state()[1], state[0])
    assert random.getstate() == state[1]
    assert parts(arrange(listing(all=items), 3)) == parts(first)
    assert keys(arrange(listing(all=items), 4).test) != keys(first.test)


def test_the_division_is_not_the_order_of_names() -> None:
    data = arrange(listing(all=examples("", a=100, b=100)), 0)
    numbers = [int(example.key.rsplit("/", 1)[1]) for example in data.test]
    assert 30 < np.mean(numbers) < 70


def test_another_file_moves_few() -> None:
    before = arrange(listing(all=examples("", a=100, b=100)), 0)
    after = arrange(listing(all=examples("", a=101, b=100)), 0)
    assert len(keys(before.test) ^ keys(after.test)) <= 4


def test_given_splits_are_kept() -> None:
    train, val, test = examples("train", a=4, b=4), examples("val", a=2, b=1), examples("test", a=1, b=1)
    data = arrange(listing(train=train, val=val, test=test), 0)
    assert (list(data.train), list(data.val), list(data.test), data.reported) == (train, val, test, "test")
    data = arrange(listing(train=train, test=test), 0)
    assert (list(data.train), data.val, list(data.test), data.reported) == (train, (), test, "test")
    data = arrange(listing(train=train, val=val), 0)
    assert (list(data.train), data.val, list(data.test), data.reported) == (train, (), val, "val")
    assert "reported on val" in data.made


def test_train_alone_is_divided() -> None:
    assert len(arrange(listing(train=examples("train", a=20, b=20)), 0).test) == 6


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"all": examples("", a=9, b=2)}, r"'b' \(2\)"),
        ({"all": examples("", a=9)}, "single class"),
        ({"train": examples("", a=9, b=1), "test": examples("t", a=1)}, r"training examples of 'b' \(1\)"),
        (
            {"train": examples("", a=9, b=2), "val": examples("v", a=1), "test": examples("t", c=3)},
            r"the test split has only classes that the train split lacks: 'c' \(3\)",
        ),
        ({"test": examples("", a=9, b=2)}, "only a test split"),
    ],
)
def test_too_little_of_a_class_is_said(splits: dict[str, list[Example]], message: str) -> None:
    with pytest.raises(UserError, match=message):
        arrange(listing(**splits), 0)


def test_what_training_never_sees_is_tested_on_but_not_selected_on() -> None:
    train, val, test = examples("train", a=4, b=4), examples("val", a=2, c=2), examples("test", a=1, d=2)
    data = arrange(listing(train=train, val=val, test=test), 0)
    assert data.classes == ("a", "b")
    assert list(data.test) == test
    assert [one.label for one in data.val] == ["a", "a"]
    assert {one.file for one in data.dropped} == {"val/c/0", "val/c/1"}
    reported = arrange(listing(train=train, val=val), 0)
    assert (list(reported.test), reported.dropped) == (val, ())


@given(st.lists(st.integers(0, 6), min_size=2, max_size=60), st.integers(0, 5), st.integers(2, 6))
def test_folds_cover_each_example_once_and_spread_each_class(
    labels: list[int], seed: int, count: int
) -> None:
    sizes = Counter(labels)
    if max(sizes.values()) < 2:
        with pytest.raises(ValueError, match="no class has two"):
            folds(labels, seed, count)
        return
    made = folds(labels, seed, count)
    held = np.concatenate([validation for _, validation in made])
    assert sorted(held) == [place for place, label in enumerate(labels) if sizes[label] > 1]
    assert len(made) == min(count, max(sizes.values()))
    for fit, validation in made:
        assert sorted([*fit, *validation]) == list(range(len(labels)))
        assert {labels[place] for place in fit} == set(labels)
        for label, size in Counter(labels[place] for place in validation).items():
            assert size <= -(-sizes[label] // len(made))
    assert max(len(v) for _, v in made) - min(len(v) for _, v in made) <= 1


def test_folds_differ_by_seed_and_repeat() -> None:
    labels = np.arange(60) % 3
    first, again, other = folds(labels, 0), folds(labels, 0), folds(labels, 1)
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a[1], b[1]) for a, b in zip(first, other, strict=True))
