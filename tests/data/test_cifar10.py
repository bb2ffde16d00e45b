import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.core.errors import UserError
from headstart.data.dataset import read
from headstart.data.picture import from_pixels

NAMES = ["airplane", "automobile", "bird"]
BATCHES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
ROWS = 4


def planes() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (len(BATCHES), ROWS, 3, 32, 32), np.uint8)


def label(batch: int, row: int) -> int:
    return (batch + row) % len(NAMES)


def write_pickles(folder: Path, protocol: int = 2) -> Path:
    folder.mkdir(parents=True)
    for place, name in enumerate(BATCHES):
        data = planes()[place].reshape(ROWS, -1)
        content = {
            b"data": data,
            b"labels": [label(place, row) for row in range(ROWS)],
            b"filenames": [b"x.png"],
        }
        (folder / name).write_bytes(pickle.dumps(content, protocol))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": NAMES}, protocol))
    return folder


def write_binary(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for place, name in enumerate(BATCHES):
        rows = (bytes([label(place, row)]) + planes()[place, row].tobytes() for row in range(ROWS))
        (folder / f"{name}.bin").write_bytes(b"".join(rows))
    (folder / "batches.meta.txt").write_text("\n".join(NAMES) + "\n\n")
    return folder


@pytest.mark.parametrize("write", [write_pickles, write_binary])
def test_every_picture_has_its_own_label_and_pixels(tmp_path: Path, write: Any) -> None:
    folder = write(tmp_path / f"cifar-10-batches-{'py' if write is write_pickles else 'bin'}")
    for path in (tmp_path, folder):
        found = read(path, ["cifar10"])
        train, test = found.splits["train"], found.splits["test"]
        assert (len(train), len(test), found.classes) == (5 * ROWS, ROWS, tuple(NAMES))
        assert [train[0].key, train[-1].key, test[0].key] == ["train/00000", "train/00019", "test/00000"]
        for place, example in enumerate([*train, *test]):
            batch, row = divmod(place, ROWS)
            assert example.label == NAMES[label(batch, row)]
            expected = planes()[batch, row].transpose(1, 2, 0)
            assert np.array_equal(np.asarray(from_pixels(example.pixels[example.row])), expected)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_of_every_protocol_are_read(tmp_path: Path, protocol: int) -> None:
    assert len(read(write_pickles(tmp_path / "x", protocol), ["cifar10"]).splits["train"]) == 5 * ROWS


def test_cifar_100(tmp_path: Path) -> None:
    for name in ("train", "test"):
        content = {
            b"data": planes()[0].reshape(ROWS, -1),
            b"fine_labels": [0, 1, 2, 0],
            b"coarse_labels": [1, 1, 1, 1],
        }
        (tmp_path / name).write_bytes(pickle.dumps(content, 2))
    (tmp_path / "meta").write_bytes(pickle.dumps({"fine_label_names": NAMES}, 2))
    found = read(tmp_path, ["cifar10"])
    assert [example.label for example in found.splits["test"]] == [
        "airplane",
        "automobile",
        "bird",
        "airplane",
    ]


class Poison:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return (Path.touch, (self.marker,))


@pytest.mark.parametrize("file", ["batches.meta", "data_batch_3", "test_batch"])
def test_a_poisoned_pickle_runs_nothing(tmp_path: Path, file: str) -> None:
    folder = write_pickles(tmp_path / "x")
    marker = tmp_path / "ran"
    (folder / file).write_bytes(pickle.dumps({"data": Poison(marker), "label_names": Poison(marker)}))
    with pytest.raises(UserError, match=f"{file} is not a pickle of arrays alone"):
        read(folder, ["cifar10"])
    assert not marker.exists()


POISONS = [
    b"cos\nsystem\n(S'true'\ntR.",
    b"cbuiltins\neval\n(S'1'\ntR.",
    b"\x80\x04\x8c\x05numpy\x8c\x0ectypeslib.load\x93.",
    b"cnumpy\nload\n(S'x'\ntR.",
    b"cnumpy.core.multiarray\nfromfile\n.",
    b"(S'x'\nios\nsystem\n.",
    b"\x80\x02\x82\x01.",
    b"P1\n.",
    b"",
    b"junk",
]


@pytest.mark.parametrize("poison", POISONS)
def test_any_other_name_or_damage_is_one_sentence(tmp_path: Path, poison: bytes) -> None:
    folder = write_pickles(tmp_path / "x")
    (folder / "data_batch_2").write_bytes(poison)
    with pytest.raises(UserError, match="data_batch_2"):
        read(folder, ["cifar10"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({b"data": planes()[0].reshape(ROWS, -1), b"labels": [0]}, "not as many labels"),
        ({b"data": planes()[0].reshape(ROWS, -1), b"labels": [0, 1, 2, 3]}, "picture 3 the label 3"),
        ({b"data": planes()[0].reshape(ROWS, -1), b"labels": [0, 1, 2, -1]}, "picture 3 the label -1"),
        ({b"data": np.zeros((4, 3071), np.uint8), b"labels": [0] * 4}, "no table of 3072-byte pictures"),
        ({b"data": np.zeros((4, 3072), np.float32), b"labels": [0] * 4}, "no table of 3072-byte pictures"),
        ({b"data": "text", b"labels": []}, "no table of 3072-byte pictures"),
        ({b"labels": []}, "no field 'data'"),
        ([1], "holds a list"),
    ],
)
def test_contents_that_are_not_cifar(tmp_path: Path, content: Any, message: str) -> None:
    folder = write_pickles(tmp_path / "x")
    (folder / "data_batch_2").write_bytes(pickle.dumps(content, 2))
    with pytest.raises(UserError, match=message):
        read(folder, ["cifar10"])


def test_column_order_in_memory_does_not_mix_pictures(tmp_path: Path) -> None:
    folder = write_pickles(tmp_path / "x")
    data = np.asfortranarray(planes()[0].reshape(ROWS, -1))
    (folder / "data_batch_1").write_bytes(pickle.dumps({b"data": data, b"labels": [0] * ROWS}, 2))
    example = read(folder, ["cifar10"]).splits["train"][1]
    assert np.array_equal(example.pixels[1], planes()[0, 1].transpose(1, 2, 0))


def test_missing_and_cut_files(tmp_path: Path) -> None:
    folder = write_binary(tmp_path / "x")
    (folder / "data_batch_4.bin").write_bytes(b"\0" * 3072)
    with pytest.raises(UserError, match="3,072 bytes, no multiple of 3,073"):
        read(folder, ["cifar10"])
    (folder / "data_batch_4.bin").unlink()
    with pytest.raises(UserError, match=r"data_batch_4\.bin is missing"):
        read(folder, ["cifar10"])
