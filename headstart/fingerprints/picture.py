"""Pictures: how they look when they are small and grey."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast, final

import numpy as np
from PIL import Image

from headstart.contracts import (
    Array,
    Example,
    Fingerprint,
    Likeness,
    PicturePreprocess,
    Pretrained,
    Print,
    Task,
)
from headstart.core.files import short_digest
from headstart.data.signature import HEAD_BYTES, picture_format
from headstart.maths import alignment, perceptual

_FLAT_LEVELS = 2.0
_LEAST_PX = 32
_CUT, _MIRRORED = "another cut of", perceptual.FORMS[1]
_SHOWN_PX, _GAP_PX = 160, 8
_LUMA = np.array([0.299, 0.587, 0.114])
_SQUARE = PicturePreprocess(
    size=perceptual.SIDE,
    crop=1.0,
    interpolation="bilinear",
    order="rgb",
    scale=1.0,
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
    squash=True,
)
_SMALL = Pretrained(
    base="", architecture="", licence="", revision="", weights=Path(), weights_digest="", preprocess=_SQUARE
)
_CLOSER = replace(_SMALL, preprocess=replace(_SQUARE, size=alignment.SIDE))
_SHOWN = replace(_SMALL, preprocess=replace(_SQUARE, size=_SHOWN_PX))


@final
class PicturePrint(Fingerprint):
    """Tells pictures from each other by their lowest frequencies."""

    name = "picture"

    def of(self, task: Task, example: Example, classes: frozenset[str]) -> Print:
        """Decode a picture. Raises BadExample."""
        content = task.content(example)
        prepared = task.prepare(example, content, _SMALL)
        pixels = prepared.inputs["pixels"]
        grey = _grey(pixels)
        flat = float(pixels.astype(np.float64).std(axis=(0, 1)).max()) < _FLAT_LEVELS
        width, height, kind = _shape(example, content)
        return Print(
            digest=short_digest(content),
            normal=short_digest(pixels.tobytes()),
            hashes_H=perceptual.hashes(grey),
            sample=b"" if flat else grey.tobytes(),
            size=min(width, height),
            form=f"{kind} of {width} x {height}",
            empty="one colour throughout: nothing is in the picture" if flat else "",
            notes=prepared.notes,
        )

    def candidates(self, hashes_NH: Array) -> Iterator[Array]:
        """Yield pairs [m, 2] of pictures whose hashes differ in few bits, perhaps mirrored or turned."""
        return perceptual.candidates_of_forms(hashes_NH)

    def alike(self, one: bytes, other: bytes) -> Likeness | None:
        """Return how two small grey pictures correlate that differ by no more than light, noise and side."""
        small = (
            np.frombuffer(part, np.uint8).reshape(perceptual.SIDE, perceptual.SIDE) for part in (one, other)
        )
        value, form = perceptual.closest_form(*small)
        return Likeness(value, perceptual.FORMS[form]) if value else None

    def closely(self, task: Task, one: Example, other: Example) -> Likeness | None:
        """Lay one picture over the other, as it is and mirrored; not those with a side below 32 px.

        So few pixels don't tell a cut from another thing of its kind: they named 6 pairs of 800 clothes.
        """
        read = [(part, task.content(part)) for part in (one, other)]
        if min(min(_shape(*each)[:2]) for each in read) < _LEAST_PX:
            return None
        ours, theirs = (
            _grey(task.prepare(*each, _CLOSER).inputs["pixels"]).astype(np.float64) for each in read
        )
        for mirrored in (False, True):
            value, cut = alignment.aligned(ours, theirs[:, ::-1] if mirrored else theirs)
            if value:
                return Likeness(value, " ".join([_CUT] * cut + [_MIRRORED] * mirrored))
        return None

    def show(self, task: Task, examples: Sequence[Example]) -> Mapping[str, str]:
        """Return the pictures in a row, as one."""
        shown = [task.prepare(one, task.content(one), _SHOWN).inputs["pixels"] for one in examples]
        sheet = Image.new("RGB", (len(shown) * (_SHOWN_PX + _GAP_PX) - _GAP_PX, _SHOWN_PX), "white")
        for place, pixels in enumerate(shown):
            sheet.paste(Image.fromarray(pixels), (place * (_SHOWN_PX + _GAP_PX), 0))
        buffer = io.BytesIO()
        sheet.save(buffer, "JPEG", quality=85)
        return {"image": "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()}


def _grey(pixels: Array) -> Array:
    return np.asarray(np.rint(pixels @ _LUMA), dtype=np.uint8)


def _shape(example: Example, content: bytes) -> tuple[int, int, str]:
    """Return width, height and format, without decoding once more."""
    if example.pixels is not None:
        height, width = example.pixels[example.row].shape[:2]
        return width, height, "array"
    kind = cast(str, picture_format(content[:HEAD_BYTES]))
    with Image.open(io.BytesIO(content), formats=(kind,)) as image:
        return *image.size, kind
