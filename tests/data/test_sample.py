"""Samples: in proportion, at least a few of each class, the same each time."""

from collections import Counter
from pathlib import Path

from headstart.contracts import Example
from headstart.data.sample import sample


def examples(**counts: int) -> list[Example]:
    return [
        Example(f"{name}/{i}", name, Path(f"{name}/{i}"))
        for name, count in counts.items()
        for i in range(count)
    ]


def test_few_examples_are_all_taken() -> None:
    given = examples(a=5, b=5)
    assert sample(given, 10, 0) == given


def test_classes_are_held_in_proportion_and_rare_ones_keep_four() -> None:
    given = examples(common=800, usual=190, rare=10)
    counts = Counter(one.label for one in sample(given, 100, 0))
    assert sum(counts.values()) == 100
    assert counts["rare"] == 4
    assert abs(counts["common"] - 78) <= 2


def test_many_classes_raise_the_number() -> None:
    given = examples(**{f"c{i}": 20 for i in range(30)})
    assert Counter(Counter(one.label for one in sample(given, 50, 0)).values()) == {4: 30}


def test_the_order_is_kept_and_the_seed_decides() -> None:
    given = examples(a=50, b=50)
    first = sample(given, 20, 0)
    assert first == sample(list(reversed(given)), 20, 0)[::-1]
    assert first == [one for one in given if one in first]
    assert first != sample(given, 20, 1)
