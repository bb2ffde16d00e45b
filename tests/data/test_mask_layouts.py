"""Every layout of masks, and every way in which a mask can be bad: told before anything is learnt."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.contracts import Listing
from headstart.core import plugins
from headstart.core.errors import UserError
from headstart.data import dataset
from headstart.data.mask import Mask

LAYOUTS = ("voc", "cityscapes", "ade20k", "mask-folders")
SIZE = (8, 6)


def picture(path: Path, size: tuple[int, int] = SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (120, 90, len(path.name) % 256)).save(path)


def mask(path: Path, values: Sequence[int] | np.ndarray, size: tuple[int, int] = SIZE) -> None:
    """Write a mask whose pixels are ``values`` over and over."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.resize(np.asarray(values, dtype=np.uint8), (size[1], size[0]))
    Image.fromarray(pixels).save(path)


def colour_mask(path: Path, colours: Sequence[tuple[int, int, int]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.resize(np.asarray(colours, dtype=np.uint8), (SIZE[1], SIZE[0], 3))
    Image.fromarray(pixels).save(path)


def folder(root: Path, count: int = 4, values: Sequence[int] = (0, 1, 2)) -> Path:
    for number in range(count):
        picture(root / "images" / f"{number}.jpg")
        mask(root / "masks" / f"{number}.png", values)
    return root


def read(root: Path) -> Listing:
    return dataset.read(root, LAYOUTS)


def reasons(found: Listing) -> dict[str, str]:
    return {one.file: one.reason for one in found.dropped}


def said(found: Listing) -> str:
    return "; ".join(note.what for note in found.notes)


def places(found: Listing, split: str = "all", index: int = 0) -> np.ndarray:
    truth = found.splits[split][index].truth
    assert isinstance(truth, Mask)
    return truth.places(found.classes)


def test_folders_with_a_class_list(tmp_path: Path) -> None:
    (folder(tmp_path) / "classes.txt").write_text("sky\nroad\ntree\n")
    found = read(tmp_path)
    assert found.layout == "mask-folders"
    assert found.classes == ("sky", "road", "tree")
    assert len(found.splits["all"]) == 4
    assert places(found)[0].tolist() == [0, 1, 2, 0, 1, 2, 0, 1]


def test_folders_without_a_class_list_are_named_by_number(tmp_path: Path) -> None:
    found = read(folder(tmp_path, values=(0, 3, 255)))
    assert found.classes == ("0", "3")
    assert "no list of classes" in said(found)
    assert "255: those pixels are ignored" in said(found)
    assert places(found)[0].tolist()[:3] == [0, 1, -1]


@pytest.mark.parametrize("form", ["{part}/{split}/{name}", "{split}/{part}/{name}"])
def test_splits_within_or_around(tmp_path: Path, form: str) -> None:
    for split, count in {"train": 3, "validation": 2, "test": 1}.items():
        for number in range(count):
            picture(tmp_path / form.format(part="img", split=split, name=f"{number}.jpg"))
            mask(tmp_path / form.format(part="ann", split=split, name=f"{number}.png"), (0, 1))
    found = read(tmp_path)
    assert {name: len(examples) for name, examples in found.splits.items()} == {
        "train": 3,
        "val": 2,
        "test": 1,
    }


def test_nested_folders_and_names_with_an_ending(tmp_path: Path) -> None:
    for name in ("a/0", "b/0", "b/1"):
        picture(tmp_path / "images" / f"{name}.jpg")
        mask(tmp_path / "masks" / f"{name}_mask.png", (0, 1))
    found = read(tmp_path)
    assert [example.key for example in found.splits["all"]] == [
        "images/a/0.jpg",
        "images/b/0.jpg",
        "images/b/1.jpg",
    ]
    assert not found.dropped


def test_masks_of_0_and_255_mean_background_and_foreground(tmp_path: Path) -> None:
    found = read(folder(tmp_path, values=(0, 255)))
    assert found.classes == ("background", "foreground")
    assert "0 and 255" in said(found)
    assert places(found)[0].tolist()[:2] == [0, 1]


def test_masks_of_0_and_255_with_two_listed_classes(tmp_path: Path) -> None:
    (folder(tmp_path, values=(0, 255)) / "classes.txt").write_text("skin\nwound\n")
    assert read(tmp_path).classes == ("skin", "wound")


def test_colours_that_are_found_are_the_classes_and_said_so(tmp_path: Path) -> None:
    folder(tmp_path)
    for number in range(4):
        colour_mask(tmp_path / "masks" / f"{number}.png", [(0, 0, 0), (128, 0, 0)])
    found = read(tmp_path)
    assert found.classes == ("#000000", "#800000")
    assert "the 2 colours found are the classes" in said(found)
    assert places(found)[0].tolist()[:2] == [0, 1]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("palette.txt", "sky 0 0 0\ncar 128 0 0\n"),
        ("class_dict.csv", "name,r,g,b\nsky,0,0,0\ncar,128,0,0\n"),
        ("labelmap.txt", "# label:color_rgb:parts:actions\nsky:0,0,0::\ncar:128,0,0::\n"),
    ],
)
def test_a_palette_file_names_colours(tmp_path: Path, file: str, text: str) -> None:
    folder(tmp_path)
    for number in range(3):
        colour_mask(tmp_path / "masks" / f"{number}.png", [(0, 0, 0), (128, 0, 0)])
    colour_mask(tmp_path / "masks" / "3.png", [(0, 0, 0)])  # all black: grey and colour alike
    (tmp_path / file).write_text(text)
    found = read(tmp_path)
    assert found.classes == ("sky", "car")
    assert not found.dropped
    assert set(places(found, index=3).ravel()) == {0}


def test_a_colour_of_no_class_drops_the_mask(tmp_path: Path) -> None:
    folder(tmp_path)
    for number in range(4):
        colour_mask(tmp_path / "masks" / f"{number}.png", [(0, 0, 0), (128, 0, number)])
    (tmp_path / "palette.txt").write_text("sky 0 0 0\ncar 128 0 0\n")
    assert reasons(read(tmp_path))["images/2.jpg"] == "mask has colours of no known class: #800002"


def test_masks_in_colour_and_in_numbers_are_refused(tmp_path: Path) -> None:
    folder(tmp_path)
    colour_mask(tmp_path / "masks" / "0.png", [(0, 0, 0), (128, 0, 0)])
    with pytest.raises(UserError, match=r"masks in colour .* and masks in numbers"):
        read(tmp_path)


def test_smooth_colours_are_refused(tmp_path: Path) -> None:
    folder(tmp_path)
    smooth = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    picture(tmp_path / "images" / "0.jpg", (64, 64))
    Image.fromarray(smooth).save(tmp_path / "masks" / "0.png")
    for number in range(1, 4):
        colour_mask(tmp_path / "masks" / f"{number}.png", [(0, 0, 0), (128, 0, 0)])
    with pytest.raises(UserError, match="colours and no palette file"):
        read(tmp_path)


def test_every_bad_pair_is_listed_with_its_reason(tmp_path: Path) -> None:
    (folder(tmp_path) / "classes.txt").write_text("sky\nroad\ntree\n")
    mask(tmp_path / "masks" / "0.png", (0, 1), (9, 6))
    mask(tmp_path / "masks" / "1.png", (0, 7))
    mask(tmp_path / "masks" / "2.png", (255,))
    picture(tmp_path / "images" / "lonely.jpg")
    mask(tmp_path / "masks" / "orphan.png", (0, 1))
    picture(tmp_path / "images" / "broken.jpg")
    (tmp_path / "masks" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    picture(tmp_path / "images" / "lossy.png")
    Image.new("L", SIZE).save(tmp_path / "masks" / "lossy.jpg")
    found = read(tmp_path)
    assert [example.key for example in found.splits["all"]] == ["images/3.jpg"]
    told = reasons(found)
    assert told["images/0.jpg"] == "mask of 9 x 6 pixels for a picture of 8 x 6"
    assert told["images/1.jpg"] == "mask has ids of no known class: 7"
    assert told["images/2.jpg"] == "every pixel of the mask is ignored"
    assert told["images/lonely.jpg"] == "picture without a mask of the same name"
    assert told["masks/orphan.png"] == "mask without a picture of the same name"
    assert told["images/broken.jpg"] == "broken mask (PNG picture)"
    assert told["images/lossy.png"].startswith("a JPEG mask")


def test_a_single_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="single class, '0'"):
        read(folder(tmp_path, values=(0,)))


def test_nothing_usable_is_one_sentence(tmp_path: Path) -> None:
    folder(tmp_path, values=(0, 1))
    for number in range(4):
        mask(tmp_path / "masks" / f"{number}.png", (0, 1), (3, 3))
    with pytest.raises(UserError, match=r"no usable example .*mask of 3 x 3"):
        read(tmp_path)


def voc(root: Path) -> Path:
    for name in ("2007_1", "2007_2", "2007_3", "2007_4"):
        picture(root / "JPEGImages" / f"{name}.jpg")
        mask(root / "SegmentationClass" / f"{name}.png", (0, 15, 255))
    picture(root / "JPEGImages" / "unlisted.jpg")
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_1\n2007_2\n2007_9\n")
    (lists / "val.txt").write_text("2007_3\n2007_4\n")
    return root


@pytest.mark.parametrize("inner", ["", "VOC2012", "VOCdevkit/VOC2012"])
def test_pascal_voc(tmp_path: Path, inner: str) -> None:
    voc(tmp_path / inner)
    found = read(tmp_path)
    assert found.layout == "voc"
    assert len(found.classes) == 21
    assert dataset.layout_of(tmp_path, plugins.load("task", "image-classification").layouts) is None
    assert {name: len(examples) for name, examples in found.splits.items()} == {"train": 2, "val": 2}
    assert places(found, "train")[0].tolist()[:3] == [0, 15, -1]
    assert reasons(found) == {"JPEGImages/2007_9": "listed for train, but there is no such picture"}


def test_cityscapes(tmp_path: Path) -> None:
    for split, city in (("train", "aachen"), ("train", "bochum"), ("val", "lindau"), ("test", "berlin")):
        stem = f"{city}/{city}_000000_000019"
        picture(tmp_path / "leftImg8bit" / split / f"{stem}_leftImg8bit.png")
        mask(tmp_path / "gtFine" / split / f"{stem}_gtFine_labelIds.png", (7, 26, 3))
        mask(tmp_path / "gtFine" / split / f"{stem}_gtFine_instanceIds.png", (7, 26, 3))
    picture(tmp_path / "leftImg8bit" / "train" / "aachen" / "aachen_000001_000019_leftImg8bit.png")
    found = read(tmp_path)
    assert found.layout == "cityscapes"
    assert len(found.classes) == 19
    assert {name: len(examples) for name, examples in found.splits.items()} == {"train": 2, "val": 1}
    # road is train id 0, car 13, and 'out of roi' none.
    assert places(found, "train")[0].tolist()[:3] == [0, 13, -1]
    assert "test split left out" in said(found)
    assert list(reasons(found)) == ["leftImg8bit/train/aachen/aachen_000001_000019_leftImg8bit.png"]


def test_ade20k(tmp_path: Path) -> None:
    for split, count in {"training": 3, "validation": 2}.items():
        for number in range(count):
            picture(tmp_path / "images" / split / f"ADE_{number}.jpg")
            mask(tmp_path / "annotations" / split / f"ADE_{number}.png", (0, 1, 2))
    (tmp_path / "objectInfo150.txt").write_text(
        "Idx\tRatio\tTrain\tVal\tName\n1\t0.1\t9\t9\twall\n2\t0.1\t9\t9\tbuilding, edifice\n"
    )
    found = read(tmp_path)
    assert found.layout == "ade20k"
    assert found.classes == ("wall", "building")
    assert places(found, "train")[0].tolist()[:3] == [-1, 0, 1]


def test_only_masks_are_taken_for_masks(tmp_path: Path) -> None:
    folder(tmp_path / "pairs", values=(0, 1))
    for name in ("cats", "dogs"):
        picture(tmp_path / "classes" / name / "0.jpg")
    classifier = plugins.load("task", "image-classification")
    segmenter = plugins.load("task", "segmentation")
    assert dataset.layout_of(tmp_path / "pairs", segmenter.layouts) == "mask-folders"
    assert dataset.layout_of(tmp_path / "pairs", classifier.layouts) is None
    assert dataset.layout_of(tmp_path / "classes", segmenter.layouts) is None
    assert dataset.layout_of(tmp_path / "classes", classifier.layouts) == "class-folders"
