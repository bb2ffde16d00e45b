"""Invented maps and masks, as heads of masks see them: a picture is one unit, or several tiles."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from headstart.contracts import Array, Column, Example, Floats, Rows, Units
from headstart.data.mask import Coding, Mask
from headstart.data.tiles import Tile, Whole

CLASSES = ("background", "thing", "other")
CODING = Coding(names=dict(enumerate(CLASSES)), ignored=frozenset({255}))


def example(path: Path, values_HW: Array) -> Example:
    """Return an example whose mask is written to ``path``."""
    Image.fromarray(values_HW.astype(np.uint8)).save(path)
    return Example(path.stem, "", path, truth=Mask(path, CODING))


class MaskRows(Rows):
    """Maps float32 [m, C, side, side] of all units, with the boxes of the tiles of each example."""

    def __init__(
        self,
        examples: Sequence[Example],
        maps: Sequence[Array],
        boxes: Sequence[Sequence[tuple[int, int, int, int]]] | None = None,
    ) -> None:
        self.examples, self.boxes = examples, boxes
        counts = [1] * len(examples) if boxes is None else [len(one) for one in boxes]
        self.starts_N1 = np.cumsum([0, *counts])
        self.rows = np.concatenate([one.reshape(len(one), -1) for one in maps], axis=1)
        stops = np.cumsum([one[0].size for one in maps])
        self.columns = [
            Column(f"{one.shape[-1]}x{one.shape[-1]}/{place}", int(stop) - one[0].size, int(stop))
            for place, (one, stop) in enumerate(zip(maps, stops, strict=True))
        ]

    def read(self, places_m: Array, columns: Sequence[Column]) -> Floats:
        return np.concatenate([self.rows[places_m, one.start : one.stop] for one in columns], axis=1)

    def places(self, indices_n: Array) -> Array:
        return np.concatenate([np.arange(self.starts_N1[i], self.starts_N1[i + 1]) for i in indices_n])

    def units(self, indices_n: Array) -> Units:
        if self.boxes is None:
            return [[self.examples[i]] for i in indices_n]
        whole = Whole(lambda: b"", lambda content: (Image.new("RGB", (1, 1)), ()))
        return [
            [replace(self.examples[i], part=Tile(box, whole)) for box in self.boxes[i]] for i in indices_n
        ]
