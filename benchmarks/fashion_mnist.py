"""Fashion-MNIST as PNG class folders, from Debian's package ``dataset-fashion-mnist``.

Command: ``python -m benchmarks.fashion_mnist OUT --train 400 --test 400``.
Writes ``OUT/train/<class>/00001.png`` ... and ``OUT/test/...``: 28 px, one channel, the first
pictures of each class in the package's own order, so the same on every machine.
"""

import argparse
import gzip
import shutil
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from benchmarks.measure import BenchmarkError

PACKAGE = "dataset-fashion-mnist"
CACHE = Path(__file__).resolve().parent / ".data"
CLASSES = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle-boot",
)
SPLIT_FILES = {"train": "train", "test": "t10k"}
SIDE_PX = 28
IMAGES_MAGIC, LABELS_MAGIC = 2051, 2049


def prepare(train: int, test: int, cache: Path = CACHE) -> Path:
    """The folder with ``train`` + ``test`` pictures under ``cache``, written if not yet there."""
    folder = cache / f"pictures-{train}-{test}"
    if not folder.exists():
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        write(partial, train, test, cache)
        partial.rename(folder)
    return folder


def write(out: Path, train: int, test: int, cache: Path = CACHE) -> None:
    """Write ``train`` + ``test`` pictures, balanced over the classes, as folders under ``out``.

    Raises BenchmarkError if ``out`` has something in it or the package has too few pictures.
    """
    if out.exists() and any(out.iterdir()):
        raise BenchmarkError(f"{out} is not empty: give a new folder")
    source = fetch(cache)
    for split, wanted in (("train", train), ("test", test)):
        _write_split(source, split, wanted, out / split)


def fetch(cache: Path = CACHE) -> Path:
    """The folder with the package's IDX files, downloaded with apt and unpacked if need be."""
    unpacked = cache / PACKAGE
    if not unpacked.exists():
        cache.mkdir(parents=True, exist_ok=True)
        partial = cache / f"{PACKAGE}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        _call(["apt-get", "download", PACKAGE], partial)
        (archive,) = partial.glob("*.deb")
        _call(["dpkg", "-x", archive.name, "."], partial)
        archive.unlink()
        partial.rename(unpacked)
    return next(unpacked.rglob("train-labels-idx1-ubyte*")).parent


def first_per_class(labels: bytes, wanted: int) -> list[int]:
    """Indices of ``wanted`` examples, balanced, the first of each class, in file order.

    Where ``wanted`` does not divide evenly, the first classes get one more.
    """
    share, more = divmod(wanted, len(CLASSES))
    left = [share + (label < more) for label in range(len(CLASSES))]
    chosen = []
    for index, label in enumerate(labels):
        if left[label] > 0:
            left[label] -= 1
            chosen.append(index)
    if any(left):
        raise BenchmarkError(f"{wanted} balanced pictures wanted, only {len(chosen)} found")
    return chosen


def _write_split(source: Path, split: str, wanted: int, out: Path) -> None:
    stem = SPLIT_FILES[split]
    labels = _read_idx(source, f"{stem}-labels-idx1-ubyte", LABELS_MAGIC, 1)
    pixels = _read_idx(source, f"{stem}-images-idx3-ubyte", IMAGES_MAGIC, 3)
    chosen = first_per_class(labels, wanted)
    written = [0] * len(CLASSES)
    for name in CLASSES:
        (out / name).mkdir(parents=True)
    area = SIDE_PX * SIDE_PX
    for index in chosen:
        label = labels[index]
        written[label] += 1
        data = pixels[index * area : (index + 1) * area]
        picture = Image.frombytes("L", (SIDE_PX, SIDE_PX), data)
        picture.save(out / CLASSES[label] / f"{written[label]:05d}.png")


def _read_idx(folder: Path, name: str, magic: int, dimensions: int) -> bytes:
    """The values of an IDX file of bytes, plain or gzipped, after its header."""
    plain = folder / name
    raw = plain.read_bytes() if plain.exists() else gzip.decompress(_gz(plain).read_bytes())
    found = struct.unpack(">I", raw[:4])[0]
    if found != magic:
        raise BenchmarkError(f"{plain} starts with {found}, expected {magic}: delete {folder}")
    return raw[4 + 4 * dimensions :]


def _gz(path: Path) -> Path:
    return path.with_name(path.name + ".gz")


def _call(command: Sequence[str], folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise BenchmarkError(f"{command[0]} not found: this needs Debian's package tools") from None
    except subprocess.CalledProcessError as error:
        found = f"{' '.join(command)} failed: {error.stderr.strip()}"
        raise BenchmarkError(f"{found}; is the package list there (apt-get update)?") from None


def main() -> int:
    """Write the folders that the command line asks for."""
    parser = argparse.ArgumentParser(description="Write Fashion-MNIST as PNG class folders.")
    parser.add_argument("out", type=Path, help="a new folder")
    parser.add_argument("--train", type=int, default=400, help="training pictures")
    parser.add_argument("--test", type=int, default=400, help="test pictures")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where the package is kept")
    options = parser.parse_args()
    try:
        write(options.out, options.train, options.test, options.cache)
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
