import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from headstart.contracts import Listing
from headstart.core.errors import UserError
from headstart.data.dataset import read

Save = Callable[..., Path]
PLAIN = "path,label\na.png,cat\nsub/b.png,dog\nc.png,cat\n"


@pytest.fixture
def data(tmp_path: Path, save: Save) -> Path:
    return save(tmp_path / "data", "a.png", "sub/b.png", "c.png")


def load(path: Path) -> Listing:
    return read(path, ["image-table", "class-folders"])


def labels(listing: Listing, split: str = "all") -> dict[str, str]:
    return {example.key: example.label for example in listing.splits[split]}


def whats(listing: Listing) -> set[str]:
    return {note.what for note in listing.notes}


EXPECTED = {"a.png": "cat", "c.png": "cat", "sub/b.png": "dog"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", PLAIN.encode()),
        ("t.CSV", PLAIN.encode()),
        ("t.csv", PLAIN.encode("utf-8-sig")),
        ("t.csv", PLAIN.encode("utf-16")),
        ("t.csv", b"\xfe\xff" + PLAIN.encode("utf-16-be")),
        ("t.csv", PLAIN.replace(",", ";").encode()),
        ("t.csv", PLAIN.replace("\n", "\r\n").encode()),
        ("t.csv", PLAIN.replace("\n", "\n\n").encode()),
        ("t.csv", PLAIN.replace("path,label", " Image Path , CATEGORY ").encode()),
        ("t.csv", PLAIN.replace(",", " , ").encode()),
        (
            "t.csv",
            b"".join(f',"{line.split(",")[0]}",{line.split(",")[1]}\n'.encode() for line in PLAIN.split()),
        ),
        ("t.tsv", PLAIN.replace(",", "\t").encode()),
        (
            "t.jsonl",
            b"".join(
                b'{"label":"%s","file_name":"%s"}\n' % (v.encode(), k.encode()) for k, v in EXPECTED.items()
            ),
        ),
    ],
)
def test_one_table_however_it_is_written(data: Path, name: str, content: bytes) -> None:
    (data / name).write_bytes(content)
    for path in (data / name, data):
        found = load(path)
        assert (labels(found), found.classes, found.dropped) == (EXPECTED, ("cat", "dog"), ())
        assert all(example.path.is_file() for example in found.splits["all"])


def test_parquet_with_numbers_and_gaps(data: Path) -> None:
    parquet.write_table(pa.table({"img": list(EXPECTED), "target": [3.0, None, 10.0]}), data / "t.parquet")
    found = load(data)
    assert labels(found) == {"a.png": "3", "sub/b.png": "10"}
    assert [(item.file, item.reason) for item in found.dropped] == [("c.png", "empty label")]
    assert found.classes == ("3", "10")


def test_columns_read_are_said(data: Path) -> None:
    (data / "t.csv").write_text(
        "id,img,Class\n" + "\n".join(f"1,{key},{label}" for key, label in EXPECTED.items())
    )
    assert whats(load(data)) == {"read column 'img' as the path", "read column 'Class' as the label"}


def test_windows_1252_is_noted(data: Path) -> None:
    (data / "t.csv").write_bytes(PLAIN.replace("dog", "café").encode("cp1252"))
    found = load(data)
    assert found.classes == ("café", "cat")
    assert "table is not UTF-8, read as Windows-1252" in whats(found)


def test_a_split_column(data: Path) -> None:
    (data / "t.csv").write_text(
        "file,label,Split\na.png,x,Train\nsub/b.png,y,training\nc.png,y,VALIDATION\n./sub/../c.png,y,val\n"
    )
    found = load(data)
    assert {split: labels(found, split) for split in found.splits} == {
        "train": {"a.png": "x", "sub/b.png": "y"},
        "val": {"c.png": "y"},
    }
    assert [item.reason.split(" (")[0] for item in found.dropped] == ["listed before"]


def test_a_table_per_split(data: Path) -> None:
    (data / "Train.csv").write_text("path,label\na.png,x\nsub/b.png,y\n")
    (data / "test.csv").write_text("path,label\nc.png,y\n")
    (data / "sample_submission.csv").write_text("id\n1\n")
    found = load(data)
    assert (labels(found, "train"), labels(found, "test")) == (
        {"a.png": "x", "sub/b.png": "y"},
        {"c.png": "y"},
    )


def test_what_cannot_be_used_is_listed(data: Path) -> None:
    os.mkfifo(data / "pipe.png")
    rows = ["gone.png,cat", "a.png/x,cat", "pipe.png,cat", "sub,cat", "c.png,  ", ",cat", "a.png,cat"]
    (data / "t.csv").write_text(PLAIN.replace("c.png,cat\n", "") + "\n".join(rows) + "\n")
    found = load(data)
    assert labels(found) == {"a.png": "cat", "sub/b.png": "dog"}
    reasons = {item.file.removeprefix(str(data)): item.reason.split(" (")[0] for item in found.dropped}
    assert reasons == {
        "gone.png": "missing file",
        "a.png/x": "missing file",
        "pipe.png": "not a regular file",
        "sub": "not a regular file",
        "c.png": "empty label",
        "/t.csv, row 9": "no path",
        "a.png": "listed before",
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"path,label\na.png,cat\nb.png\n", "row 3: 1 cells; expected 2"),
        (b"path,label\na.png,cat,x\n", "row 2: 3 cells; expected 2"),
        (b"path,label\na.png,c\0t\n", "row 2: a NUL byte"),
        ("path,label\na.png,cat\n".encode("utf-16-le"), "row 1: a NUL byte"),
        (b"path,label, Path \na.png,cat,x\n", "2 columns named 'path'"),
        (b"picture_of,label\na.png,cat\n", r"no path column \(it has 'picture_of', 'label'\)"),
        (b"path,kind\na.png,cat\n", r"no label column \(it has 'path', 'kind'\)"),
        (b'path,label\na.png,"cat\n', "row 2: "),
        (b'path,label\na.png,cat\nb.png,"c"t\n', "row 3: "),
        (b"path,label\n\x81\x8d,cat\n", "neither UTF-8 nor Windows-1252"),
        (b"\xff\xfep", "damaged UTF-16"),
        (b" \n", "is empty"),
        (b"path,label\n", "no example"),
        (b"path,label\ngone.png,cat\n", "1 x missing file"),
        (b"path,label\na.png,cat\n../outside.png,dog\n", "row 3: '../outside.png' leads out"),
        (b"path,label\n/etc/passwd,dog\n", "row 2: '/etc/passwd' leads out"),
        (b"path,label\nsub/../../data2/x.png,dog\n", "leads out"),
        (b"path,label\nlink.png,dog\n", "row 2: 'link.png' leads out"),
        (b"path,label\nfolder/outside.png,dog\n", "row 2: 'folder/outside.png' leads out"),
        (b"path,label\na.png,cat\na.png,dog\n", "row 3: 'a.png' is 'dog' here and 'cat' in .*row 2"),
        (b"path,label,split\na.png,cat,trian\n", "row 2: the split 'trian'"),
        (b"path,label\na.png,cat\nc.png,cat\n", "a single class, 'cat'"),
    ],
)
def test_a_table_that_cannot_be_trusted_is_one_sentence(
    data: Path, save: Save, content: bytes, message: str
) -> None:
    save(data.parent, "outside.png")
    (data / "link.png").symlink_to(data.parent / "outside.png")
    (data / "folder").symlink_to(data.parent)
    (data / "t.csv").write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        load(data / "t.csv")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.jsonl", b'{"path":"a.png","label":"x"}\n{"path":\n', "row 2: "),
        ("t.jsonl", b"[1]\n", "row 1: a JSON list"),
        ("t.jsonl", b"[" * 100_000, "row 1: "),
        ("t.jsonl", b'{"path":"a\\u0000.png","label":"x"}\n', "row 1: .* is no file name"),
        ("t.jsonl", b'{"path":"\\ud800.png","label":"x"}\n', "row 1: .* is no file name"),
        ("t.jsonl", b'{"path":"a.png","label":["x"]}\n', "row 1, label: a list"),
        ("t.parquet", b"PAR1 nonsense PAR1", "no readable Parquet file"),
    ],
)
def test_broken_json_and_parquet(data: Path, name: str, content: bytes, message: str) -> None:
    (data / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        load(data / name)


def test_an_absolute_path_or_a_link_inside_is_fine(data: Path) -> None:
    (data / "link.png").symlink_to("a.png")
    rows = [{"path": str(data / "a.png"), "label": "x"}, {"path": "link.png", "label": "y"}]
    (data / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert labels(load(data)) == {"a.png": "x", "link.png": "y"}


def test_a_stray_table_beside_class_folders_is_no_data_set(tmp_path: Path, save: Save) -> None:
    save(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "metadata.csv").write_text("camera,lens\n1,2\n")
    assert load(tmp_path).layout == "class-folders"
    (tmp_path / "metadata.csv").write_text("path,label\na/1.png,x\nb/1.png,y\n")
    assert load(tmp_path).classes == ("x", "y")
