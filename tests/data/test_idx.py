import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from headstart.core.errors import UserError
from headstart.data.dataset import read

LABELS = {"train": [7, 0, 10, 2, 7], "t10k": [2, 7, 0]}


def array(name: str) -> np.ndarray:
    return np.random.default_rng(len(name)).integers(0, 256, (len(LABELS[name]), 6, 5), np.uint8)


def images(values: np.ndarray) -> bytes:
    return struct.pack(">IIII", 0x803, *values.shape) + values.tobytes()


def labels(values: list[int]) -> bytes:
    return struct.pack(">II", 0x801, len(values)) + bytes(values)


def write(folder: Path, mark: str = "-", packed: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in LABELS.items():
        for what, content in (
            (f"images{mark}idx3", images(array(name))),
            (f"labels{mark}idx1", labels(values)),
        ):
            file = folder / f"{name}-{what}-ubyte{'.gz' if packed else ''}"
            file.write_bytes(gzip.compress(content, mtime=0) if packed else content)
    return folder


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("mark", ["-", "."])
@pytest.mark.parametrize("inner", ["", "raw"])
def test_pictures_and_labels(tmp_path: Path, mark: str, packed: bool, inner: str) -> None:
    write(tmp_path / inner, mark, packed)
    found = read(tmp_path, ["idx"])
    assert found.classes == ("0", "2", "7", "10")
    for split, name in (("train", "train"), ("test", "t10k")):
        assert [example.label for example in found.splits[split]] == [str(value) for value in LABELS[name]]
        assert [example.key for example in found.splits[split]] == [
            f"{split}/{n:05d}" for n in range(len(LABELS[name]))
        ]
        for row, example in enumerate(found.splits[split]):
            assert np.array_equal(example.pixels[example.row], array(name)[row])


def test_names_beside_the_data(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "labels.txt").write_text("\n".join(f"c{n}" for n in range(12)) + "\n")
    found = read(tmp_path, ["idx"])
    assert [example.label for example in found.splits["train"]] == ["c7", "c0", "c10", "c2", "c7"]
    assert {note.what: note.count for note in found.notes}["class without examples, left out"] == 8
    (tmp_path / "labels.txt").write_text("a\nb\n")
    with pytest.raises(UserError, match="label 7, but only 2 classes are named"):
        read(tmp_path, ["idx"])
    (tmp_path / "labels.txt").write_text("a\n" * 12)
    with pytest.raises(UserError, match="a name twice"):
        read(tmp_path, ["idx"])


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("train-labels-idx1-ubyte", labels([1, 2]), "has 5 pictures and .* 2 labels"),
        ("train-labels-idx1-ubyte", labels([1] * 5)[:-1], "promises 5 values and holds only 4"),
        ("train-labels-idx1-ubyte", labels([1] * 5) + b"x", "promises 5 values and holds more"),
        ("train-labels-idx1-ubyte", images(array("train")), "begins with 00 00 08 03"),
        ("train-images-idx3-ubyte", labels([1] * 5), "begins with 00 00 08 01"),
        ("train-images-idx3-ubyte", images(array("train"))[:100], "promises 150 values and holds only 84"),
        ("train-images-idx3-ubyte", images(array("train"))[:9], "ends within its header"),
        ("train-images-idx3-ubyte", struct.pack(">IIII", 0x803, 0, 28, 28), "0 x 28 x 28"),
        ("train-images-idx3-ubyte", struct.pack(">IIII", 0x803, *[2**32 - 1] * 3), "promises"),
        ("train-images-idx3-ubyte", b"", "begins with nothing"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_damage_is_one_sentence(
    tmp_path: Path, file: str, content: bytes, message: str, packed: bool
) -> None:
    write(tmp_path, packed=packed)
    name = f"{file}.gz" if packed else file
    (tmp_path / name).write_bytes(gzip.compress(content, mtime=0) if packed else content)
    message = "unpacks to" if packed and message == "promises" else message
    with pytest.raises(UserError, match=message):
        read(tmp_path, ["idx"])


@pytest.mark.parametrize("content", [b"plain", gzip.compress(images(array("train")), mtime=0)[:40]])
def test_a_damaged_gzip_file(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, packed=True)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(UserError, match="damaged gzip"):
        read(tmp_path, ["idx"])


def test_a_missing_file(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(UserError, match="lacks t10k-labels-idx1-ubyte"):
        read(tmp_path, ["idx"])
    (tmp_path / "t10k-images-idx3-ubyte").unlink()
    assert set(read(tmp_path, ["idx"]).splits) == {"train"}
