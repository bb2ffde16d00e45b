"""MNIST's own format (IDX): one file of pictures and one of labels per split, plain or gzipped.

Header: two zero bytes, the type (8: unsigned byte), the number of axes, each axis as a big-endian
32-bit integer. Format: http://yann.lecun.com/exdb/mnist/
"""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import IO, ClassVar, cast, final

import numpy as np

from headstart.contracts import Array, Example, Listing, Reader
from headstart.core.errors import UserError
from headstart.data.listing import Collector, class_name

_SPLITS = {"train": "train", "test": "t10k"}
_NAME_FILES = ("labels.txt", "classes.txt")
_REMEDY = "download the file again"
_MAX_UNPACKED_BYTES, _MAX_TIMES = 4 << 30, 200
_NEVER_TOO_MUCH = 16 << 20


@final
class Idx(Reader):
    """Reads ``train-images-idx3-ubyte[.gz]`` and its companions (also spelt ``.idx3-ubyte``)."""

    name: ClassVar[str] = "idx"

    def recognises(self, path: Path) -> bool:
        """Say whether the folder, or ``raw`` in it, holds training pictures or labels in IDX."""
        return _folder(path) is not None

    def read(self, path: Path) -> Listing:
        """List the pictures. Raises UserError for a damaged file or one that is missing."""
        folder = _folder(path) or path
        collector = Collector(self.name)
        names = _class_names(folder)
        seen: set[int] = set()
        for split, prefix in _SPLITS.items():
            images, labels = _find(folder, prefix, "images", 3), _find(folder, prefix, "labels", 1)
            if images is None and labels is None:
                continue
            if images is None or labels is None:
                lacking = f"{prefix}-{'images-idx3' if images is None else 'labels-idx1'}-ubyte"
                raise UserError(
                    f"{folder} lacks {lacking}", "pictures and labels of each split", "add that file"
                )
            pixels_NHW, labels_N = _load(images, 3), _load(labels, 1)
            if len(pixels_NHW) != len(labels_N):
                found = f"{images} has {len(pixels_NHW):,} pictures and {labels} {len(labels_N):,} labels"
                raise UserError(found, "one label per picture", _REMEDY)
            for row, label in enumerate(labels_N.tolist()):
                key = f"{split}/{row:05d}"
                collector.add(split, Example(key, _name(label, names, labels), images, row, pixels_NHW))
                seen.add(label)
        return collector.listing(names)


def _folder(path: Path) -> Path | None:
    return next((folder for folder in (path, path / "raw") if _find(folder, "train", "images", 3)), None)


def _find(folder: Path, prefix: str, what: str, axes: int) -> Path | None:
    spellings = (f"{prefix}-{what}{mark}idx{axes}-ubyte{pack}" for pack in ("", ".gz") for mark in "-.")
    return next((folder / name for name in spellings if (folder / name).is_file()), None)


def _class_names(folder: Path) -> list[str]:
    """Return the names in a file beside the data, one a line; empty where there is none."""
    for file in (folder / name for name in _NAME_FILES):
        if file.is_file():
            lines = file.read_text(encoding="utf-8-sig", errors="replace").strip().splitlines()
            names = [class_name(line.strip()) for line in lines]
            if len(set(names)) != len(names) or "" in names:
                raise UserError(
                    f"{file} has a name twice or an empty line", "one class name a line", "mend it"
                )
            return names
    return []


def _name(label: int, names: list[str], file: Path) -> str:
    if names and label >= len(names):
        found = f"{file} has the label {label}, but only {len(names)} classes are named"
        raise UserError(found, "a name for each label, counting from 0", "complete the file of names")
    return names[label] if names else str(label)


def _load(file: Path, axes: int) -> Array:
    """Return an IDX file's bytes as an array; one that isn't packed stays on disk until it is read."""
    with _open(file) as opened:
        try:
            shape = _shape(opened.read(4 + 4 * axes), file, axes)
            header, count = 4 + 4 * axes, math.prod(shape)
            if file.suffix != ".gz":
                size = file.stat().st_size - header
                _check_size(file, size, count)
                return np.memmap(file, dtype=np.uint8, mode="r", offset=header, shape=shape)
            if count > _MAX_UNPACKED_BYTES:
                raise UserError(
                    f"{file} unpacks to {count:,} bytes", "at most 4 GiB when packed", "unpack it"
                )
            if count > _NEVER_TOO_MUCH + _MAX_TIMES * file.stat().st_size:
                raise UserError(
                    f"{file} unpacks to {count:,} bytes, over {_MAX_TIMES} times its size",
                    "pictures",
                    _REMEDY,
                )
            content = opened.read(count + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise UserError(f"{file} is a damaged gzip file ({error})", "a whole file", _REMEDY) from error
    _check_size(file, len(content), count)
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def _open(file: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(file, "rb")) if file.suffix == ".gz" else file.open("rb")


def _shape(header: bytes, file: Path, axes: int) -> tuple[int, ...]:
    if header[:4] != bytes((0, 0, 8, axes)):
        expected = f"the bytes 00 00 08 {axes:02d}, then the sizes"
        raise UserError(f"{file} begins with {header[:4].hex(' ') or 'nothing'}", expected, _REMEDY)
    if len(header) < 4 + 4 * axes:
        raise UserError(f"{file} ends within its header", "a whole file", _REMEDY)
    shape = struct.unpack(f">{axes}I", header[4:])
    if 0 in shape:
        raise UserError(f"{file} says its size is {' x '.join(map(str, shape))}", "pictures", _REMEDY)
    return shape


def _check_size(file: Path, found: int, expected: int) -> None:
    if found != expected:
        more = "more" if found > expected else f"only {found:,}"
        raise UserError(
            f"{file} promises {expected:,} values and holds {more}", "as many as promised", _REMEDY
        )
