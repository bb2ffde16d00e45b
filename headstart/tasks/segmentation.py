"""Segmentation: one picture in, one of K classes for each of its pixels out."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast, final

import numpy as np
from PIL import Image

from headstart.contracts import (
    Again,
    Answer,
    Array,
    Example,
    Outputs,
    Parts,
    PicturePreprocess,
    Prepared,
    Pretrained,
    Task,
    Trait,
)
from headstart.core.errors import BadExample
from headstart.core.records import Metric, Section
from headstart.core.tallies import Measures, Statistics
from headstart.data import picture, tiles
from headstart.data.corruption import PICTURES
from headstart.data.mask import Mask
from headstart.data.tiles import Tile, Whole
from headstart.maths import segmentation, stitching
from headstart.model.maps import PartLogits
from headstart.tasks import _masks, _pictures
from headstart.tasks._mask_baselines import ColourBaseline, CommonestBaseline

_SHRUNK = 3
SHRUNK = f"shrunk to less than 1/{_SHRUNK} of its sides: small things may be lost, --tiles keeps them"


@final
class Segmentation(Task):
    """Tells which class each pixel shows: outputs are each picture's logits, on the whole or on tiles."""

    name = "segmentation"
    default_base = "pack:efficientnet-lite0"
    takes = "picture"
    learners = ("pixels", "fpn")
    baselines = (CommonestBaseline(), ColourBaseline())
    layouts = ("voc", "cityscapes", "ade20k", "mask-folders")
    unit = row = "pictures"
    corruptions = tuple(PICTURES)

    def inputs(self, names: Sequence[str]) -> Iterator[Example]:
        """Yield pictures: files, every picture below a folder, or paths on standard input, one a line."""
        return _pictures.inputs(names)

    def content(self, example: Example) -> bytes:
        """Return the picture's bytes, or which tile of it is meant."""
        return _pictures.content(example) if example.part is None else example.part.content()

    def parts(self, example: Example, whole: bool, pretrained: Pretrained) -> Parts:
        """Return the picture itself, or where that is wanted and it is large, its tiles."""
        preprocess = cast(PicturePreprocess, pretrained.preprocess)
        boxes = _boxes(example, preprocess.size) if preprocess.tiled and not whole else []
        if len(boxes) < 2:
            return Parts((example,))
        picture = Whole(partial(_pictures.content, example), partial(_pictures.opened, example))
        units = [
            replace(example, key=f"{example.key}, tile {number}", part=Tile(box, picture))
            for number, box in enumerate(boxes, start=1)
        ]
        return Parts(units, (f"cut into overlapping tiles of {preprocess.size} px",))

    def corrupted(self, example: Example, how: str, seed: int, folder: Path) -> Example:
        """Return the picture spoilt, as a file. Raises BadExample."""
        return _pictures.corrupted(example, how, seed, folder)

    def traits(self, example: Example) -> dict[str, Trait]:
        """Return the picture's shorter side. Raises BadExample."""
        return {"shorter side, px": min(_pictures.size(example))}

    def prepare(self, example: Example, content: bytes, pretrained: Pretrained) -> Prepared:
        """Decode, turn upright, squash to a square: uint8 [size, size, 3]."""
        part = cast(Tile | None, example.part)
        image, notes = _pictures.opened(example, content) if part is None else part.opened()
        preprocess = cast(PicturePreprocess, pretrained.preprocess)
        shrunk = (SHRUNK,) if min(image.size) > _SHRUNK * preprocess.size else ()
        return Prepared(inputs={"pixels": picture.square(image, preprocess)}, notes=(*notes, *shrunk))

    def answers(self, outputs: Outputs, examples: Sequence[Example], classes: Sequence[str]) -> list[Answer]:
        """Return the classes in the mask, the largest first, each class's share, and the mask."""
        answers = []
        for said, example in zip(outputs, examples, strict=True):
            width, height = _pictures.size(example)
            labels_HW = _labels(said, (height, width))
            shares = dict(zip(classes, segmentation.shares(labels_HW, len(classes)), strict=True))
            there = sorted((name for name in classes if shares[name]), key=lambda name: -shares[name])
            file = partial(_png, labels_HW)
            answers.append(Answer(prediction=", ".join(there), scores=shares, file=file))
        return answers

    def chances(self, outputs: Outputs) -> None:
        """Return nothing: not one class is right."""

    def compare(self, outputs: Outputs, examples: Sequence[Example], classes: Sequence[str]) -> Array:
        """Return each picture's counts of truth and prediction, at its own size, flat float64 [n, K * K]."""
        rows = []
        for said, example in zip(outputs, examples, strict=True):
            truth_HW = cast(Mask, example.truth).places(classes)
            counts_KK = segmentation.confusion(truth_HW, _labels(said, truth_HW.shape), len(classes))
            rows.append(counts_KK.ravel())
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(classes) ** 2)

    def statistics(self, compared_NM: Array, classes: Sequence[str]) -> Statistics:
        """Return each picture's right, true and predicted pixels by class."""
        return segmentation.sums(_square(compared_NM, classes))

    def measures(self, classes: Sequence[str]) -> Measures:
        """Return miou, pixel_accuracy and dice_macro."""
        return segmentation.measures()

    def score(self, compared_NM: Array, classes: Sequence[str], units_N: Array) -> dict[str, Metric]:
        """Return the measures; their intervals resample pictures."""
        return segmentation.scores(_square(compared_NM, classes), units_N)

    def sections(
        self, compared_NM: Array, classes: Sequence[str], examples: Sequence[Example], again: Again
    ) -> tuple[Section, ...]:
        """Return pictures with truth and prediction, the worst first; classes; the confusion matrix."""
        counts_NKK = _square(compared_NM, classes)
        worst = segmentation.worst_first(counts_NKK)[: _masks.SHOWN]
        predicted = []
        for place, said in zip(worst, again(worst), strict=True):
            truth_HW = cast(Mask, examples[place].truth).places(classes)
            predicted.append(_labels(said, truth_HW.shape))
        return (
            _masks.gallery([examples[place] for place in worst], predicted, counts_NKK[worst], classes),
            _masks.legend(classes),
            _masks.class_table(counts_NKK, classes),
            _masks.confusion(counts_NKK, classes),
        )


def _boxes(example: Example, side: int) -> list[tiles.Box]:
    """Return where a picture's tiles lie; none where it cannot be read, which decoding then says."""
    try:
        return tiles.boxes(*_pictures.size(example), side)
    except BadExample:
        return []


def _labels(said: PartLogits, size: tuple[int, ...]) -> Array:
    """Return the most probable class's place for each pixel of a picture of ``size`` (H, W), int16 [H, W]."""
    height, width = size
    parts = [cast(Tile | None, part) for part in said.parts]
    boxes = [(0, 0, width, height) if part is None else part.box for part in parts]
    return stitching.labels(said.logits_uKGG, boxes, (height, width))


def _square(compared_NM: Array, classes: Sequence[str]) -> Array:
    return compared_NM.reshape(len(compared_NM), len(classes), len(classes))


def _png(labels_HW: Array) -> tuple[str, bytes]:
    """Return a palette PNG whose indices are the classes' places; 16-bit grey beyond 256 classes."""
    buffer = io.BytesIO()
    if labels_HW.max(initial=0) > 255:
        Image.fromarray(labels_HW.astype(np.uint16)).save(buffer, "PNG")
    else:
        image = Image.fromarray(labels_HW.astype(np.uint8))
        image.putpalette(_masks.palette(256).ravel().tolist())
        image.save(buffer, "PNG", optimize=True)
    return ".png", buffer.getvalue()
