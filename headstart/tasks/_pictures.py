"""What every task on pictures shares: which inputs are pictures, their bytes, and small copies to look at."""

import base64
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from headstart.contracts import Example
from headstart.core.errors import BadExample, UserError
from headstart.data import picture
from headstart.data.corruption import PICTURES
from headstart.data.listing import PICTURE_SUFFIXES
from headstart.data.mask import upright_size


def inputs(names: Sequence[str]) -> Iterator[Example]:
    """Yield pictures: files, every picture below a folder, or paths on standard input, one a line."""
    for name in names:
        if name == "-":
            yield from inputs([line.rstrip("\n") for line in sys.stdin if line.strip()])
            continue
        path = Path(name)
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.suffix.lower() in PICTURE_SUFFIXES)
            if not files:
                raise UserError(f"{name} holds no picture", "a folder with pictures", "name another folder")
            yield from (Example(key=str(file), label="", path=file) for file in files)
        elif path.exists():
            yield Example(key=name, label="", path=path)
        else:
            raise UserError(
                f"{name} does not exist", "a picture, a folder of pictures, or -", "check the path"
            )


def content(example: Example) -> bytes:
    """Return the file's bytes, or the pixels' where pictures share a file."""
    if example.pixels is not None:
        pixels = example.pixels[example.row]
        return repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()
    if not example.path.is_file():  # opening a pipe would wait for a writer for ever
        raise BadExample("no regular file" if example.path.exists() else "does not exist")
    try:
        return example.path.read_bytes()
    except OSError as error:
        raise BadExample(f"cannot be read: {(error.strerror or str(error)).lower()}") from error


def opened(example: Example, content: bytes) -> tuple[Image.Image, tuple[str, ...]]:
    """Return the picture in RGB, upright, and what had to be done to it. Raises BadExample."""
    if example.pixels is not None:
        return picture.from_pixels(example.pixels[example.row]), ()
    return picture.decode(content)


def size(example: Example) -> tuple[int, int]:
    """Return the upright picture's (width, height) without decoding it. Raises BadExample."""
    if example.pixels is not None:
        height, width = example.pixels[example.row].shape[:2]
        return width, height
    if not example.path.is_file():  # opening a pipe would wait for a writer for ever
        raise BadExample("no regular file")
    return upright_size(example.path)[0]


def corrupted(example: Example, how: str, seed: int, folder: Path) -> Example:
    """Return the picture spoilt, as a file in ``folder``. Raises BadExample."""
    image, _ = opened(example, content(example))
    path = folder / f"{seed}.png"
    PICTURES[how](image, np.random.default_rng(seed)).save(path, "PNG", compress_level=1)
    return replace(example, path=path, pixels=None, row=-1)


def data_uri(image: Image.Image) -> str:
    """Return a picture as a PNG in a data URI."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
