"""One mask: a picture whose pixels name classes, by number or by colour.

Shape letters: H height, W width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from PIL import ExifTags, Image

from headstart.contracts import Array, Truth
from headstart.core.errors import BadExample
from headstart.core.files import digest_bytes
from headstart.data import picture
from headstart.data.signature import HEAD_BYTES, describe, picture_format

IGNORED = -1
"""The place of pixels that are neither learnt nor scored."""
_MAX_PIXELS, _MAX_COLOURED, _COUNTED = 64_000_000, 25_000_000, 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """Which class each value of a mask's pixels means; values in ``ignored`` mean none.

    Of masks ``in_colour``, a pixel's value is its colour as one number, 0xRRGGBB.
    """

    names: Mapping[int, str]
    ignored: frozenset[int] = frozenset()
    in_colour: bool = False

    def unknown(self, values: Sequence[int]) -> list[int]:
        """Return the values that mean nothing."""
        return [value for value in values if value not in self.names and value not in self.ignored]


@final
@dataclass(frozen=True, slots=True)
class Mask(Truth):
    """A file that holds an example's mask, and what its pixels mean."""

    path: Path
    coding: Coding

    def digest(self) -> bytes:
        """Return a digest of the file and of its meaning. Raises BadExample."""
        meaning = repr((sorted(self.coding.names.items()), sorted(self.coding.ignored)))
        try:
            return digest_bytes(self.path.read_bytes(), meaning.encode()).encode()
        except OSError as error:
            raise BadExample(f"mask {self.path} cannot be read ({error.strerror})") from error

    def names(self) -> tuple[str, ...]:
        """Return none: which classes are in a mask, only reading it would tell."""
        return ()

    def places(self, classes: Sequence[str]) -> Array:
        """Return each pixel's place among ``classes``, int16 [H, W]; ignored ones are -1.

        Raises BadExample for a file that is no mask or holds values of unknown meaning.
        """
        values_HW, in_colour = read_values(self.path)
        if self.coding.in_colour and not in_colour:
            values_HW = values_HW.astype(np.int32) * 0x010101  # black and white are grey and colours alike
        place_of = {name: place for place, name in enumerate(classes)}
        found, inverse_HW = distinct(values_HW)
        unknown = self.coding.unknown(found)
        if unknown:
            raise BadExample(unknown_reason(unknown, self.coding))
        names = [self.coding.names.get(value) for value in found]
        table = [IGNORED if name is None else place_of.get(name, IGNORED) for name in names]
        return np.asarray(table, dtype=np.int16)[inverse_HW]


def unknown_reason(unknown: Sequence[int], coding: Coding) -> str:
    """Say which values of a mask mean nothing."""
    shown = ", ".join(show_value(value, coding.in_colour) for value in unknown[:5])
    more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
    kind = "colours" if coding.in_colour else "ids"
    return f"mask has {kind} of no known class: {shown}{more}"


def show_value(value: int, in_colour: bool) -> str:
    """Return a value as people write it."""
    return f"#{value:06x}" if in_colour else str(value)


def distinct(values_HW: Array) -> tuple[list[int], Array]:
    """Return a mask's values in order, and where each pixel's is among them [H, W]."""
    if values_HW.dtype == np.uint8:
        # Counting is ten times as fast as sorting.
        # Of some rows at a time: what is counted is widened to eight bytes first.
        rows = max(1, _COUNTED // max(1, values_HW.shape[-1]))
        parts = (values_HW[top : top + rows] for top in range(0, len(values_HW), rows))
        found = np.flatnonzero(sum(np.bincount(part.ravel(), minlength=256) for part in parts))
        table = np.zeros(256, dtype=np.int32)
        table[found] = np.arange(len(found))
        return [int(value) for value in found], table[values_HW]
    found, inverse = np.unique(values_HW, return_inverse=True)
    return [int(value) for value in found], inverse.reshape(values_HW.shape)


def read_values(path: Path) -> tuple[Array, bool]:
    """Return a mask's pixels as numbers [H, W], and whether they are colours.

    A palette's colours say nothing, its indices are the numbers. Grey stored as RGB is grey. Raises
    BadExample with the reason.
    """
    with picture.pillow(lambda error: _reason(path, error)), _opened(path) as image:
        _check(image)
        if image.mode in ("P", "L"):
            return np.asarray(image), False
        if image.mode == "1":
            return np.asarray(image).astype(np.uint8), False
        if image.mode.startswith("I"):
            return np.asarray(image).astype(np.int32), False
        if image.mode == "LA":
            return np.asarray(image.getchannel("L")), False
        rgb_HW3 = np.asarray(image.convert("RGB"))
    if (rgb_HW3 == rgb_HW3[..., :1]).all():
        return np.ascontiguousarray(rgb_HW3[..., 0]), False
    wide_HW3 = rgb_HW3.astype(np.int32)
    return (wide_HW3[..., 0] << 16) | (wide_HW3[..., 1] << 8) | wide_HW3[..., 2], True


def upright_size(path: Path) -> tuple[tuple[int, int], bool]:
    """Return a picture's (width, height) once upright, and whether EXIF turns it. Raises BadExample."""
    reading = picture.pillow(lambda error: _reason(path, error).replace("mask", "picture"))
    with reading, _opened(path) as image:
        kind = image.format
        turn = image.getexif().get(ExifTags.Base.Orientation, 1)
        width, height = image.size
    turned = isinstance(turn, int) and 2 <= turn <= 8
    # Of a TIFF, Pillow tells the size that it has once turned.
    swapped = turned and turn >= 5 and kind != "TIFF"
    return ((height, width) if swapped else (width, height)), turned


def _opened(path: Path) -> Image.Image:
    """Open a picture in our own formats alone: Pillow has others, one of which runs a program."""
    with path.open("rb") as file:
        kind = picture_format(file.read(HEAD_BYTES))
    return Image.open(path, formats=(kind,) if kind else ())


def _check(image: Image.Image) -> None:
    most = _MAX_PIXELS if image.mode in ("P", "L", "1") and image.format != "WEBP" else _MAX_COLOURED
    if image.width * image.height > most:
        raise BadExample(f"mask of more than {most // 1_000_000} megapixels")
    if image.format == "JPEG":
        raise BadExample("a JPEG mask: its compression smears the classes; save it as PNG")


def _reason(path: Path, error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return "missing mask"
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as refused:
        return f"mask cannot be read ({(refused.strerror or 'unreadable').lower()})"
    kind = picture_format(head)
    return (
        f"broken mask ({kind} picture)"
        if kind
        else f"mask that is no picture: it looks like {describe(head)}"
    )
