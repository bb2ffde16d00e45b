"""What belongs together by a column or by a name: read alike from every kind of table, and never torn."""

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headstart.contracts import Example, Listing
from headstart.core import plugins
from headstart.core.errors import UserError
from headstart.data import dataset
from headstart.data.groups import grouped
from headstart.data.labels import Labels
from headstart.data.split import arrange, folds_of
from tests.auditing import bad_data as bad

TEXTS = plugins.load("task", "text-classification").layouts
PICTURES = plugins.load("task", "image-classification").layouts


def groups_of(found: Listing) -> dict[str, str | None]:
    return {one.key: one.group for some in found.splits.values() for one in some}


def write(file: Path, rows: list[str]) -> Path:
    file.write_text("\n".join(rows) + "\n")
    return file


def test_a_column_is_found_by_its_name_in_any_case(tmp_path: Path) -> None:
    rows = [f"text {n} of it,{'ab'[n % 2]},{('p 1', ' 2', '', '3.0')[n % 4]}" for n in range(8)]
    file = write(tmp_path / "t.csv", ["text,label,Patient ID", *rows])
    found = grouped(dataset.read(file, TEXTS), file, "patient-id")
    assert list(groups_of(found).values()) == ["p 1", "2", None, "3.0"] * 2
    notes = {one.what: (one.count, one.examples) for one in found.notes}
    assert notes["grouped by column 'Patient ID': 3 groups"] == (6, ())
    alone = notes["no group by column 'Patient ID': each is one of its own"]
    assert alone == (2, ("t.csv:4", "t.csv:8"))


def test_a_table_of_pictures_has_columns_too(tmp_path: Path) -> None:
    root = bad.folders(tmp_path / "data")
    files = sorted(root.rglob("*.png"))
    lines = [f"{file.relative_to(root)},{file.parent.name},{n % 5}" for n, file in enumerate(files)]
    write(root / "pictures.csv", ["file,label,film", *lines])
    found = grouped(dataset.read(root / "pictures.csv", PICTURES), root / "pictures.csv", "film")
    assert groups_of(found) == {line.split(",")[0]: line.split(",")[2] for line in lines}


def test_a_saved_data_set_has_columns_too(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    columns = {"text": [f"text {n}" for n in range(6)], "label": ["a", "b"] * 3, "author": [7, 7, 8, 8, 9, 9]}
    datasets.Dataset.from_dict(columns).save_to_disk(tmp_path / "saved")
    found = grouped(dataset.read(tmp_path / "saved", TEXTS), tmp_path / "saved", "author")
    assert sorted(groups_of(found).values()) == ["7", "7", "8", "8", "9", "9"]  # type: ignore[type-var]


def test_a_pattern_is_searched_for_in_names(tmp_path: Path) -> None:
    root = bad.folders(tmp_path / "data")
    found = grouped(dataset.read(root, PICTURES), root, r"(\d)\.png")
    assert {(key[-5], group) for key, group in groups_of(found).items()} == {
        (digit, digit) for digit in {key[-5] for key in groups_of(found)}
    }
    by_folder = grouped(dataset.read(root, PICTURES), root, "^(ant|bee)/")
    assert Counter(groups_of(by_folder).values())[None] == len(list((root / "cow").iterdir()))


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("patient", r"no column \(there are none\), and has no pairs of brackets"),
        (r"(a)(b)", "has 2 pairs of brackets"),
        ("(", "is no pattern"),
        (r"patient-(\d+)", r"fits none of \d+ examples, the first 'ant/00.png'"),
    ],
)
def test_what_is_neither_is_said(by: str, message: str, tmp_path: Path) -> None:
    root = bad.folders(tmp_path / "data")
    with pytest.raises(UserError, match=message):
        grouped(dataset.read(root, PICTURES), root, by)


def test_the_columns_there_are_are_named(tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", ["text,label,who", *(f"t {n},{'ab'[n % 2]},x" for n in range(6))])
    with pytest.raises(UserError, match="there are 'text', 'label', 'who'"):
        grouped(dataset.read(file, TEXTS), file, "author")


Drawn = list[tuple[int, str]]
"""A group's number and a class for each example."""


def listed(drawn: Drawn, several: bool = False) -> list[Example]:
    truth = (lambda name: Labels((name,))) if several else (lambda name: None)
    return [
        Example(f"{place:03}", "" if several else name, Path("t"), text="t", truth=truth(name), group=f"g{g}")
        for place, (g, name) in enumerate(drawn)
    ]


@example(drawn=[*((place, "a") for place in range(7)), (7, "b")], several=True)
@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.sampled_from("abc")), min_size=8, max_size=60), st.booleans()
)
def test_no_group_is_torn_and_no_class_is_lost_to_training(drawn: Drawn, several: bool) -> None:
    examples = listed(drawn, several)
    names = tuple(sorted({name for _, name in drawn}))
    groups = {g for g, _ in drawn}
    if len(groups) < 3 or len(names) < 2:
        return
    holders = Counter(name for _, name in set(drawn))
    try:
        data = arrange(Listing(layout="x", splits={"all": examples}, classes=names), 0)
    except UserError:
        assert min(holders.values()) == 1 or len(groups) <= 3 * len(names)
        return
    assert sorted((*data.train, *data.val, *data.test), key=lambda one: one.key) == examples
    roles = defaultdict(set)
    for role in ("train", "val", "test"):
        assert getattr(data, role) or role == "val"
        for one in getattr(data, role):
            roles[one.group].add(role)
    assert {len(some) for some in roles.values()} == {1}
    assert {name for one in data.train for name in one.names()} == set(names)
    try:
        made = folds_of(examples, 0)
    except UserError:
        assert min(holders.values()) == 1 or len(groups) <= 3 * len(names)
        return
    seen = list[int]()
    for fit, held in made:
        assert len(held)
        assert {examples[n].group for n in fit}.isdisjoint({examples[n].group for n in held})
        assert sorted([*fit, *held]) == list(range(len(examples)))
        assert {name for n in fit for name in examples[n].names()} == set(names)
        seen += held.tolist()
    assert len(seen) == len(set(seen))


def test_groups_of_classes_are_dealt_in_proportion() -> None:
    random = np.random.default_rng(0)
    drawn = [(g, "ab"[g % 4 == 0]) for g in range(100) for _ in range(random.integers(1, 8))]
    examples = listed(drawn)
    data = arrange(Listing(layout="x", splits={"all": examples}, classes=("a", "b")), 0)
    assert "groups kept together" in data.made
    for part, share in ((data.train, 0.7), (data.val, 0.15), (data.test, 0.15)):
        assert abs(len(part) / len(examples) - share) < 0.03
        assert abs(sum(one.label == "b" for one in part) / len(part) - 0.25) < 0.08
    sizes = [len(held) for _, held in folds_of(examples, 0)]
    assert len(sizes) == 5
    assert max(sizes) - min(sizes) <= 14


def test_a_class_of_two_groups_is_told_where_it_lacks() -> None:
    drawn = [(g, "a") for g in range(20) for _ in range(4)] + [(g, "b") for g in (20, 21) for _ in range(6)]
    data = arrange(Listing(layout="x", splits={"all": listed(drawn)}, classes=("a", "b")), 0)
    assert "class of the training split that is missing from" in " ".join(one.what for one in data.notes)
    with pytest.raises(UserError, match="10 examples in 2 groups: none can be held out"):
        arrange(Listing(layout="x", splits={"all": listed(drawn[76:86])}, classes=("a", "b")), 0)
    with pytest.raises(UserError, match="so that one can be held out"):
        folds_of(listed([(0, "a"), (0, "a"), (1, "b"), (1, "b")]), 0)
