"""What a Transformers image processor does to a picture, read from its ``preprocessor_config.json``."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from headstart.contracts import PicturePreprocess
from headstart.core.errors import UserError

_RESAMPLE = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
_SHORTER_SIDE = ("Bit", "ConvNext", "Levit", "MobileNet", "MobileViT", "Poolformer")
"""Processors for which a bare number is the shorter side; for all others it is both sides."""
_CONVNEXT_CROPS_BELOW = 384


def preprocess(base: str, said: Mapping[str, Any]) -> PicturePreprocess:
    """Return the preprocessing as one square size, crop and normalisation.

    Raises UserError where the model does not take square RGB pictures, or it cannot be made out.
    """
    try:
        return _preprocess(base, said)
    except (TypeError, ValueError, LookupError) as error:
        raise UserError(
            f"how {base} prepares pictures cannot be made out ({error})",
            "a preprocessor_config.json as Transformers saves it",
            "check the file",
        ) from error


def _preprocess(base: str, said: Mapping[str, Any]) -> PicturePreprocess:
    kind = str(said.get("image_processor_type") or said.get("feature_extractor_type") or "")
    side, squash = _side(base, said.get("size", 224), kind)
    size, crop = side, 1.0
    if kind.startswith("ConvNext"):
        squash = side >= _CONVNEXT_CROPS_BELOW
        crop = 1.0 if squash else float(said.get("crop_pct") or 224 / 256)
    elif said.get("do_center_crop") and said.get("crop_size"):
        size = _side(base, said["crop_size"], kind)[0]
        crop = _fraction(size, max(side, size))
    mean, std = said.get("image_mean") or (0.5,) * 3, said.get("image_std") or (0.5,) * 3
    if len(mean) != 3:
        raise UserError(
            f"{base} takes pictures of {len(mean)} channels",
            "a model of RGB pictures",
            "choose another --base",
        )
    normalised = bool(said.get("do_normalize", not kind.startswith("MobileViT")))
    return PicturePreprocess(
        size=size,
        crop=crop,
        interpolation=_RESAMPLE[2 if said.get("resample") is None else int(said["resample"])],
        order="BGR" if said.get("do_flip_channel_order") else "RGB",
        scale=float(said.get("rescale_factor") or 1 / 255) if said.get("do_rescale", True) else 1.0,
        mean=per_channel(mean) if normalised else (0.0, 0.0, 0.0),
        std=per_channel(std) if normalised else (1.0, 1.0, 1.0),
        squash=squash,
    )


def _side(base: str, size: Any, kind: str) -> tuple[int, bool]:
    """Return a size's one number, and whether both sides are resized to it."""
    if isinstance(size, Mapping):
        height, width = size.get("height"), size.get("width")
        if height != width:
            raise UserError(
                f"{base} takes pictures of {width} x {height} px",
                "a model of square pictures",
                "choose another --base",
            )
        return (int(height), True) if height else (int(size.get("shortest_edge") or 224), False)
    if isinstance(size, list | tuple):
        return _side(base, {"height": size[0], "width": size[-1]}, kind)
    return int(size), not kind.startswith(_SHORTER_SIDE)


def _fraction(size: int, side: int) -> float:
    """Return the part of ``side`` that ``size`` is, so that dividing by it gives ``side`` again."""
    exact = size / side
    return exact if math.floor(size / exact) == side else size / (side + 0.5)


def per_channel(numbers: Sequence[float]) -> tuple[float, float, float]:
    """Return three numbers, one a channel."""
    red, green, blue = (float(one) for one in numbers)
    return red, green, blue
