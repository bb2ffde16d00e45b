"""Inputs spoilt as they are in the wild, to see how much a model minds: noise, blur, typos, lost halves.

Pictures: D. Hendrycks and T. Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019, arXiv 1903.12261, at severity 3 of 5; lengths in pixels are of a side of 224.
Texts: typing mistakes as in Y. Belinkov and Y. Bisk, "Synthetic and Natural Noise Both Break Neural Machine
Translation", ICLR 2018, arXiv 1711.02173: letters swapped, lost or doubled, one in twenty.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from PIL import Image, ImageFilter

from headstart.contracts import Example

_SIDE_PX = 224
_MISTAKES = 0.05


def _noise(image: Image.Image, random: np.random.Generator) -> Image.Image:
    levels = np.asarray(image, np.float64)
    noisy = levels + random.normal(scale=0.18 * 255, size=levels.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def _blur(image: Image.Image, random: np.random.Generator) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(3 * min(image.size) / _SIDE_PX))


def _contrast(image: Image.Image, random: np.random.Generator) -> Image.Image:
    levels = np.asarray(image, np.float64)
    mean = levels.mean(axis=(0, 1))
    return Image.fromarray((mean + 0.2 * (levels - mean)).astype(np.uint8))


def _brightness(image: Image.Image, random: np.random.Generator) -> Image.Image:
    levels = np.asarray(image.convert("HSV"), np.float64).copy()
    levels[..., 2] = np.minimum(levels[..., 2] + 0.3 * 255, 255)
    return Image.fromarray(levels.astype(np.uint8), "HSV").convert("RGB")


def _jpeg(image: Image.Image, random: np.random.Generator) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=15)
    return Image.open(buffer).convert("RGB")


def _pixelate(image: Image.Image, random: np.random.Generator) -> Image.Image:
    scale = 0.4 * min(1.0, _SIDE_PX / min(image.size))
    small = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(small, Image.Resampling.BOX).resize(image.size, Image.Resampling.BOX)


PICTURES: Mapping[str, Callable[[Image.Image, np.random.Generator], Image.Image]] = {
    "noise": _noise,
    "blur": _blur,
    "contrast": _contrast,
    "brightness": _brightness,
    "jpeg": _jpeg,
    "pixelate": _pixelate,
}
"""By name: from an RGB picture to one of the same size."""


def _typos(text: str, random: np.random.Generator) -> str:
    letters = list(text)
    for place in np.flatnonzero(random.random(len(letters)) < _MISTAKES):
        kind = random.integers(3)
        if not letters[place].isalpha():
            continue
        if kind == 0 and place + 1 < len(letters) and letters[place + 1].isalpha():
            letters[place], letters[place + 1] = letters[place + 1], letters[place]
        elif kind == 1:
            letters[place] = ""
        else:
            letters[place] *= 2
    return "".join(letters)


def _half(text: str, random: np.random.Generator) -> str:
    words = text.split(" ")
    return " ".join(words[: max(1, len(words) // 2)])


TEXTS: Mapping[str, Callable[[str, np.random.Generator], str]] = {"typos": _typos, "truncation": _half}
"""By name: from a text to a spoilt one; truncation leaves the first half of the words."""


def spoilt(example: Example, text: str, how: str, seed: int) -> Example:
    """Return an example with its ``text`` spoilt."""
    return replace(example, text=TEXTS[how](text, np.random.default_rng(seed)))
