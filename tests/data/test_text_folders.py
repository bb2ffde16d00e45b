import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from headstart.contracts import Listing
from headstart.core import plugins
from headstart.core.errors import BadExample, UserError
from headstart.data.dataset import read
from headstart.data.text import LATIN_1, MAX_BYTES, WINDOWS_1252, read_text

Save = Callable[..., Path]
LAYOUTS = ("orange-tab", "hf-dataset", "text-table", "text-folders")


def put(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def labels(listing: Listing, split: str = "all") -> dict[str, str]:
    return {example.key: example.label for example in listing.splits[split]}


def recognised(path: Path) -> tuple[bool, bool]:
    return tuple(plugins.load("layout", name).recognises(path) for name in ("text-folders", "class-folders"))


def test_class_folders_of_texts(tmp_path: Path) -> None:
    put(tmp_path, {"ham/1.txt": "hello", "ham/deep/2.TXT": "you", "spam/3.txt": "buy", "README.md": "x"})
    found = read(tmp_path, LAYOUTS)
    assert (found.layout, found.classes) == ("text-folders", ("ham", "spam"))
    assert labels(found) == {"ham/1.txt": "ham", "ham/deep/2.TXT": "ham", "spam/3.txt": "spam"}
    assert [(item.file, item.reason) for item in found.dropped] == [
        ("README.md", "in no class folder: it carries no label")
    ]
    assert all(example.text is None and example.path.is_file() for example in found.splits["all"])


def test_files_told_by_their_content(tmp_path: Path) -> None:
    names = (
        "alt.atheism/49960",
        "sci.space/60001",
        "sci.space/0001.7c53336b37003a9286aba55d2945844c",
        "sci.space/é",
    )
    found = read(put(tmp_path, dict.fromkeys(names, "Xref: über".encode("latin-1"))), LAYOUTS)
    assert set(labels(found)) == set(names)


def test_splits(tmp_path: Path) -> None:
    put(tmp_path, {f"{split}/{name}/1.txt": "x" for split in ("Train", "dev", "test") for name in "ab"})
    assert set(read(tmp_path, LAYOUTS).splits) == {"train", "val", "test"}


def test_what_is_no_text_is_listed_with_its_reason(tmp_path: Path, save: Save) -> None:
    put(tmp_path, {"a/1.txt": "x", "a/2.txt": "x", "b/1.txt": "x", "b/2.txt": "x", "b/3.txt": "ä\n" * 9_000})
    put(tmp_path, {"a/empty.txt": b"", "a/blank": " \n\t", "a/nul.txt": b"a\0b", "a/data.json": "{}"})
    put(tmp_path, {"a/zip.txt": b"PK\x03\x04\0\0", "a/.DS_Store": "x", "a/noise": bytes(range(1, 32)) * 9})
    save(tmp_path, "a/photo.jpg", "b/misnamed.txt")
    os.mkfifo(tmp_path / "a" / "pipe.txt")
    (tmp_path / "a" / "gone.txt").symlink_to("nowhere")
    with (tmp_path / "b" / "large.txt").open("wb") as file:
        file.write(b"word " * 1_000)
        file.seek(MAX_BYTES)
        file.write(b"x")
    put(tmp_path, {f"c/{i}.txt": "x" for i in range(16)})
    found = read(tmp_path, LAYOUTS)
    assert {key for key in labels(found) if key[0] != "c"} == {
        "a/1.txt",
        "a/2.txt",
        "b/1.txt",
        "b/2.txt",
        "b/3.txt",
    }
    assert {item.file: item.reason for item in found.dropped} == {
        "a/empty.txt": "empty file (0 bytes)",
        "a/blank": "empty text",
        "a/nul.txt": "binary file",
        "a/noise": "binary file",
        "a/zip.txt": "binary file (looks like a ZIP archive)",
        "a/data.json": "not a text file (suffix .json)",
        "a/photo.jpg": "not a text file (suffix .jpg)",
        "a/pipe.txt": "not a regular file",
        "a/gone.txt": "broken link",
        "b/misnamed.txt": "binary file",
        "b/large.txt": "over 10 MB",
    }


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("naïve – café", ("naïve – café", ())),
        ("\ufeffbom", ("bom", ())),
        ("naïve 中".encode("utf-16"), ("naïve 中", ())),
        (b"\xfe\xff" + "中".encode("utf-16-be"), ("中", ())),
        ("naïve".encode("utf-32"), ("naïve", ())),
        ("café – “x”".encode("cp1252"), ("café – “x”", (WINDOWS_1252,))),
        (b"caf\xe9 \x81", ("café \x81", (LATIN_1,))),
        ("a" * 4_095 + "é", ("a" * 4_095 + "é", ())),  # a character across the end of what is looked at
    ],
)
def test_encodings(tmp_path: Path, content: str | bytes, expected: tuple[str, tuple[str, ...]]) -> None:
    put(tmp_path, {"a/1.txt": content, "b/1.txt": "x"})
    assert len(read(tmp_path, LAYOUTS).splits["all"]) == 2
    assert read_text(tmp_path / "a" / "1.txt") == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty file"),
        (b" \n ", "empty text"),
        (b"\xef\xbb\xbf \n", "empty text"),
        (b"x" * 9_000 + b"\0", "binary file"),
        (b"\xff\xfea", "damaged UTF-16"),
        (b"x" * (MAX_BYTES + 1), "over 10 MB"),
    ],
)
def test_a_text_that_cannot_be_read_has_a_reason(tmp_path: Path, content: bytes, message: str) -> None:
    put(tmp_path, {"x": content})
    with pytest.raises(BadExample, match=message):
        read_text(tmp_path / "x")
    with pytest.raises(BadExample, match="cannot be read"):
        read_text(tmp_path / "gone")


def test_pictures_and_texts_never_claim_each_others_folders(tmp_path: Path, save: Save) -> None:
    texts = put(tmp_path / "texts", {f"{c}/{i}.txt": "some words" for c in "ab" for i in range(9)})
    pictures = save(tmp_path / "pictures", *(f"train/{c}/{i}.png" for c in "ab" for i in range(9)))
    assert (recognised(texts), recognised(pictures)) == ((True, False), (False, True))
    save(texts, "a/0.png")  # a stray picture
    put(pictures, {"train/a/classes.txt": "a b", "LICENSE": "free"})
    assert (recognised(texts), recognised(pictures)) == ((True, False), (False, True))
    captioned = save(tmp_path / "captioned", *(f"{c}/{i}.png" for c in "ab" for i in range(3)))
    put(captioned, {f"{c}/{i}.txt": "a caption" for c in "ab" for i in range(3)})
    assert recognised(captioned) == (False, True)


@pytest.mark.parametrize(
    "files",
    [
        {"src/a.py": "x = 1", "tests/b.py": "y = 2"},
        {"train/state.json": "{}", "train/dataset_info.json": "{}", "train/data-0.arrow": "ARROW"},
        {"a/x.csv": "text,label", "b/x.csv": "text,label"},
        {"1.txt": "x", "2.txt": "y"},
        {"a/empty.txt": "", "b/empty.txt": ""},
    ],
)
def test_what_is_no_text_data_set_is_not_recognised(tmp_path: Path, files: dict[str, str | bytes]) -> None:
    assert recognised(put(tmp_path, files)) == (False, False)
    assert recognised(tmp_path / "gone") == (False, False)


def test_loose_texts_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds 2 files but no class folders"):
        read(put(tmp_path, {"1.txt": "x", "2.txt": "y"}), LAYOUTS)


def test_recognising_looks_at_few_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, {f"{c}/{i}": "some words" for c in range(40) for i in range(30)})
    opened, look = list[str](), plugins.load("layout", "text-folders").recognises
    original = open
    monkeypatch.setattr("builtins.open", lambda *args: opened.append(str(args[0])) or original(*args))
    assert look(tmp_path)
    assert 0 < len(opened) <= 2 * 16 * 16


def test_many_files_are_listed_quickly(tmp_path: Path) -> None:
    put(tmp_path, {f"{c}/{i}": "some words" * 400 for c in "ab" for i in range(2_500)})
    begin = time.perf_counter()
    assert len(read(tmp_path, LAYOUTS).splits["all"]) == 5_000
    assert time.perf_counter() - begin < 1.5
