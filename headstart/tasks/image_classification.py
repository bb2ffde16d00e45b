"""Image classification: one picture in, one of K classes out."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast, final

from headstart.contracts import (
    Array,
    Example,
    Floats,
    PicturePreprocess,
    Prepared,
    Pretrained,
    Rows,
    Trait,
)
from headstart.core.errors import BadExample
from headstart.data import picture
from headstart.data.corruption import PICTURES
from headstart.tasks import _pictures
from headstart.tasks._classes import Classification, LinearBaseline, MajorityBaseline, Representation

_PIXELS = "pixels"
"""The name of the baseline, and of the column of features that it reads."""
_THUMBNAIL_PX = 112


@final
class Pixels(Representation):
    """The picture shrunk to 16 x 16 pixels."""

    def facts(self, rows: Rows, indices_n: Array) -> Mapping[str, Any]:
        """Learn nothing: pixels are what they are."""
        return {}

    def matrix(self, facts: Mapping[str, Any], rows: Rows, indices_n: Array) -> Floats:
        """Return pixels in 0..1, float32 [n, 768]."""
        return rows.read(indices_n, [column for column in rows.columns if column.name == _PIXELS])


@final
class ImageClassification(Classification):
    """Tells pictures apart."""

    name = "image-classification"
    default_base = "pack:efficientnet-lite0"
    takes = "picture"
    learners = ("classes",)
    baselines = (MajorityBaseline(), LinearBaseline(_PIXELS, Pixels()))
    layouts = ("imagenet", "cifar10", "idx", "image-table", "class-folders")
    unit = "pictures"
    corruptions = tuple(PICTURES)
    row = "pictures"

    def inputs(self, names: Sequence[str]) -> Iterator[Example]:
        """Yield pictures: files, every picture below a folder, or paths on standard input, one a line."""
        return _pictures.inputs(names)

    def content(self, example: Example) -> bytes:
        """Return the file's bytes, or the pixels' where pictures share a file."""
        return _pictures.content(example)

    def corrupted(self, example: Example, how: str, seed: int, folder: Path) -> Example:
        """Return the picture spoilt, as a file. Raises BadExample."""
        return _pictures.corrupted(example, how, seed, folder)

    def traits(self, example: Example) -> dict[str, Trait]:
        """Return the picture's class and its shorter side. Raises BadExample."""
        return {"class": example.label, "shorter side, px": min(_pictures.size(example))}

    def prepare(self, example: Example, content: bytes, pretrained: Pretrained) -> Prepared:
        """Decode, turn upright, resize and crop: uint8 [size, size, 3]."""
        image, notes = _pictures.opened(example, content)
        pixels = picture.square(image, cast(PicturePreprocess, pretrained.preprocess))
        return Prepared(inputs={"pixels": pixels}, notes=notes)

    def show(self, example: Example) -> dict[str, str]:
        """Return the picture, small, as a data URI."""
        try:
            image, _ = _pictures.opened(example, self.content(example))
        except BadExample:  # the file went away since its features were computed
            return {}
        image.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
        return {"image": _pictures.data_uri(image)}
