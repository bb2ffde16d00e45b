import json
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from headstart.contracts import Listing
from headstart.core import plugins
from headstart.core.errors import UserError
from headstart.data.dataset import layout_of, read

Save = Callable[..., Path]
LAYOUTS = ("orange-tab", "hf-dataset", "text-table", "text-folders")
PICTURES = ("image-table", "class-folders")
PLAIN = "text,label\ngood film,pos\nbad film,neg\nfine,pos\n"


def put(folder: Path, name: str, content: str | bytes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder / name


def table(*rows: tuple[object, ...]) -> str:
    return "\n".join(",".join(map(str, row)) for row in rows) + "\n"


def texts(listing: Listing, split: str = "all") -> dict[str, tuple[str | None, str]]:
    return {example.key: (example.text, example.label) for example in listing.splits[split]}


def whats(listing: Listing) -> set[str]:
    return {note.what for note in listing.notes}


def recognised(path: Path) -> tuple[bool, bool]:
    return tuple(plugins.load("layout", name).recognises(path) for name in ("text-table", "image-table"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", PLAIN.encode()),
        ("t.csv", PLAIN.encode("utf-8-sig")),
        ("t.csv", PLAIN.encode("utf-16")),
        ("t.csv", PLAIN.replace(",", ";").encode()),
        ("t.CSV", PLAIN.replace("text,label", " Review Text , SENTIMENT ").encode()),
        ("t.tsv", PLAIN.replace(",", "\t").replace("text\tlabel", "Comment\ty").encode()),
    ],
)
def test_one_table_however_it_is_written(tmp_path: Path, name: str, content: bytes) -> None:
    file = put(tmp_path, name, content)
    expected = {
        f"{name}:2": ("good film", "pos"),
        f"{name}:3": ("bad film", "neg"),
        f"{name}:4": ("fine", "pos"),
    }
    for path in (file, tmp_path):
        found = read(path, LAYOUTS)
        assert (found.layout, texts(found), found.dropped) == ("text-table", expected, ())
        assert all(example.path == file for example in found.splits["all"])
        assert recognised(path) == (True, False)


def test_quoted_newlines_commas_and_quotes_stay_in_their_cell(tmp_path: Path) -> None:
    put(tmp_path, "t.csv", 'label,text\nx,"one\ntwo, ""three"""\n\ny,four\n')
    assert texts(read(tmp_path, LAYOUTS)) == {
        "t.csv:2": ('one\ntwo, "three"', "x"),
        "t.csv:4": ("four", "y"),
    }


def test_a_text_longer_than_the_csv_modules_limit(tmp_path: Path) -> None:
    long = "word " * 60_000
    put(tmp_path, "t.csv", f"text,label\n{long},a\nshort,b\n")
    assert texts(read(tmp_path, LAYOUTS))["t.csv:2"] == (long.strip(), "a")
    assert recognised(tmp_path / "t.csv") == (True, False)  # its first row ends beyond what is looked at


def test_windows_1252_is_noted(tmp_path: Path) -> None:
    put(tmp_path, "t.csv", "text,label\ncafé crème,a\nthé,b\n".encode("cp1252"))
    found = read(tmp_path, LAYOUTS)
    assert texts(found)["t.csv:2"] == ("café crème", "a")
    assert "table is not UTF-8, read as Windows-1252" in whats(found)


def test_the_more_telling_name_wins_and_what_is_left_out_is_said(tmp_path: Path) -> None:
    put(tmp_path, "t.csv", "id,title,text,label\n1,T,long,a\n2,T,longer,b\n")
    found = read(tmp_path, LAYOUTS)
    assert texts(found)["t.csv:2"] == ("long", "a")
    notes = {note.what: note.examples for note in found.notes}
    assert notes["columns left out"] == ("id", "title")
    assert {"read column 'text' as the text", "read column 'label' as the label"} <= set(notes)


def test_what_has_no_text_or_label_is_listed(tmp_path: Path) -> None:
    put(tmp_path, "t.csv", PLAIN + ",pos\n   ,neg\nsome,\nother,  \n")
    found = read(tmp_path, LAYOUTS)
    assert {item.file: item.reason for item in found.dropped} == {
        "t.csv:5": "empty text",
        "t.csv:6": "empty text",
        "t.csv:7": "empty label",
        "t.csv:8": "empty label",
    }
    assert len(found.splits["all"]) == 3


def test_numbers_booleans_and_gaps_in_parquet_and_json(tmp_path: Path) -> None:
    columns = {"text": ["a b", "c d", "e f"], "label": [3.0, None, 10.0]}
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    found = read(tmp_path, LAYOUTS)
    assert texts(found) == {"t.parquet:1": ("a b", "3"), "t.parquet:3": ("e f", "10")}
    assert [item.file for item in found.dropped] == ["t.parquet:2"]
    rows = [{"text": "a", "label": True}, {"label": False, "text": "b"}, {"label": True}]
    file = put(tmp_path, "t.jsonl", "\n".join(map(json.dumps, rows)))
    found = read(file, LAYOUTS)
    assert texts(found) == {"t.jsonl:1": ("a", "True"), "t.jsonl:2": ("b", "False")}


def test_a_split_column(tmp_path: Path) -> None:
    put(tmp_path, "t.csv", "text,label,Split\na,x,Train\nb,y,training\nc,y,VALIDATION\nd,x,\n")
    found = read(tmp_path, LAYOUTS)
    assert {split: set(texts(found, split)) for split in found.splits} == {
        "train": {"t.csv:2", "t.csv:3"},
        "val": {"t.csv:4"},
    }
    assert [item.reason for item in found.dropped] == ["empty split"]


def test_a_table_per_split_in_the_same_columns(tmp_path: Path) -> None:
    put(
        tmp_path,
        "train.csv",
        "id,note,label\n" + table(*((i, f"a {i} long text", "ab"[i % 2]) for i in range(9))),
    )
    put(tmp_path, "test.csv", "label,note,id\na,one,1\n")  # too small to guess from, in another order
    put(tmp_path, "sample_submission.csv", "id\n1\n")
    found = read(tmp_path, LAYOUTS)
    assert (len(found.splits["train"]), texts(found, "test")) == (9, {"test.csv:2": ("one", "a")})


def test_the_shards_of_the_hub(tmp_path: Path) -> None:
    for split in ("train", "validation"):
        columns = pa.table({"text": ["a", "b"], "label": [0, 1]})
        parquet.write_table(columns, tmp_path / f"{split}-00000-of-00001.parquet")
    assert set(read(tmp_path, LAYOUTS).splits) == {"train", "val"}


def test_a_test_table_without_labels_is_left_out_and_said(tmp_path: Path) -> None:
    put(tmp_path, "train.csv", PLAIN)
    put(tmp_path, "test.csv", "text\nunknown\n")
    found = read(tmp_path, LAYOUTS)
    assert set(found.splits) == {"train"}
    assert {n.what: n.examples for n in found.notes}["table left out: it has no label column"] == (
        "test.csv",
    )


SPAM = [("ham" if i % 5 else "spam", f"some words number {i} of a message", i) for i in range(60)]


def test_columns_without_a_telling_name_are_guessed_and_said(tmp_path: Path) -> None:
    rows = [(label, text, "", "") for label, text, _ in SPAM]
    put(tmp_path, "t.csv", table(("v1", "v2", "", ""), *rows))  # as the SMS spam collection is
    found = read(tmp_path, LAYOUTS)
    assert (found.layout, found.classes) == ("text-table", ("ham", "spam"))
    assert "read column 'v2' as the text, guessed from its content" in whats(found)
    assert "read column 'v1' as the label, guessed from its content" in whats(found)


@pytest.mark.parametrize("name", ["id", "user_id", "number", "v0"])
def test_a_numeric_id_never_becomes_the_label(tmp_path: Path, name: str) -> None:
    rows = [(i // 10 if name != "v0" else i, label, text) for label, text, i in SPAM]
    put(tmp_path, "t.csv", table((name, "v1", "v2"), *rows))
    assert read(tmp_path, LAYOUTS).classes == ("ham", "spam")
    put(tmp_path, "t.csv", table((name, "text"), *((row[0], row[2]) for row in rows)))
    with pytest.raises(UserError, match=f"no label column \\(it has '{name}', 'text'\\)"):
        read(tmp_path, LAYOUTS)


def test_classes_in_order_are_not_hidden_by_the_first_rows(tmp_path: Path) -> None:
    rows = [("ab"[i > 300], f"some words {i}") for i in range(600)]
    put(tmp_path, "t.csv", table(("v1", "v2"), *rows))
    assert read(tmp_path, LAYOUTS).classes == ("a", "b")


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        (("v1", "v2", "v3"), lambda i: ("ab"[i % 2], "xyz"[i % 3], f"some words {i}"), "no label column"),
        (
            ("label", "s1", "s2"),
            lambda i: ("ab"[i % 2], f"some words {i}", f"more words {i}"),
            "no text column",
        ),
        (("label", "stamp"), lambda i: ("ab"[i % 2], f"2024-01-01 00:00:{i:02}"), "no text column"),
        (("label", "code"), lambda i: ("ab"[i % 2], f"{i:032x}"), "no text column"),
        (("label", "where"), lambda i: ("ab"[i % 2], f"my pictures/{i}.jpg"), "no text column"),
        (("3", "Some words"), lambda i: ("ab"[i % 2], f"some words {i}"), "begins with '3'"),
    ],
)
def test_what_is_not_clear_is_refused_with_the_columns(
    tmp_path: Path, header: tuple[str, ...], row: Callable[[int], tuple[object, ...]], message: str
) -> None:
    file = put(tmp_path, "t.csv", table(header, *map(row, range(60))))
    assert recognised(file)[0] is False
    with pytest.raises(UserError, match=message) as error:
        read(file, LAYOUTS)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "text,label\na,x\nb\n", "row 3: 1 cells; expected 2"),
        ("t.csv", "text,label\nHello, world,x\n", "row 2: 3 cells; expected 2"),
        ("t.csv", "text,label, Text \na,x,b\n", "2 columns named 'text'"),
        ("t.csv", "text,label\na,\0x\n", "row 2: a NUL byte"),
        ("t.csv", 'text,label\n"a,x\n', "row 2: "),
        ("t.csv", "text,label\n", "no example"),
        ("t.csv", "text,label\n,x\n", "1 x empty text"),
        ("t.csv", " \n", "is empty"),
        ("t.csv", "text,label,split\na,x,trian\n", "row 2: the split 'trian'"),
        ("t.csv", "text,label\na,x\nb,x\n", "a single class, 'x'"),
        ("t.csv", "text,label\na,X\nb,x\n", "differ only in letter case"),
        ("t.csv", "text,tags\na,X|y\nb,x\n", "'X' and 'x' differ only in letter case"),
        ("t.jsonl", '{"text":"a","label":["x"]}\n', "a single class, 'x'"),
        ("t.jsonl", '{"text":"a","label":["x",["y"]]}\n', "row 1, label: a list"),
        ("t.jsonl", '{"text":["a"],"label":"x"}\n', "row 1, text: a list"),
        ("t.jsonl", '{"text":"a","label":"x"}\n{"text"\n', "row 2: "),
        ("t.parquet", b"PAR1 nonsense PAR1", "no readable Parquet"),
    ],
)
def test_a_table_that_cannot_be_trusted_is_one_sentence(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    put(tmp_path, name, content)
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(UserError, match=message) as error:
            read(path, LAYOUTS)
        assert "\n" not in str(error.value)


def test_a_joint_in_a_single_label_is_part_of_it(tmp_path: Path) -> None:
    put(tmp_path, "t.csv", "text,label\na,x|y\nb,z\n")
    assert read(tmp_path, LAYOUTS).classes == ("x|y", "z")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("path,label\na.png,x\nb.jpg,y\n", (False, True)),
        ("image,label\na,x\nb,y\n", (False, True)),  # 'a' and 'b' are pictures without suffix
        ("image,title,label\na.png,A cat,x\nb.jpg,A dog,y\n", (False, True)),
        ("file,text,label\nlog1.txt,went well,x\nlog2.txt,failed,y\n", (True, False)),
        ("text,label\n/home/me/cat.png,x\nc/dog.jpg,y\n", (True, False)),
        ("message,class\ncannot open a.png,x\nb.png is broken,y\n", (True, False)),
        ("path,kind\na.png,x\nb.png,y\n", (False, False)),
        ("age,height\n1,2\n3,4\n", (False, False)),
        ("", (False, False)),
    ],
)
def test_a_table_is_of_pictures_or_of_texts_never_both(
    tmp_path: Path, save: Save, content: str, expected: tuple[bool, bool]
) -> None:
    save(tmp_path, "a", "b")
    file = put(tmp_path, "t.csv", content)
    assert recognised(file) == recognised(tmp_path) == expected
    assert (layout_of(file, LAYOUTS) is not None, layout_of(file, PICTURES) is not None) == expected


def test_paths_in_the_text_column_are_texts(tmp_path: Path) -> None:
    file = put(tmp_path, "t.csv", "text,label\n../../etc/passwd,x\n/home/me/cat.png,y\n")
    assert texts(read(file, LAYOUTS))["t.csv:2"] == ("../../etc/passwd", "x")


def test_nothing_else_is_recognised_and_nothing_raises(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    (tmp_path / "t.txt").write_text(PLAIN)
    for path in (tmp_path, *tmp_path.iterdir(), tmp_path / "gone"):
        assert recognised(path) == (False, False)


def test_a_large_table_is_read_quickly_and_looked_at_at_once(tmp_path: Path) -> None:
    rows = [
        (f"some words of the text number {i} and a few more of them", "abc"[i % 3]) for i in range(100_000)
    ]
    file = put(tmp_path, "t.csv", table(("text", "label"), *rows))
    begin = time.perf_counter()
    assert recognised(file) == (True, False)
    assert time.perf_counter() - begin < 0.5
    begin = time.perf_counter()
    assert len(read(file, LAYOUTS).splits["all"]) == 100_000
    assert time.perf_counter() - begin < 8
    tracemalloc.start()
    found = plugins.load("layout", "text-table").recognises(file)
    assert (found, tracemalloc.get_traced_memory()[1] < 3_000_000) == (True, True)
    tracemalloc.stop()
