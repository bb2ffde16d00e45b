"""Pictures augmented: cut, mirrored, recoloured; drawn by (seed, epoch, place), the same for its mask.

Cuts are fractions of the sides, so that a picture and a mask of any size get the same one.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from headstart.contracts import Array, Augmentation
from headstart.core.frameworks import prepare_torch

KINDS: Mapping[str, tuple[float, float]] = {"flip": (1.0, 0.0), "crop": (0.5, 0.0), "standard": (0.5, 0.2)}
"""What may be asked for: the smallest share of the area that is seen, the largest change of colours."""
_LONGEST_RATIO = 4 / 3


def draw(kind: str, key: tuple[int, ...]) -> Augmentation:
    """Draw an augmentation: a pure function of the key.

    The cut has a share of the area and a ratio of the sides as Szegedy et al. (arXiv 1409.4842, section 6)
    draw them, with at least half of the area.
    """
    least, colours = KINDS[kind]
    drawn = np.random.default_rng(key)
    area = drawn.uniform(least, 1.0)
    ratio = np.exp(drawn.uniform(-1, 1) * np.log(_LONGEST_RATIO)) if least < 1 else 1.0
    width, height = min(1.0, float(np.sqrt(area * ratio))), min(1.0, float(np.sqrt(area / ratio)))
    left, top = drawn.uniform(0, 1 - width), drawn.uniform(0, 1 - height)
    factors = drawn.uniform(1 - colours, 1 + colours, 3)
    return Augmentation(
        left=float(left),
        top=float(top),
        width=width,
        height=height,
        mirrored=bool(drawn.random() < 0.5),
        brightness=float(factors[0]),
        contrast=float(factors[1]),
        saturation=float(factors[2]),
    )


def of_picture(pixels_HWC: Array, augmentation: Augmentation) -> Array:
    """Return a picture uint8, augmented, at the picture's own size."""
    torch = prepare_torch()
    from torchvision.transforms.v2 import functional

    height, width = pixels_HWC.shape[:2]
    one: Any = torch.from_numpy(pixels_HWC.copy()).permute(2, 0, 1)
    if (augmentation.width, augmentation.height) != (1.0, 1.0):
        left, top = round(augmentation.left * width), round(augmentation.top * height)
        size = max(1, round(augmentation.height * height)), max(1, round(augmentation.width * width))
        one = functional.resized_crop(one, top, left, *size, [height, width], antialias=True)
    if augmentation.mirrored:
        one = functional.horizontal_flip(one)
    for change, factor in (
        (functional.adjust_brightness, augmentation.brightness),
        (functional.adjust_contrast, augmentation.contrast),
        (functional.adjust_saturation, augmentation.saturation),
    ):
        one = one if factor == 1.0 else change(one, factor)
    return np.ascontiguousarray(one.permute(1, 2, 0).numpy())


def of_grid(samples_FF: Array, augmentation: Augmentation) -> Array:
    """Return a grid of samples over an augmented picture: the nearest one, none is mixed."""
    side = len(samples_FF)
    places = (np.arange(side) + 0.5) / side
    rows = np.minimum((augmentation.top + places * augmentation.height) * side, side - 1).astype(int)
    columns = np.minimum((augmentation.left + places * augmentation.width) * side, side - 1).astype(int)
    return np.asarray(samples_FF[np.ix_(rows, columns[::-1] if augmentation.mirrored else columns)])
