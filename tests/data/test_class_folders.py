import os
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from headstart.contracts import Listing
from headstart.core.errors import UserError
from headstart.data.dataset import read

Save = Callable[..., Path]


def labels(listing: Listing, split: str = "all") -> dict[str, str]:
    return {example.key: example.label for example in listing.splits[split]}


def reasons(listing: Listing) -> dict[str, str]:
    return {item.file: item.reason for item in listing.dropped}


def notes(listing: Listing) -> dict[str, tuple[int, tuple[str, ...]]]:
    return {note.what: (note.count, note.examples) for note in listing.notes}


def load(root: Path) -> Listing:
    return read(root, ["class-folders"])


def test_unsplit_folders_label_by_name_at_any_depth(tmp_path: Path, save: Save) -> None:
    found = load(save(tmp_path, "dog/z.JPG", "dog/deep/er/a.jpeg", "cat/c.Png"))
    assert labels(found) == {"dog/z.JPG": "dog", "dog/deep/er/a.jpeg": "dog", "cat/c.Png": "cat"}
    assert [example.key for example in found.splits["all"]] == [
        "cat/c.Png",
        "dog/deep/er/a.jpeg",
        "dog/z.JPG",
    ]
    assert (found.classes, found.dropped, found.notes, found.layout) == (
        ("cat", "dog"),
        (),
        (),
        "class-folders",
    )
    assert all(example.path == tmp_path / example.key for example in found.splits["all"])


def test_an_empty_class_folder_shifts_no_label(tmp_path: Path, save: Save) -> None:
    save(tmp_path, "train/a/1.png", "train/b/1.png", "train/c/1.png", "test/c/1.png", "test/b/1.png")
    (tmp_path / "test" / "a").mkdir()
    (tmp_path / "train" / "0").mkdir()
    found = load(tmp_path)
    assert labels(found, "test") == {"test/b/1.png": "b", "test/c/1.png": "c"}
    assert found.classes == ("a", "b", "c")
    assert notes(found) == {
        "class without examples, left out": (1, ("0",)),
        "class of the training split that is missing from test": (1, ("a",)),
    }


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        (("Train", "VALID"), {"train", "val"}),
        (("training", "dev", "testing"), {"train", "val", "test"}),
        (("train", "validation", "eval"), {"train", "val", "test"}),
        (("TEST",), {"test"}),
    ],
)
def test_split_names(tmp_path: Path, save: Save, folders: tuple[str, ...], splits: set[str]) -> None:
    for folder in folders:
        save(tmp_path, f"{folder}/x/1.png", f"{folder}/y/1.png")
    assert set(load(tmp_path).splits) == splits


def test_a_class_may_be_called_train(tmp_path: Path, save: Save) -> None:
    assert load(save(tmp_path, "train/steam/1.png", "bus/1.png", "plane/1.png")).classes == (
        "bus",
        "plane",
        "train",
    )


def test_what_lies_beside_the_splits_is_listed(tmp_path: Path, save: Save) -> None:
    save(
        tmp_path, "train/a/1.png", "train/b/1.png", "test/1.png", "test/2.png", "loose.png", "train/stray.png"
    )
    (tmp_path / "README.md").write_text("hello")
    found = load(tmp_path)
    assert set(found.splits) == {"train"}
    assert reasons(found) == {
        "README.md": "not a picture file (suffix .md)",
        "loose.png": "in no class folder: it carries no label",
        "train/stray.png": "in no class folder: it carries no label",
    }
    assert notes(found) == {"folder left out: it holds no class folders or is no split": (1, ("test",))}


def test_files_that_are_no_pictures_are_listed_with_their_reason(tmp_path: Path, save: Save) -> None:
    save(tmp_path, "a/1.png", "b/1.png", "a/without_suffix", "a/misnamed.txt")
    (tmp_path / "a" / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (tmp_path / "a" / "notes.txt").write_text("BMW and P5 \n are not pictures")
    (tmp_path / "a" / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic")
    (tmp_path / "a" / "README").write_text("BM")
    (tmp_path / "a" / ".DS_Store").write_text("x")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    os.mkfifo(tmp_path / "a" / "pipe.jpg")
    (tmp_path / "a" / "gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "a" / "self.jpg").symlink_to("self.jpg")
    found = load(tmp_path)
    assert set(labels(found)) == {"a/1.png", "b/1.png", "a/without_suffix", "a/misnamed.txt"}
    assert reasons(found) == {
        "a/Thumbs.db": "not a picture file (suffix .db)",
        "a/notes.txt": "not a picture file (suffix .txt)",
        "a/phone.heic": "not a picture file (suffix .heic, looks like a HEIC picture)",
        "a/README": "not a picture file (no suffix)",
        "a/pipe.jpg": "not a regular file",
        "a/gone.jpg": "broken link",
        "a/self.jpg": "cannot be read (too many levels of symbolic links)",
    }
    assert found.classes == ("a", "b")
    assert any("a/.DS_Store" in note.examples for note in found.notes)


def test_a_suffix_in_any_case_counts_whatever_the_content(tmp_path: Path, save: Save) -> None:
    save(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "a" / "broken.JPG").write_bytes(b"<html>")
    found = load(tmp_path)  # decoding it will give the reason
    assert ("a/broken.JPG" in labels(found), found.dropped) == (True, ())


def test_links_are_followed_but_neither_in_circles_nor_twice(tmp_path: Path, save: Save) -> None:
    data = save(tmp_path / "data", "a/1.png", "b/1.png")
    elsewhere = save(tmp_path / "elsewhere", "2.png")
    (data / "a" / "more").symlink_to(elsewhere)
    (data / "a" / "again").symlink_to(elsewhere)
    (data / "a" / "up").symlink_to(data)
    (data / "b" / "here").symlink_to(data / "b")
    found = load(data)
    assert labels(found) == {"a/1.png": "a", "a/again/2.png": "a", "b/1.png": "b"}
    assert set(reasons(found)) == {"a/more", "a/up", "b/here"}


def test_the_same_class_in_composed_and_decomposed_unicode_agrees(tmp_path: Path, save: Save) -> None:
    composed, decomposed = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    save(tmp_path, f"train/{composed}/1.png", "train/x/1.png", f"test/{decomposed}/1.png", "test/x/1.png")
    found = load(tmp_path)
    assert found.classes == ("x", composed)
    assert labels(found, "test")[f"test/{decomposed}/1.png"] == composed


def test_a_name_that_is_no_utf8_can_be_printed_and_opened(tmp_path: Path, save: Save) -> None:
    save(tmp_path, "a/1.png", "b/1.png", os.fsdecode(b"a/\xff.png"))
    found = load(tmp_path)
    example = next(example for example in found.splits["all"] if "\\" in example.key)
    assert example.key.encode() == b"a/\\udcff.png"
    assert example.path.read_bytes()


def test_whole_numbers_are_ordered_by_value(tmp_path: Path, save: Save) -> None:
    assert load(save(tmp_path, "10/1.png", "9/1.png", "2/1.png")).classes == ("2", "9", "10")


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (("Cat/1.png", "cat/1.png"), "'Cat' and 'cat' differ only in letter case"),
        (
            ("train/Cat/1.png", "train/x/1.png", "test/cat/1.png"),
            "'Cat' and 'cat' differ only in letter case",
        ),
        (
            ("train/a/1.png", "train/b/1.png", "test/c/1.png", "test/c/2.png"),
            r"test split has .* lacks: 'c' \(2\)",
        ),
        (("val/a/1.png", "valid/a/1.png", "train/a/1.png"), "'val' and 'valid' both name the val split"),
        (("train/1.png", "test/2.png"), "split folders .* without class folders"),
        (("1.png", "2.png"), "holds 2 files but no class folders"),
        (("only/1.png", "only/2.png"), "a single class, 'only'"),
        (("wrapper/a/1.png", "wrapper/b/1.png"), "name .*wrapper, if its folders are the classes"),
    ],
)
def test_what_cannot_be_meant_gets_one_sentence(
    tmp_path: Path, save: Save, paths: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UserError, match=message) as error:
        load(save(tmp_path, *paths))
    assert "\n" not in str(error.value)


def test_paths_that_hold_no_data(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "x.docx").write_bytes(b"PK")
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe")
    cases = {
        "none": "does not exist",
        "loop": "leads nowhere",
        "x.docx": "is no table",
        "empty": "is an empty folder",
        "pipe": "neither a file nor a folder",
    }
    for name, message in cases.items():
        with pytest.raises(UserError, match=message):
            load(tmp_path / name)


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.txt").write_text("x")
    with pytest.raises(UserError, match="none of the known layouts"):
        load(tmp_path)


def test_many_files_are_listed_quickly(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(2_500):
            os.close(os.open(tmp_path / name / f"{number}.jpg", os.O_CREAT))
    begin = time.perf_counter()
    assert len(load(tmp_path).splits["all"]) == 5_000
    assert time.perf_counter() - begin < 1
