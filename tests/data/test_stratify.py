"""Labels in proportion, however rare and however mixed."""

from collections import Counter
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.contracts import Example, Listing
from headstart.data.labels import Labels
from headstart.data.split import arrange, folds_of
from headstart.data.stratify import deal

COMMON = {"a": 0.5, "b": 0.3, "c": 0.1, "d": 0.02}


def example(place: int, names: tuple[str, ...]) -> Example:
    return Example(f"{place:04}", "", Path("t"), text="t", truth=Labels(names))


def examples(count: int = 600) -> list[Example]:
    random = np.random.default_rng(0)
    rows = [tuple(name for name, share in COMMON.items() if random.random() < share) for _ in range(count)]
    return [example(place, names) for place, names in enumerate(rows)]


def test_each_label_is_in_proportion_in_each_part() -> None:
    everything = examples()
    data = arrange(Listing(layout="x", splits={"all": everything}, classes=tuple(COMMON)), 0)
    assert data.kind == "labels"
    assert data.classes == tuple(COMMON)
    totals = Counter(name for one in everything for name in one.names())
    for part, share in ((data.train, 0.7), (data.val, 0.15), (data.test, 0.15)):
        assert abs(len(part) - share * len(everything)) <= 3
        found = Counter(name for one in part for name in one.names())
        for name, total in totals.items():
            assert abs(found[name] - share * total) <= 1.5, name
    again = arrange(Listing(layout="x", splits={"all": everything[::-1]}, classes=tuple(COMMON)), 0)
    assert again.test == data.test
    other = arrange(Listing(layout="x", splits={"all": everything}, classes=tuple(COMMON)), 1)
    assert other.test != data.test


def test_folds_hold_each_label_in_proportion_and_each_example_once() -> None:
    some = examples(200)
    made = folds_of(some, 0)
    held = np.concatenate([validate for _, validate in made])
    assert sorted(held) == list(range(200))
    totals = Counter(name for one in some for name in one.names())
    for fit, validate in made:
        assert sorted([*fit, *validate]) == list(range(200))
        found = Counter(name for place in validate for name in some[place].names())
        assert all(abs(found[name] - total / 5) <= 1.5 for name, total in totals.items())
    assert folds_of([example(n, ("a",)) for n in range(3)], 0)[0][0].size == 2


@settings(deadline=None)
@given(st.lists(st.sets(st.sampled_from("abc")), max_size=40), st.integers(2, 4))
def test_every_example_gets_one_part(names: list[set[str]], parts: int) -> None:
    dealt = deal([sorted(one) for one in names], [1 / parts] * parts)
    assert len(dealt) == len(names)
    assert set(dealt) <= set(range(parts))
    assert max(Counter(dealt).values(), default=0) <= -(-len(names) // parts) + 3


def test_the_rarest_label_is_not_all_in_one_part() -> None:
    names = [["common"]] * 60 + [["common", "rare"]] * 4
    dealt = deal(names, [0.5, 0.25, 0.25])
    assert sorted(dealt[60:]) == [0, 0, 1, 2]
