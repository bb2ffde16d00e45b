"""How a model made by code takes pictures: as the code states it, else the field's usual way, saying so."""

from collections.abc import Mapping, Sequence
from typing import Any

from headstart.contracts import PicturePreprocess
from headstart.core.errors import UserError
from headstart.model.picture_processor import per_channel

_USUAL = {
    **{"size": 224, "crop": 0.875, "interpolation": "bilinear", "order": "RGB", "scale": 1 / 255},
    **{"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "squash": False},
}
"""What torchvision's classifiers are evaluated with."""


def preprocess(base: str, said: Any, cfg: Mapping[str, Any]) -> tuple[PicturePreprocess, Sequence[str]]:
    """Return how pictures are prepared, and what was taken for granted.

    ``said`` is a mapping of ``PicturePreprocess``'s own fields, a transform of torchvision's weights, or
    None; ``cfg`` what timm keeps with a model. Raises UserError for what cannot be made out.
    """
    try:
        if isinstance(said, Mapping):
            return _of(said), ()
        if said is not None:
            return _of(_torchvisions(said)), ()
        if cfg.get("mean") and cfg.get("input_size"):
            return _of(_timms(cfg)), ()
    except (TypeError, ValueError, AttributeError, LookupError) as error:
        raise UserError(
            f"how {base} prepares pictures cannot be made out ({' '.join(str(error).split())[:120]})",
            f"preprocess with some of {', '.join(_USUAL)}",
            "mend what the code states",
        ) from error
    usual = f"{base} states no preprocessing: ImageNet's is taken, at 224 px where no size is given"
    return _of({}), (usual,)


def restored(described: Mapping[str, Any]) -> PicturePreprocess:
    """Rebuild a preprocess from its JSON."""
    channels = {name: per_channel(described[name]) for name in ("mean", "std")}
    return PicturePreprocess(**{**described, **channels})


def _of(said: Mapping[str, Any]) -> PicturePreprocess:
    unknown = sorted(set(said) - set(_USUAL))
    if unknown:
        raise ValueError(f"{unknown[0]} is no part of it")
    whole: dict[str, Any] = {**_USUAL, **said}
    if int(whole["size"]) < 1 or not 0 < float(whole["crop"]) <= 1 or whole["order"] not in ("RGB", "BGR"):
        raise ValueError("size, crop or order is out of range")
    return PicturePreprocess(
        size=int(whole["size"]),
        crop=float(whole["crop"]),
        interpolation=str(whole["interpolation"]),
        order=whole["order"],
        scale=float(whole["scale"]),
        mean=per_channel(whole["mean"]),
        std=per_channel(whole["std"]),
        squash=bool(whole["squash"]),
    )


def _torchvisions(said: Any) -> dict[str, Any]:
    """Return what an ``ImageClassification`` of torchvision's does."""
    size, resized = said.crop_size[0], said.resize_size[0]
    means = {"mean": said.mean, "std": said.std}
    return {"size": size, "crop": size / resized, "interpolation": said.interpolation.value, **means}


def _timms(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """Return what timm's evaluation transform does."""
    return {
        "size": cfg["input_size"][-1],
        "crop": cfg.get("crop_pct") or 0.875,
        "interpolation": cfg.get("interpolation") or "bicubic",
        "mean": cfg["mean"],
        "std": cfg["std"],
    }
