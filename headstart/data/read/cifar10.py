"""CIFAR-10 as its authors publish it: the Python pickles or the binary files, and CIFAR-100's pickles.

A picture is 3,072 bytes: 32 x 32 pixels, all red, then all green, then all blue.
Format: https://www.cs.toronto.edu/~kriz/cifar.html
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np

from headstart.contracts import Array, Example, Listing, Reader
from headstart.core.errors import UserError
from headstart.core.unpickle import load_arrays
from headstart.data.listing import Collector, class_name

_BYTES = 3 * 32 * 32
_REMEDY = "download and unpack the archive again"
_BATCHES = tuple(("train", f"data_batch_{number}") for number in range(1, 6))
_TEN = (*_BATCHES, ("test", "test_batch"))
_HUNDRED = (("train", "train"), ("test", "test"))

Batch = tuple[str, Path, Array, Sequence[int]]
"""Split, file, pixels [N, 32, 32, 3] and class numbers [N]."""


@final
class Cifar10(Reader):
    """Reads ``cifar-10-batches-py``, ``cifar-10-batches-bin`` and ``cifar-100-python``, or their parent."""

    name: ClassVar[str] = "cifar10"

    def recognises(self, path: Path) -> bool:
        """Say whether the folder, or one in it, holds the files that name the classes."""
        return _find(path) is not None

    def read(self, path: Path) -> Listing:
        """List the pictures. Raises UserError for a missing, damaged or unsafe file."""
        found = _find(path)
        if found is None:
            raise UserError(f"{path} holds no CIFAR folder", "cifar-10-batches-py or -bin", _REMEDY)
        folder, form = found
        names, batches = _binary(folder) if form == "bin" else _pickled(folder, form == "ten")
        collector = Collector(self.name)
        counts = {"train": 0, "test": 0}
        for split, file, pixels_NHWC, labels_N in batches:
            _check_labels(file, labels_N, names)
            for row, label in enumerate(labels_N):
                key = f"{split}/{counts[split]:05d}"
                collector.add(split, Example(key, names[label], file, row, pixels_NHWC))
                counts[split] += 1
        return collector.listing(names)


def _find(path: Path) -> tuple[Path, str] | None:
    """Return the folder and which form it has: ``ten``, ``hundred`` or ``bin``."""
    inner = ("", "cifar-10-batches-py", "cifar-10-batches-bin", "cifar-100-python")
    for folder in (path / name for name in inner):
        if (folder / "batches.meta").is_file():
            return folder, "ten"
        if (folder / "batches.meta.txt").is_file():
            return folder, "bin"
        if all((folder / name).is_file() for name in ("meta", "train", "test")):
            return folder, "hundred"
    return None


def _pickled(folder: Path, ten: bool) -> tuple[list[str], Iterator[Batch]]:
    meta = _load(folder / ("batches.meta" if ten else "meta"))
    names = _names(_field(meta, "label_names" if ten else "fine_label_names", folder), folder)
    return names, (_pickled_batch(split, folder / name, ten) for split, name in (_TEN if ten else _HUNDRED))


def _pickled_batch(split: str, file: Path, ten: bool) -> Batch:
    content = _load(file)
    data, labels = _field(content, "data", file), _field(content, "labels" if ten else "fine_labels", file)
    if (
        not isinstance(data, np.ndarray)
        or data.dtype != np.uint8
        or data.ndim != 2
        or data.shape[1] != _BYTES
    ):
        raise UserError(f"{file} holds no table of {_BYTES}-byte pictures", "uint8 data [N, 3072]", _REMEDY)
    if not isinstance(labels, list) or len(labels) != len(data):
        raise UserError(
            f"{file} has {len(data):,} pictures but not as many labels", "one label each", _REMEDY
        )
    return split, file, _pictures(data), labels


def _binary(folder: Path) -> tuple[list[str], Iterator[Batch]]:
    lines = (folder / "batches.meta.txt").read_text(encoding="utf-8", errors="replace").split("\n")
    names = _names([line.strip() for line in lines if line.strip()], folder)
    return names, (_binary_batch(split, folder / f"{name}.bin") for split, name in _TEN)


def _binary_batch(split: str, file: Path) -> Batch:
    size = _existing(file).stat().st_size
    if size == 0 or size % (1 + _BYTES):
        found = f"{file} has {size:,} bytes, no multiple of {1 + _BYTES:,}"
        raise UserError(found, "one label byte and 3,072 pixel bytes per picture", _REMEDY)
    records = np.memmap(file, dtype=np.uint8, mode="r").reshape(-1, 1 + _BYTES)
    return split, file, _pictures(records[:, 1:]), records[:, 0].tolist()


def _pictures(data_NB: Array) -> Array:
    """View bytes [N, 3072] as pictures [N, 32, 32, 3]; published files are not copied."""
    return data_NB.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


def _load(file: Path) -> Mapping[Any, Any]:
    content = load_arrays(_existing(file))
    if not isinstance(content, dict):
        raise UserError(
            f"{file} holds a {type(content).__name__}", "a dictionary, as CIFAR's authors wrote it", _REMEDY
        )
    return content


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise UserError(f"{file} is missing", "all files of the data set", _REMEDY)
    return file


def _field(content: Mapping[Any, Any], name: str, file: Path) -> Any:
    # Python 2 wrote the published files: their keys come back as bytes.
    for key in (name.encode(), name):
        if key in content:
            return content[key]
    raise UserError(f"{file} has no field {name!r}", "CIFAR's own fields", _REMEDY)


def _names(raw: Any, folder: Path) -> list[str]:
    texts = [item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item) for item in raw]
    names = [class_name(text) for text in texts]
    if len(set(names)) != len(names) or not names:
        raise UserError(f"{folder} names a class twice or none at all", "one name per class", _REMEDY)
    return names


def _check_labels(file: Path, labels_N: Sequence[int], names: Sequence[str]) -> None:
    for row, label in enumerate(labels_N):
        if not isinstance(label, int) or not 0 <= label < len(names):
            expected = f"a class number from 0 to {len(names) - 1}"
            raise UserError(f"{file} gives picture {row} the label {label!r}", expected, _REMEDY)
