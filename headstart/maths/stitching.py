"""One mask out of the answers for overlapping parts of a picture: logits averaged where parts overlap.

Each part counts most in its middle and least at its edges, where it sees least of what is around: weights are
a Hann window along both axes, sin^2(pi (i + 1/2) / length). What is the largest of weighted sums is the
largest of weighted means, so the sums are not divided.

Shape letters: u parts, K classes, G a grid's side, H, W the picture's height and width, B rows of a band.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.maths.bilinear import matrix

Array = NDArray[Any]
_BAND = 64  # rows of pixels at once: memory stays flat as pictures grow


def labels(logits_uKGG: Array, boxes: Sequence[tuple[int, int, int, int]], size: tuple[int, int]) -> Array:
    """Return the most probable class's place for each pixel of a picture of ``size`` (H, W), int16 [H, W].

    ``boxes`` are where the parts lie (left, top, right, bottom); together they cover the picture.
    """
    height, width = size
    found_HW = np.empty((height, width), dtype=np.int16)
    for top in range(0, height, _BAND):
        bottom = min(top + _BAND, height)
        found_HW[top:bottom] = _band(logits_uKGG, boxes, (top, bottom, width)).argmax(axis=0)
    return found_HW


def _band(
    logits_uKGG: Array, boxes: Sequence[tuple[int, int, int, int]], band: tuple[int, int, int]
) -> Array:
    """Return the sum of all parts' logits over some rows of pixels [K, B, W]."""
    top, bottom, width = band
    if len(boxes) == 1:
        return _resized(logits_uKGG[0], boxes[0], top, bottom)
    total_KBW = np.zeros((logits_uKGG.shape[1], bottom - top, width), dtype=np.float32)
    for logits_KGG, (left, upper, right, lower) in zip(logits_uKGG, boxes, strict=True):
        first, last = max(top, upper), min(bottom, lower)
        if first < last:
            part = _resized(logits_KGG, (left, upper, right, lower), first, last)
            down_b = window(lower - upper)[first - upper : last - upper]
            part = part * down_b[:, None] * window(right - left)
            total_KBW[:, first - top : last - top, left:right] += part
    return total_KBW


def _resized(logits_KGG: Array, box: tuple[int, int, int, int], first: int, last: int) -> Array:
    """Return a part's logits at the picture's own size, of the picture's rows ``first`` to ``last``."""
    left, upper, right, lower = box
    down = matrix(logits_KGG.shape[1], lower - upper)[first - upper : last - upper]
    return np.asarray(down @ logits_KGG @ matrix(logits_KGG.shape[2], right - left).T)


def window(length: int) -> Array:
    """Return a Hann window of ``length`` positive weights, float32."""
    return (np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2).astype(np.float32)
