"""What the report shows of masks: picture, truth and prediction side by side, colours, classes."""

from collections.abc import Sequence
from typing import cast

import numpy as np
from PIL import Image

from headstart.contracts import Array, Example
from headstart.core.errors import BadExample
from headstart.core.records import Exhibit, Gallery, Matrix, Table
from headstart.data.mask import Mask
from headstart.maths import segmentation
from headstart.tasks import _pictures
from headstart.tasks._figures import with_interval

SHOWN = 12
_SIDE_PX = 112
_GAP_PX = 4
_IGNORED_GREY = 224


def palette(count: int) -> Array:
    """Return PASCAL VOC's colours, uint8 [count, 3]: the bits of the number, dealt to red, green, blue."""
    colours = np.zeros((count, 3), dtype=np.uint8)
    for place in range(count):
        rest, shift = place, 7
        while rest:
            for channel in range(3):
                colours[place, channel] |= ((rest >> channel) & 1) << shift
            rest, shift = rest >> 3, shift - 1
    return colours


def gallery(
    examples: Sequence[Example], predicted: Sequence[Array], counts_nKK: Array, classes: Sequence[str]
) -> Gallery:
    """Return the pictures, each beside its true mask and the predicted one."""
    items = []
    for example, said_HW, counts_KK in zip(examples, predicted, counts_nKK, strict=True):
        right = np.trace(counts_KK) / max(counts_KK.sum(), 1)
        missed = counts_KK - np.diag(np.diagonal(counts_KK))
        true, said = divmod(int(missed.argmax()), len(classes))
        most = f"; most of the rest is {classes[true]}, taken for {classes[said]}" if missed.any() else ""
        truth_HW = cast(Mask, example.truth).places(classes)
        items.append(
            Exhibit(
                caption=f"{right:.0%} of the pixels right{most}",
                detail=example.key,
                image=_side_by_side(example, truth_HW, said_HW),
            )
        )
    note = "Picture, truth, prediction; light grey is ignored. The lowest share of right pixels first."
    return Gallery(title="Worst masks", note=note, items=tuple(items), wide=True)


def legend(classes: Sequence[str]) -> Gallery:
    """Return each class's colour."""
    items = [
        Exhibit(caption=name, detail="", image=_pictures.data_uri(Image.new("RGB", (24, 24), tuple(colour))))
        for name, colour in zip(classes, palette(len(classes)).tolist(), strict=True)
    ]
    return Gallery(title="Colours", note="Which class has which colour in the masks.", items=tuple(items))


def class_table(counts_NKK: Array, classes: Sequence[str]) -> Table:
    """Return each class's share of the pixels, IoU and Dice."""
    pixels_K = counts_NKK.sum(axis=(0, 2))
    rows = [
        (
            name,
            str(int((counts_NKK[:, place].sum(axis=1) > 0).sum())),
            f"{pixels_K[place] / max(pixels_K.sum(), 1):.1%}",
            with_interval(found["iou"], "in neither"),
            with_interval(found["dice"], "in neither"),
        )
        for place, (name, found) in enumerate(zip(classes, segmentation.per_class(counts_NKK), strict=True))
    ]
    return Table(
        title="Class by class",
        note="IoU: of the pixels that are or were called so, the share that are and were. A class that is "
        "in neither truth nor prediction has none, and is left out of the means.",
        header=("class", "pictures", "pixels", "IoU", "Dice"),
        rows=tuple(rows),
    )


def confusion(counts_NKK: Array, classes: Sequence[str]) -> Matrix:
    """Return all pixels by truth and prediction."""
    return Matrix(
        title="Confusion matrix",
        note="Pixels by their true class in rows, the predicted one in columns; ignored pixels are left out.",
        labels=tuple(classes),
        counts=tuple(tuple(int(count) for count in row) for row in counts_NKK.sum(axis=0)),
    )


def _side_by_side(example: Example, truth_HW: Array, said_HW: Array) -> str:
    try:
        image, _ = _pictures.opened(example, _pictures.content(example))
    except BadExample:  # the file went away since its features were computed
        return ""
    scale = _SIDE_PX / max(image.size)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    parts = (image.resize(size), _coloured(truth_HW, size), _coloured(said_HW, size))
    sheet = Image.new("RGB", (3 * size[0] + 2 * _GAP_PX, size[1]), "white")
    for place, part in enumerate(parts):
        sheet.paste(part, (place * (size[0] + _GAP_PX), 0))
    return _pictures.data_uri(sheet)


def _coloured(labels_HW: Array, size: tuple[int, int]) -> Image.Image:
    colours = np.vstack(
        [palette(int(labels_HW.max(initial=0)) + 1), np.full((1, 3), _IGNORED_GREY, np.uint8)]
    )
    return Image.fromarray(colours[labels_HW]).resize(size, Image.Resampling.NEAREST)
