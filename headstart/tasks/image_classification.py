"""Image classification: one picture in, one of K classes out."""

import base64
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast, final

import numpy as np
from PIL import Image

from headstart.contracts import (
    Array,
    Example,
    Floats,
    PicturePreprocess,
    Prepared,
    Pretrained,
    Rows,
)
from headstart.core.errors import BadExample, UserError
from headstart.data import picture
from headstart.data.listing import PICTURE_SUFFIXES
from headstart.tasks._classes import Classification, LinearBaseline, MajorityBaseline

_THUMBNAIL_PX = 112


@final
class PixelBaseline(LinearBaseline):
    """A linear model on the picture shrunk to 16 x 16 pixels."""

    name = "pixels"

    def facts(self, rows: Rows, indices_n: Array) -> Mapping[str, Any]:
        """Learn nothing: pixels are what they are."""
        return {}

    def matrix(self, facts: Mapping[str, Any], rows: Rows, indices_n: Array) -> Floats:
        """Return pixels in 0..1, float32 [n, 768]."""
        return rows.read(indices_n, [column for column in rows.columns if column.name == self.name])


@final
class ImageClassification(Classification):
    """Tells pictures apart."""

    name = "image-classification"
    modality = "picture"
    default_base = "pack:efficientnet-lite0"
    learner = "classes"
    baselines = (MajorityBaseline(), PixelBaseline())
    layouts = ("imagenet", "cifar10", "idx", "image-table", "class-folders")
    unit = "pictures"
    row = "pictures"

    def inputs(self, names: Sequence[str]) -> Iterator[Example]:
        """Yield pictures: files, every picture below a folder, or paths on standard input, one a line."""
        for name in names:
            if name == "-":
                yield from self.inputs([line.rstrip("\n") for line in sys.stdin if line.strip()])
                continue
            path = Path(name)
            if path.is_dir():
                files = sorted(file for file in path.rglob("*") if file.suffix.lower() in PICTURE_SUFFIXES)
                if not files:
                    raise UserError(
                        f"{name} holds no picture", "a folder with pictures", "name another folder"
                    )
                yield from (Example(key=str(file), label="", path=file) for file in files)
            elif path.exists():
                yield Example(key=name, label="", path=path)
            else:
                raise UserError(
                    f"{name} does not exist", "a picture, a folder of pictures, or -", "check the path"
                )

    def content(self, example: Example) -> bytes:
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

    def prepare(self, example: Example, content: bytes, pretrained: Pretrained) -> Prepared:
        """Decode, turn upright, resize and crop: uint8 [size, size, 3]."""
        image, notes = _open(example, content)
        pixels = picture.square(image, cast(PicturePreprocess, pretrained.preprocess))
        return Prepared(inputs={"pixels": pixels}, notes=notes)

    def show(self, example: Example) -> dict[str, str]:
        """Return the picture, small, as a data URI."""
        try:
            image, _ = _open(example, self.content(example))
        except BadExample:  # the file went away since its features were computed
            return {}
        image.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
        buffer = io.BytesIO()
        image.save(buffer, "PNG", optimize=True)
        return {"image": "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()}


def _open(example: Example, content: bytes) -> tuple[Image.Image, tuple[str, ...]]:
    if example.pixels is not None:
        return picture.from_pixels(example.pixels[example.row]), ()
    return picture.decode(content)
