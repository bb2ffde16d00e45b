"""One picture from bytes to a model's own square of pixels; whatever is wrong with it gets a reason.

Shape letters: H height, W width. Everything here may run in several threads at once.
"""

import io
import math
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import numpy as np
from numpy.typing import NDArray

# The plug-ins are imported for their formats: found here, Pillow need not import all it has.
from PIL import (  # noqa: F401
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageCms,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from headstart.contracts import Array, PicturePreprocess
from headstart.core.errors import BadExample
from headstart.core.foreign import foreign
from headstart.data.signature import HEAD_BYTES, describe, picture_format

MAX_PIXELS = 64_000_000
MAX_FRAMES_COUNTED = 1_000
_MEMORY = 450e6
"""Bytes that reading one picture may take; with Pillow itself that is less than 512 MB."""
_MAX_SIDE, _STRIP_PIXELS = 1_000_000, 1_000_000

UPRIGHT = "turned upright by its EXIF orientation"
ON_WHITE = "transparency laid on white"
GREY = "grey shown in three equal channels"
SIXTEEN_BIT = "16-bit values scaled to 8 bits"
WIDE_AS_LEVELS = "32-bit values between 0 and 255 taken as 8-bit levels"
FIRST_OF_SEVERAL = "first picture of a multi-picture JPEG used"

_CONVERTED = {
    "L": GREY,
    "1": GREY,
    "CMYK": "CMYK colours converted to RGB",
    "YCbCr": "YCbCr colours converted to RGB",
    "LAB": "LAB colours converted to RGB",
    "HSV": "HSV colours converted to RGB",
}
_TURN = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PILLOW_WARNINGS = re.compile(r"PIL\b")
_EXTREME = 8


def decode(content: bytes) -> tuple[Image.Image, tuple[str, ...]]:
    """Return the picture, upright and in RGB, and what had to be done to it (fixed strings, to be counted).

    Raises BadExample, with the reason, for everything that is not one whole still picture of at most
    64 megapixels in PNG, JPEG, WebP, BMP, GIF, TIFF or PPM; fewer where they take more memory than 512 MB:
    52 of RGB but in a JPEG, 27 with transparency, 20 of WebP.
    """
    head = content[:HEAD_BYTES]
    kind = picture_format(head)
    if not content:
        raise BadExample("empty file (0 bytes)")
    if kind is None:
        raise BadExample(f"not a picture in a supported format: it looks like {describe(head)}")
    with pillow(lambda error: _reason(kind, error)):
        return _decode(content, kind)


@contextmanager
def pillow(reason: Callable[[BaseException], str]) -> Iterator[None]:
    """Let Pillow read something; raise BadExample with the ``reason`` for whatever it raises.

    That is OSError, SyntaxError, struct.error, KeyError, ZeroDivisionError ...: none may end a training run.
    """
    _quieten()
    with foreign(lambda error: BadExample(reason(error))):
        yield


def square(image: Image.Image, preprocess: PicturePreprocess) -> NDArray[np.uint8]:
    """Return the pixels [size, size, 3] that the model expects: shorter side resized, centre cropped.

    The same as timm's evaluation transform (and torchvision's ``Resize`` and ``CenterCrop``), except
    that a picture smaller than the model's input keeps its border: it is enlarged to ``size``, not beyond.
    With ``squash`` both sides are resized to the same length.
    """
    size = preprocess.size
    shorter = min(image.size)
    target = math.floor(size / preprocess.crop) if shorter >= size else size
    width = height = target
    if not preprocess.squash:
        width, height = (int(target * side / shorter) if side != shorter else target for side in image.size)
    left, top = round((width - size) / 2), round((height - size) / 2)
    method = Image.Resampling[preprocess.interpolation.upper()]
    if max(width, height) > _EXTREME * target:
        # A strip of 1 x 60,000 pixels would grow to gigabytes: resize only what the crop keeps.
        sx, sy = image.width / width, image.height / height
        box = (left * sx, top * sy, (left + size) * sx, (top + size) * sy)
        return np.asarray(image.resize((size, size), method, box=box))
    resized = image.resize((width, height), method) if image.size != (width, height) else image
    return np.asarray(resized.crop((left, top, left + size, top + size)))


def from_pixels(pixels: Array) -> Image.Image:
    """Return a picture from uint8 grey [H, W] or RGB [H, W, 3], as data sets of arrays hold them."""
    return Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")


def _decode(content: bytes, kind: str) -> tuple[Image.Image, tuple[str, ...]]:
    formats = (kind,)
    with Image.open(io.BytesIO(content), formats=formats) as image:
        _check_size(image)
        notes = [FIRST_OF_SEVERAL] if _frames(image) > 1 else []
        # TIFF is turned by Pillow itself while it loads, and forgets that it was.
        orientation = _orientation(image) if kind == "TIFF" else 1
        image.load()
        if kind != "TIFF":
            orientation = _orientation(image)
        notes += [SIXTEEN_BIT] if _is_deep_colour(content, image) else []
        rgb = _to_rgb(image, notes)
        if orientation in _TURN:
            notes.append(UPRIGHT)
            rgb = rgb if kind == "TIFF" else rgb.transpose(_TURN[orientation])
        return rgb, tuple(notes)


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if max(width, height) > _MAX_SIDE:
        raise BadExample(f"{width} x {height} pixels: more than {_MAX_SIDE:,} a side, no megapixels")
    most = min(MAX_PIXELS, int(_MEMORY / _bytes_a_pixel(image))) // 1_000_000
    if width * height > most * 1_000_000:
        raise BadExample(f"{width} x {height} pixels: more than {most} megapixels; save it smaller")
    if width < 1 or height < 1:
        raise BadExample(f"{width} x {height} pixels: no picture")


def _bytes_a_pixel(image: Image.Image) -> float:
    """Return the memory that reading a picture takes at its peak: measured at 64 megapixels, in Pillow 13."""
    if image.format == "WEBP":  # its library holds frames, and copies them
        return 22
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        return 16.5
    if image.mode in (*_CONVERTED, "I", "F") or "transparency" in image.info:
        return 10.5
    if image.mode in ("1", "L", "P"):
        return 6.5
    return 5 if image.format == "JPEG" and not image.info.get("progressive") else 8.5


def _frames(image: Image.Image) -> int:
    """Count the frames. Raises BadExample where they are an animation or pages, not one picture."""
    if not getattr(image, "is_animated", False):
        return 1
    if image.format == "MPO":
        # Phones write a JPEG followed by a depth or gain map: the first picture is the photograph.
        return 2
    count = 1
    try:
        # Pillow's own n_frames would walk a crafted file for minutes.
        while count <= MAX_FRAMES_COUNTED and image.format in ("GIF", "TIFF"):
            image.seek(count)
            count += 1
    except EOFError:
        pass
    if image.format not in ("GIF", "TIFF"):
        count = getattr(image, "n_frames", 2)
    many = f"more than {MAX_FRAMES_COUNTED}" if count > MAX_FRAMES_COUNTED else str(count)
    kind = (
        f"{many} pages: save the one page"
        if image.format == "TIFF"
        else f"animated, {many} frames: save the one frame"
    )
    raise BadExample(f"{kind} you mean")


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where the EXIF block is absent or broken."""
    try:
        with pillow(str):
            value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except BadExample:  # a broken EXIF block says nothing about the pixels: the picture is used as it lies
        return 1
    return value if isinstance(value, int) and value in _TURN else 1


def _is_deep_colour(content: bytes, image: Image.Image) -> bool:
    """Say whether Pillow reduced 16-bit colour to 8 bits by itself (it keeps the high byte)."""
    if image.mode not in ("RGB", "RGBA", "LA", "L"):
        return False
    if image.format == "PNG":
        return content[24] == 16
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = image.tag_v2.get(258, (8,))
        return 16 in (bits if isinstance(bits, tuple) else (bits,))
    return False


def _to_rgb(image: Image.Image, notes: list[str]) -> Image.Image:
    mode = image.mode
    if mode.startswith("I;16"):
        notes.append(SIXTEEN_BIT)
        return _by_strips(image, _scaled)
    if mode in ("I", "F"):
        return _wide(image, notes)
    if mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        return _on_white(image.convert("RGBA"), notes)
    if mode in _CONVERTED:
        notes.append(_CONVERTED[mode])
    if mode == "RGB":
        return image  # its pixels are here, and stay when the file is closed
    return _from_lab(image) if mode == "LAB" else image.convert("RGB")


def _scaled(grey: Image.Image) -> Image.Image:
    """Scale 0..65535 to 0..255, rounding; Pillow's own conversion clips at 255."""
    levels_HW = (np.asarray(grey).astype(np.uint32) + 128) // 257
    return Image.fromarray(levels_HW.astype(np.uint8)).convert("RGB")


def _levels(grey: Image.Image) -> Image.Image:
    return Image.fromarray(np.rint(np.asarray(grey)).astype(np.uint8)).convert("RGB")


def _wide(image: Image.Image, notes: list[str]) -> Image.Image:
    ends: list[float] = []
    for _, strip in _strips(image):
        values_HW = np.asarray(strip)
        ends += [float(values_HW.min()), float(values_HW.max())]
    low, high = float(np.min(ends)), float(np.max(ends))
    if image.format == "PPM" and image.mode == "I" and low >= 0 and high <= 65535:
        notes.append(SIXTEEN_BIT)
        return _by_strips(image, _scaled)
    # A float picture within 0..1 would come out black if its values were taken as levels.
    black = image.mode == "F" and high <= 1
    if not (low >= 0 and high <= 255) or black:
        raise BadExample(f"32-bit grey values from {low:g} to {high:g}: save it with 8 or 16 bits")
    notes.append(WIDE_AS_LEVELS)
    return _by_strips(image, _levels)


def _on_white(image: Image.Image, notes: list[str]) -> Image.Image:
    lowest = 255

    def laid(strip: Image.Image) -> Image.Image:
        nonlocal lowest
        colours = strip.convert("RGBA")
        lowest = min(lowest, cast(tuple[int, int], colours.getchannel("A").getextrema())[0])
        white = Image.new("RGBA", strip.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, colours).convert("RGB")

    found = _by_strips(image, laid)
    notes += [ON_WHITE] if lowest < 255 else []
    return found


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _by_strips(image: Image.Image, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Return the picture in RGB, some rows changed at a time: whole copies of a large one take gigabytes."""
    found = Image.new("RGB", image.size)
    for top, strip in _strips(image):
        found.paste(change(strip), (0, top))
    return found


def _from_lab(image: Image.Image) -> Image.Image:
    profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, *profiles, outputMode="RGB")
    if converted is None:  # which Pillow gives only when it converts in place
        raise BadExample("its LAB colours cannot be converted")
    return converted


def _reason(kind: str, error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return f"{kind} picture needs more memory than there is"
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {MAX_PIXELS // 1_000_000} megapixels"
    text = str(error).strip() or type(error).__name__
    if "truncated" in text.lower() or isinstance(error, EOFError):
        return f"truncated {kind} picture"
    return f"broken {kind} picture ({text[:120]})"


def _quieten() -> None:
    """Keep Pillow's warnings from being printed or, under ``-W error``, from becoming exceptions.

    ``warnings.catch_warnings`` is not thread-safe; one filter that names Pillow's modules is. It is
    put in front again whenever somebody else has put theirs there.
    """
    ours = ("ignore", None, Warning, _PILLOW_WARNINGS, 0)
    if not warnings.filters or tuple(warnings.filters[0]) != ours:
        warnings.filterwarnings("ignore", module=_PILLOW_WARNINGS.pattern)
    # Some libraries switch this on for the whole process; a half-grey picture is no picture.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
