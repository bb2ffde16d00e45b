"""Texts with any number of labels, in each form that tables hold them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from headstart.contracts import Example, Listing
from headstart.core.errors import UserError
from headstart.data.dataset import layout_of, read
from headstart.data.labels import Labels, indicators, places

LAYOUTS = ("hf-dataset", "text-table")
ROWS = [("a b", ["u", "v"]), ("c d", ["v"]), ("e f", []), ("g h", ["w", "u"])]
Write = Callable[[Path], Path]


def put(file: Path, content: str) -> Path:
    file.write_text(content)
    return file


def joined(mark: str, column: str = "tags") -> Write:
    rows = [f'{text},"{mark.join(names)}"' for text, names in ROWS]
    return lambda folder: put(folder / "t.csv", "\n".join([f"text,{column}", *rows]) + "\n")


def written(folder: Path) -> Path:
    rows = [f'{text},"{names}"' for text, names in ROWS]
    return put(folder / "t.csv", "\n".join(["text,label", *rows]) + "\n")


def lists(folder: Path) -> Path:
    rows = [json.dumps({"text": text, "label": names}) for text, names in ROWS]
    return put(folder / "t.jsonl", "\n".join(rows) + "\n")


def in_parquet(folder: Path) -> Path:
    columns = {"text": [text for text, _ in ROWS], "labels": [names for _, names in ROWS]}
    parquet.write_table(pa.table(columns), folder / "t.parquet")
    return folder / "t.parquet"


def flags(folder: Path) -> Path:
    header = "id,text,u,v,w"
    rows = [
        f"{place},{text},{','.join(str(int(one in names)) for one in 'uvw')}"
        for place, (text, names) in enumerate(ROWS * 3)
    ]
    return put(folder / "t.csv", "\n".join([header, *rows]) + "\n")


def saved(features: dict[str, Any], columns: dict[str, Any]) -> Write:
    def write(folder: Path) -> Path:
        table = pa.table({"text": [text for text, _ in ROWS], **columns})
        with pa.OSFile(str(folder / "d.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as out:
            out.write_table(table)
        put(folder / "state.json", json.dumps({"_data_files": [{"filename": "d.arrow"}], "_split": None}))
        described = {"text": {"dtype": "string", "_type": "Value"}, **features}
        put(folder / "dataset_info.json", json.dumps({"features": described}))
        return folder

    return write


NAMED = {"names": ["u", "v", "w"], "_type": "ClassLabel"}
NUMBERS = {"emotions": [["uvw".index(one) for one in names] for _, names in ROWS]}
FLAG_TYPE = {"dtype": "bool", "_type": "Value"}


@pytest.mark.parametrize(
    "write",
    [
        joined("|"),
        joined(";", "Labels"),
        written,
        lists,
        in_parquet,
        flags,
        saved({"emotions": {"feature": NAMED, "_type": "Sequence"}}, NUMBERS),
        saved({"emotions": {"feature": NAMED, "_type": "List"}}, NUMBERS),
        saved({"emotions": [NAMED]}, NUMBERS),
        saved(dict.fromkeys("uvw", FLAG_TYPE), {one: [one in names for _, names in ROWS] for one in "uvw"}),
    ],
)
def test_every_form_gives_the_same_labels(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path)
    assert layout_of(path, LAYOUTS) is not None
    found = read(path, LAYOUTS)
    assert found.classes == ("u", "v", "w")
    some = found.splits["all"][:4]
    assert [(one.text, sorted(one.names())) for one in some] == [(t, sorted(names)) for t, names in ROWS]
    assert {(one.kind, one.label) for one in some} == {("labels", "")}
    notes = {note.what: note.count for note in found.notes}
    assert notes["text that no label is right of"] in (1, 3)
    assert any(what.startswith("a text may have several labels: ") for what in notes)


def cells(*labels: str, column: str = "genre") -> str:
    return "\n".join([f"text,{column}", *(f'text {n},"{label}"' for n, label in enumerate(labels))]) + "\n"


def kinds(listing: Listing) -> set[str]:
    return {one.kind for examples in listing.splits.values() for one in examples}


@pytest.mark.parametrize(
    ("content", "classes", "kind"),
    [
        # Fewer parts than cells, and parts that stand alone: a comma parts labels even in one column's name.
        (cells("drama, comedy", "drama", "comedy", "war, drama"), ("comedy", "drama", "war"), "labels"),
        # Two names with commas in them: not certain, so they are what they are.
        (cells("food, drink", "art, music", "food, drink"), ("art, music", "food, drink"), ""),
        (cells("a;b", "c;d", "a;b"), ("a;b", "c;d"), ""),
        (cells("a;b", "c;d", "a;b", column="topics"), ("a", "b", "c", "d"), "labels"),
        # Exactly one each: a class.
        (cells("['a']", "['b']"), ("a", "b"), ""),
    ],
)
def test_only_what_is_certain_is_taken_apart(
    tmp_path: Path, content: str, classes: tuple[str, ...], kind: str
) -> None:
    found = read(put(tmp_path / "t.csv", content), LAYOUTS)
    assert (found.classes, kinds(found)) == (classes, {kind})


def test_lists_of_0_and_1_are_told_from_lists_of_labels(tmp_path: Path) -> None:
    rows = [{"text": "a", "labels": [0, 1, 1]}, {"text": "b", "labels": [0.0, 0.0, 1.0]}]
    found = read(put(tmp_path / "t.jsonl", "\n".join(map(json.dumps, rows))), LAYOUTS)
    assert [one.names() for one in found.splits["all"]] == [("1", "2"), ("2",)]
    rows = [{"text": "a", "labels": [0, 1]}, {"text": "b", "labels": [1, 2]}, {"text": "c", "labels": [1, 1]}]
    found = read(put(tmp_path / "t.jsonl", "\n".join(map(json.dumps, rows))), LAYOUTS)
    assert [one.names() for one in found.splits["all"]] == [("0", "1"), ("1", "2"), ("1",)]
    assert "a label named twice for one text, counted once" in {note.what for note in found.notes}


def test_columns_of_0_and_1_beside_other_candidates_are_asked_about(tmp_path: Path) -> None:
    rows = "\n".join(f"a text {n},{n % 3},{n % 2},{(n + 1) % 2}" for n in range(12))
    with pytest.raises(UserError, match="no label column"):
        read(put(tmp_path / "t.csv", f"text,stars,liked,read\n{rows}\n"), LAYOUTS)
    one = "\n".join(f"a text {n},{n % 2},0" for n in range(12))
    assert read(put(tmp_path / "t.csv", f"text,spam,seen\n{one}\n"), LAYOUTS).classes == ("0", "1")


def test_one_1_in_each_row_is_a_class(tmp_path: Path) -> None:
    rows = "\n".join(f"a text {n},{int(n % 2 == 0)},{n % 2}" for n in range(8))
    found = read(put(tmp_path / "t.csv", f"text,good,bad\n{rows}\n"), LAYOUTS)
    assert (found.classes, kinds(found)) == (("bad", "good"), {""})
    assert "each text has exactly one label: read as its class" in {note.what for note in found.notes}


def test_what_is_not_0_or_1_is_named_with_its_row(tmp_path: Path) -> None:
    rows = "\n".join(f"text {n},{n % 2},1,{(n + 1) % 2}" for n in range(300))
    file = put(tmp_path / "t.csv", f"text,u,v,w\n{rows}\nlast,0,2,1\nblank,,1,0\n")
    with pytest.raises(UserError, match="no label column"):  # a column with a 2 is no flag, but may be meant
        read(file, LAYOUTS)
    (tmp_path / "s").mkdir()
    put(tmp_path / "s" / "train.csv", f"text,u,v,w\n{rows}\nblank,,1,0\n")
    put(tmp_path / "s" / "test.csv", "text,u,v,w\nodd,0,2,1\n")
    with pytest.raises(UserError, match=r"test\.csv, row 2: '2' in column 'v'; expected 0 or 1"):
        read(tmp_path / "s", LAYOUTS)
    put(tmp_path / "s" / "test.csv", "text,u,v\nodd,0,1\n")
    with pytest.raises(UserError, match=r"test\.csv has no column 'w'"):
        read(tmp_path / "s", LAYOUTS)
    put(tmp_path / "s" / "test.csv", "text\nno labels here\n")
    found = read(tmp_path / "s", LAYOUTS)
    assert [(one.file, one.reason) for one in found.dropped] == [("train.csv:302", "unlabelled")]
    assert "table left out: it has no label column" in {note.what for note in found.notes}


def test_a_label_that_training_lacks_is_said(tmp_path: Path) -> None:
    put(tmp_path / "train.csv", "text,tags\na,x|y\nb,y\nc,x\n")
    put(tmp_path / "test.csv", "text,tags\na,x|new\nb,y\n")
    found = read(tmp_path, LAYOUTS)
    assert found.classes == ("new", "x", "y")
    what = "class of test that nothing in the training split has: it cannot be learnt"
    assert [note.examples for note in found.notes if note.what == what] == [("new",)]


def test_a_cell_unlike_the_others_is_named(tmp_path: Path) -> None:
    rows = ['{"text": "a", "label": ["x", "y"]}', '{"text": "b", "label": "x"}', '{"text": "c"}']
    found = read(put(tmp_path / "t.jsonl", "\n".join(rows)), LAYOUTS)
    assert [one.names() for one in found.splits["all"]] == [("x", "y"), ("x",)]
    assert [(one.file, one.reason) for one in found.dropped] == [("t.jsonl:3", "unlabelled")]
    rows[1] = '{"text": "b", "label": [["x"]]}'
    with pytest.raises(UserError, match="row 2, label: a list"):
        read(put(tmp_path / "t.jsonl", "\n".join(rows)), LAYOUTS)


def test_targets_agree_by_name() -> None:
    both = Example("k", "", Path("k"), truth=Labels(("c", "a")))
    none = Example("l", "", Path("l"), truth=Labels(()))
    one = Example("m", "b", Path("m"))
    np.testing.assert_array_equal(indicators([both, none, one], "abc"), [[1, 0, 1], [0, 0, 0], [0, 1, 0]])
    assert places([one, Example("n", "a", Path("n"))], "abc").tolist() == [1, 0]
    assert both.target_bytes() == Example("z", "", Path("z"), truth=Labels(("a", "c"))).target_bytes()
    assert both.target_bytes() != none.target_bytes()
