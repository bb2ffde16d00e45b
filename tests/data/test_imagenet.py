from collections.abc import Callable
from pathlib import Path

import pytest

from headstart.contracts import Listing
from headstart.core.errors import UserError
from headstart.data.dataset import read

Save = Callable[..., Path]
LAYOUTS = ("imagenet", "class-folders")
TENCH, CRANE, LIFTER = "n01440764", "n02012849", "n03126707"
MAPPING = f"{TENCH} tench, Tinca tinca\n{CRANE} crane\n{LIFTER} crane\n"
SOLUTION = f"ImageId,PredictionString\nILSVRC2012_val_00000001,{LIFTER} 85 1 499 272 {LIFTER} 1 2 3 4 \n"
SOLUTION += f"ILSVRC2012_val_00000002,{TENCH} 1 2 3 4 \nILSVRC2012_val_00000009,{TENCH} 1 2 3 4 \n"


@pytest.fixture
def official(tmp_path: Path, save: Save) -> Path:
    inner = tmp_path / "ILSVRC" / "Data" / "CLS-LOC"
    save(inner, *(f"train/{wnid}/{wnid}_{n}.JPEG" for wnid in (TENCH, CRANE, LIFTER) for n in range(2)))
    save(
        inner,
        *(f"val/ILSVRC2012_val_0000000{n}.JPEG" for n in (1, 2, 3)),
        "test/ILSVRC2012_test_00000001.JPEG",
    )
    (tmp_path / "LOC_synset_mapping.txt").write_text(MAPPING)
    (tmp_path / "LOC_val_solution.csv").write_text(SOLUTION)
    return tmp_path


@pytest.mark.parametrize("inner", ["", "ILSVRC", "ILSVRC/Data", "ILSVRC/Data/CLS-LOC"])
def test_the_official_layout_from_any_of_its_folders(official: Path, inner: str) -> None:
    found = read(official / inner, LAYOUTS)
    assert found.layout == "imagenet"
    # Two classes are called 'crane': the number keeps them apart.
    assert found.classes == (f"{TENCH} tench", f"{CRANE} crane", f"{LIFTER} crane")
    val = {example.key: example.label for example in found.splits["val"]}
    assert val == {
        "val/ILSVRC2012_val_00000001.JPEG": f"{LIFTER} crane",
        "val/ILSVRC2012_val_00000002.JPEG": f"{TENCH} tench",
    }
    assert len(found.splits["train"]) == 6
    assert {(item.file, item.reason.split(",")[0].split(":")[0]) for item in found.dropped} == {
        ("val/ILSVRC2012_val_00000003.JPEG", "not in LOC_val_solution.csv"),
        ("val/ILSVRC2012_val_00000009.JPEG", "named in LOC_val_solution.csv"),
    }
    assert any("its 1 pictures have no public labels" in note.what for note in found.notes)


def test_without_the_mapping_classes_are_numbers(official: Path) -> None:
    (official / "LOC_synset_mapping.txt").unlink()
    assert read(official, LAYOUTS).classes == (TENCH, CRANE, LIFTER)


def labels(found: Listing, split: str) -> list[str]:
    return [example.label for example in found.splits[split]]


def test_the_common_form_is_class_folders(tmp_path: Path, save: Save) -> None:
    save(
        tmp_path,
        f"train/{TENCH}/1.JPEG",
        f"train/{CRANE}/1.JPEG",
        f"val/{CRANE}/2.JPEG",
        f"val/{TENCH}/2.JPEG",
    )
    found = read(tmp_path, LAYOUTS)
    assert found.layout == "class-folders"
    assert labels(found, "val") == [TENCH, CRANE]


def test_a_flat_val_without_labels_says_what_to_provide(official: Path) -> None:
    (official / "LOC_val_solution.csv").unlink()
    with pytest.raises(UserError, match=r"put LOC_val_solution\.csv beside it, or sort"):
        read(official, LAYOUTS)
    (official / "ILSVRC2012_validation_ground_truth.txt").write_text("490\n361\n")
    with pytest.raises(UserError, match=r"order of meta\.mat, which is not read"):
        read(official, LAYOUTS)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("LOC_val_solution.csv", "ImageId,PredictionString\nx,490\n", "row 2"),
        ("LOC_val_solution.csv", "ImageId,PredictionString\nx\n", "row 2"),
        ("LOC_synset_mapping.txt", f"{TENCH} tench\ncrane\n", "line 2: 'crane'"),
    ],
)
def test_broken_tables_are_named_with_their_row(official: Path, file: str, text: str, message: str) -> None:
    (official / file).write_text(text)
    with pytest.raises(UserError, match=message):
        read(official, LAYOUTS)
