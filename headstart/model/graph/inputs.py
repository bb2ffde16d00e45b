"""How the inputs of a frozen graph are prepared: what the file says, what lies beside it, what is assumed."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from headstart.contracts import PicturePreprocess, Pretrained
from headstart.core.errors import UserError
from headstart.core.files import read_json
from headstart.model import picture_processor
from headstart.model.graph.file import described
from headstart.model.picture_processor import per_channel
from headstart.model.transformers import folder as transformers_folder
from headstart.model.transformers.folder import licence_of

OWN, PROCESSOR = "preprocess.json", "preprocessor_config.json"
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as most training code has them
_ITSELF = "the model is a frozen graph, which OpenVINO runs when torch calls it"
LACKS = {"onnxruntime": _ITSELF, "openvino": _ITSELF}
"""What does not work of a graph, by engine."""
_SIZE, _CROP = 224, 0.875
_WAYS = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")


def describe(
    base: str, beside: Path, found: tuple[str, Path, dict[str, Any]], architecture: str
) -> Pretrained:
    """Describe a converted graph, with what lies ``beside`` it in its folder. Raises UserError."""
    digest, folder, facts = found
    parts = {**described(facts, folder), "weights_digest": digest, "revision": digest[:16]}
    parts |= {"base": base, "licence": licence_of(beside), "architecture": architecture}
    left_out = ("its last layer, a classifier's, is left out: features are what that reads",)
    adapted = left_out if facts["classifier"] and facts["kind"] == "picture" else ()
    if facts["kind"] == "text":
        return _text(base, beside, parts)
    pictures, assumed = _pictures(base, beside, facts)
    if facts["channels"] == 1:
        assumed += ("it takes one channel: the mean of red, green and blue",)
    told = tuple(f"{base}: {what}" for what in (*adapted, *assumed))
    return Pretrained(preprocess=pictures, adapted=told, **parts)


def sized(pretrained: Pretrained) -> Pretrained:
    """Return a graph as it is. Raises UserError for a size of pictures that it does not take."""
    facts, pictures = pretrained.config, pretrained.preprocess
    if isinstance(pictures, PicturePreprocess) and not facts["flexible"] and facts["size"] != pictures.size:
        raise UserError(
            f"--image-size {pictures.size} for {pretrained.base}, a graph for one size",
            f"{facts['size']} px",
            "leave --image-size out",
        )
    return pretrained


def _pictures(base: str, beside: Path, facts: Mapping[str, Any]) -> tuple[PicturePreprocess, tuple[str, ...]]:
    """Return the preprocessing: declared beside the graph, else what it does itself, else what is usual."""
    assumed = PicturePreprocess(
        size=facts["size"] or _SIZE,
        crop=_CROP,
        interpolation="bilinear",
        order="RGB",
        scale=1 / 255,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
    )
    pictures, told = _assumed(assumed, facts["reads"])
    if (beside / OWN).is_file():
        pictures, declared = _declared(beside / OWN, pictures)
        told = () if {"mean", "std"} <= declared else told
    elif (beside / PROCESSOR).is_file():
        pictures = picture_processor.preprocess(base, read_json(beside / PROCESSOR, "a JSON object"))
        told = ()
    if facts["size"] and not facts["flexible"] and pictures.size != facts["size"]:
        raise UserError(
            f"{base} is a graph for {facts['size']} px, and the file beside it says {pictures.size}",
            f"a size of {facts['size']}",
            f"mend {OWN if (beside / OWN).is_file() else PROCESSOR}",
        )
    return pictures, told


def _assumed(assumed: PicturePreprocess, reads: str) -> tuple[PicturePreprocess, tuple[str, ...]]:
    """Return what is made of pictures where nothing is declared, saying so."""
    otherwise = f"a {OWN} beside it may say otherwise"
    if reads == "pixels":
        return replace(assumed, scale=1.0), (
            f"it scales pixels itself, so it is given 0 to 255 in the order RGB; {otherwise}",
        )
    if reads == "unit":
        return assumed, (f"it scales numbers itself, so it is given 0 to 1 in the order RGB; {otherwise}",)
    return replace(assumed, mean=_MEAN, std=_STD), (
        "how pictures are prepared is not said, so RGB with ImageNet's mean and deviation is assumed; "
        f"{otherwise}",
    )


def _declared(file: Path, assumed: PicturePreprocess) -> tuple[PicturePreprocess, set[str]]:
    """Return a preprocessing with what a file declares of it, and the names of that.

    Raises UserError for what has no meaning.
    """
    expected = f"a JSON object with some of {', '.join(_MEANINGS)}"
    said = read_json(file, expected)
    wrong = [name for name, value in said.items() if name not in _MEANINGS or not _MEANINGS[name](value)]
    if wrong:
        raise UserError(f"{file} says {wrong[0]}: {said[wrong[0]]!r}", expected, "mend it")
    channels: dict[str, Any] = {name: per_channel(said[name]) for name in ("mean", "std") if name in said}
    return replace(assumed, **{**said, **channels}), set(said)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _are_three(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(map(_is_number, value))


_MEANINGS: Mapping[str, Callable[[Any], bool]] = {
    "size": lambda value: _is_number(value) and isinstance(value, int) and value > 0,
    "crop": lambda value: _is_number(value) and 0 < value <= 1,
    "interpolation": lambda value: value in _WAYS,
    "order": lambda value: value in ("RGB", "BGR"),
    "scale": lambda value: _is_number(value) and value != 0,
    "mean": _are_three,
    "std": lambda value: _are_three(value) and all(value),
    "squash": lambda value: isinstance(value, bool),
}
"""What may be declared, and whether a value of it has a meaning."""


def _text(base: str, beside: Path, parts: Mapping[str, Any]) -> Pretrained:
    """Describe a graph that reads texts, by what Transformers saved with it: tokenizer and configuration."""
    if not (beside / "config.json").is_file():
        raise UserError(
            f"{base} reads texts, and {beside} has no config.json",
            "config.json and tokenizer.json beside the graph, or in the folder above",
            "export it with its tokenizer",
        )
    known = transformers_folder.describe(base, beside, Path(), parts["licence"], parts["revision"])
    if known.writes == "above":
        raise UserError(
            f"{base} is a part of a model that writes", "an encoder alone", "choose another --base"
        )
    return replace(known, **{**parts, "assets": {**known.assets, **parts["assets"]}, "writes": ""})
