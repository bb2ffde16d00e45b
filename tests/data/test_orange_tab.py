from pathlib import Path

import pytest

from headstart.contracts import Listing
from headstart.core import plugins
from headstart.core.errors import UserError
from headstart.data.dataset import read

LAYOUTS = ("orange-tab", "hf-dataset", "text-table", "text-folders")
HEADER = "Category\tText\nd\tstring\nclass\t\n"
NEWS = HEADER + "\nsport\tthe match\nart\tthe picture\n"


def put(folder: Path, name: str, content: str | bytes) -> Path:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder / name


def texts(listing: Listing, split: str = "all") -> dict[str, tuple[str | None, str]]:
    return {example.key: (example.text, example.label) for example in listing.splits[split]}


@pytest.mark.parametrize("content", [NEWS, NEWS.replace("\n", "\r\n"), "\ufeff" + NEWS, NEWS.rstrip()])
def test_three_header_lines_are_no_examples(tmp_path: Path, content: str) -> None:
    found = read(put(tmp_path, "a.tab", content), LAYOUTS)
    assert (found.layout, found.classes) == ("orange-tab", ("art", "sport"))
    assert texts(found) == {"a.tab:5": ("the match", "sport"), "a.tab:6": ("the picture", "art")}


def test_files_of_train_and_test_are_splits(tmp_path: Path) -> None:
    put(tmp_path, "20news-train.tab", NEWS)
    put(tmp_path, "20news-test.tab", NEWS)
    put(tmp_path, "20news-test.tab.metadata", "x")
    assert set(read(tmp_path, LAYOUTS).splits) == {"train", "test"}
    put(tmp_path, "other-train.tab", NEWS)
    with pytest.raises(UserError, match="class folders"):
        read(tmp_path, LAYOUTS)


def test_the_roles_tell_the_columns(tmp_path: Path) -> None:
    types = "string\ts\ttime\tred blue\td\nmeta\tmeta include=True\t\tclass\ti\n"
    header = "Title\tBody of it\tDate\tkind\tAuthor\n" + types
    file = put(tmp_path, "a.tab", header + "T\tfirst\t2020\tred\tme\nU\tsecond\t2021\tblue\tme\n")
    assert list(texts(read(file, LAYOUTS)).values()) == [("first", "red"), ("second", "blue")]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ('a\t"Hello" she said\nb\t5" disk\n', ['"Hello" she said', '5" disk']),  # unquoted, as old files are
        ('a\t"one ""two""\nthree"\nb\tfour\n', ['one "two"\nthree', "four"]),  # quoted, with a newline
        ('a\t"an open quote\nb\tclosed here"\n', ['"an open quote', 'closed here"']),  # never two rows in one
        ('a\t"whole"\nb\tx\n', ["whole", "x"]),
        ("a\tx\u2028y\nb\tz\x85\n", ["x\u2028y", "z"]),  # no line ends to Orange
    ],
)
def test_quotes(tmp_path: Path, rows: str, expected: list[str]) -> None:
    found = read(put(tmp_path, "a.tab", HEADER + rows), LAYOUTS)
    assert [text for text, _ in texts(found).values()] == expected


def test_what_is_empty_or_unknown_is_listed(tmp_path: Path) -> None:
    found = read(put(tmp_path, "a.tab", NEWS + "?\tlost\nsport\t \n \t \n"), LAYOUTS)
    assert [(item.file, item.reason) for item in found.dropped] == [
        ("a.tab:7", "empty label"),
        ("a.tab:8", "empty text"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (NEWS.replace("class\t", "\t"), "marks no column as the class"),
        (NEWS.replace("class\t", "class\tclass"), "has 2 class columns"),
        (NEWS.replace("d\tstring", "d\td"), "no text column"),
        ("A\tB\tC\ns\ts\td\n\t\tclass\nx\ty\tz\n", "no text column .it has 'A', 'B', 'C'"),
        (NEWS + "sport\n", "row 7: 1 cells"),
        (NEWS + "a\tb\tc\n", "row 7: 3 cells"),
        ("text\tlabel\na\tb\nc\td\n", "no header of names, types and roles"),
        ("text\n", "no header of names, types and roles"),
        (NEWS + "a\tb\0\n", "binary"),
        (NEWS + "sport\t\n", ""),
    ],
)
def test_a_broken_file_is_one_sentence(tmp_path: Path, content: str, message: str) -> None:
    file = put(tmp_path, "a.tab", content)
    if not message:
        assert len(read(file, LAYOUTS).dropped) == 1
        return
    with pytest.raises(UserError, match=message) as error:
        read(file, LAYOUTS)
    assert "\n" not in str(error.value)


def test_only_orange_tables_are_recognised(tmp_path: Path) -> None:
    recognises = plugins.load("layout", "orange-tab").recognises
    assert recognises(put(tmp_path, "a.tab", NEWS))
    assert recognises(put(tmp_path, "A.TAB", NEWS.encode("latin-1")))
    assert not recognises(tmp_path)
    for name, content in (
        ("b.tab", "a\tb\n1\t2\n3\t4\n"),
        ("c.csv", NEWS),
        ("d.tab", b"\xff\xfe\0"),
        ("e.tab", b""),
    ):
        assert not recognises(put(tmp_path, name, content))
    assert not recognises(tmp_path / "gone.tab")
