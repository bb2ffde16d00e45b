"""Picture models of timm: described by the JSON that timm saves with them, built and loaded by timm itself.

``forward_intermediates`` gives the maps of every architecture timm has: all blocks of a transformer, the
stages of a convolutional network. https://huggingface.co/docs/timm/feature_extraction
"""

import inspect
import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from headstart.contracts import Array, PicturePreprocess, Pretrained
from headstart.core.errors import UserError
from headstart.core.files import digest_bytes, digest_file
from headstart.core.frameworks import prepare_torch
from headstart.model.picture_network import PictureNetwork, as_map
from headstart.model.picture_processor import per_channel
from headstart.model.weights import as_safetensors, shapes

if TYPE_CHECKING:
    from torch import Tensor

_WRAPPER = re.compile(r"^timm_model\.")  # by which Transformers' wrapper of timm calls it
_PLAIN = re.compile(r"\w+")
_NOT_FROM_A_FILE = frozenset({"pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path"})
"""Arguments of ``timm.create_model`` that would load weights from elsewhere."""
_NOWHERE_ELSE = {
    **{"source": "", "url": "", "file": None, "hf_hub_id": None, "hf_hub_filename": None},
    "custom_load": False,
}
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def describe(base: str, config: Mapping[str, Any], weights: Path, licence: str, revision: str) -> Pretrained:
    """Describe a model by timm's ``config.json`` and its weights, which need not be there.

    Raises UserError where it is no model for square RGB pictures.
    """
    # timm's first hub models have the inner part alone.
    cfg = dict(config.get("pretrained_cfg") or config)
    architecture, args = config.get("architecture"), dict(config.get("model_args") or {})
    if not isinstance(architecture, str) or not _PLAIN.fullmatch(architecture):
        raise UserError(
            f"{base} names the architecture {architecture!r}", "one of timm's", "check its config.json"
        )
    elsewhere = sorted(_NOT_FROM_A_FILE & set(args))
    if elsewhere:
        raise UserError(
            f"{base} would load weights by {elsewhere[0]}",
            "weights beside config.json",
            "remove that argument",
        )
    there = weights.is_file()
    stated = config.get("num_classes", cfg.get("num_classes", 1000))
    cfg["num_classes"] = _classes(cfg, as_safetensors(weights), stated) if there else stated
    known = {"architecture": architecture, "model_args": args, "pretrained_cfg": cfg}
    described = json.dumps(known, sort_keys=True).encode()
    return Pretrained(
        base=base,
        architecture=f"timm/{architecture}",
        licence=str(cfg.get("license") or licence),
        revision=revision,
        weights=as_safetensors(weights) if there else weights,
        weights_digest=digest_bytes(digest_file(weights).encode() if there else b"", described),
        preprocess=_preprocess(base, cfg, args),
        config=known,
    )


def _classes(cfg: Mapping[str, Any], weights: Path, stated: int) -> int:
    """Return how many classes the weights tell apart by their last layer; 0 where they lack it."""
    named = cfg.get("classifier")
    first = named[0] if isinstance(named, list | tuple) else named
    if not first:
        return stated
    found = {_WRAPPER.sub("", name): shape for name, shape in shapes(weights).items()}
    rows = found.get(f"{first}.weight", (0,))[0]
    return max(rows - (cfg.get("label_offset") or 0), 0)


def _preprocess(base: str, cfg: Mapping[str, Any], args: Mapping[str, Any]) -> PicturePreprocess:
    """Return what timm's evaluation transform does (``timm.data.create_transform``)."""
    channels, *sides = cfg.get("input_size") or (3, 224, 224)
    mode, method = cfg.get("crop_mode") or "center", cfg.get("interpolation") or "bicubic"
    wrong = [f"takes pictures of {channels} channels"] if args.get("in_chans", channels) != 3 else []
    wrong += [f"takes pictures of {sides[0]} x {sides[1]} px"] if len(set(sides)) > 1 else []
    wrong += [f"pads pictures (crop_mode {mode})"] if mode not in ("center", "squash") else []
    wrong += [f"resizes by {method}"] if method.upper() not in Image.Resampling.__members__ else []
    if wrong:
        raise UserError(f"{base} {wrong[0]}", "a model of square RGB pictures", "choose another --base")
    return PicturePreprocess(
        size=int(sides[0]),
        crop=float(cfg.get("crop_pct") or 0.875),
        interpolation=method,
        order="RGB",
        scale=1 / 255,
        mean=per_channel(cfg.get("mean") or _MEAN),
        std=per_channel(cfg.get("std") or _STD),
        squash=mode == "squash",
    )


def sized(pretrained: Pretrained) -> Pretrained:
    """Return the model at its preprocessing's size, its positions resampled where they are for one size."""
    cfg, args = pretrained.config["pretrained_cfg"], pretrained.config["model_args"]
    size, own = _size(pretrained), _one_side(args.get("img_size") or cfg["input_size"][-1])
    if size == own or not cfg.get("fixed_input_size"):
        return pretrained
    what = f"{pretrained.base} is made for {own} px: timm resamples its positions for {size} px"
    config = {**pretrained.config, "model_args": {**args, "img_size": size}}
    return replace(pretrained, config=config, adapted=(*pretrained.adapted, what))


def _size(pretrained: Pretrained) -> int:
    return pretrained.preprocess.size if isinstance(pretrained.preprocess, PicturePreprocess) else 0


def _one_side(size: Any) -> int:
    return int(size[-1] if isinstance(size, list | tuple) else size)


def network(pretrained: Pretrained) -> PictureNetwork:
    """Build the architecture with random weights. Raises UserError for a size that cuts through patches."""
    module, size = _create(pretrained), _size(pretrained)
    patch = _patch(module, pretrained.config["pretrained_cfg"])
    if size % patch:
        raise UserError(
            f"--image-size {size} for {pretrained.base}, whose patches are {patch} px",
            f"a multiple of {patch}",
            f"give {size // patch * patch or patch}",
        )
    return PictureNetwork(pretrained.base, module, _outputs, size)


def _patch(module: Any, cfg: Mapping[str, Any]) -> int:
    """Return the side of the patches of a model that is made for one size: the stride of its first layer."""
    from torch import nn

    first = cfg.get("first_conv")
    layer = module.get_submodule(first) if cfg.get("fixed_input_size") and isinstance(first, str) else None
    return layer.stride[0] if isinstance(layer, nn.Conv2d) else 1


def state(pretrained: Pretrained) -> dict[str, Array]:
    """Return the weights as timm itself loads them: names of today, positions at the model's size."""
    from safetensors.torch import load_file  # NumPy has no bfloat16

    weights = {_WRAPPER.sub("", name): one for name, one in load_file(pretrained.weights).items()}
    overlay = {**_NOWHERE_ELSE, "state_dict": weights}
    model = _create(pretrained, pretrained=True, pretrained_cfg_overlay=overlay)
    return {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}


def own_files(pretrained: Pretrained) -> dict[str, Any]:
    """Return the ``config.json`` with which ``timm.create_model("local-dir:FOLDER")`` loads the weights."""
    picture = pretrained.preprocess
    if not isinstance(picture, PicturePreprocess):
        return {}
    left_out = {*_NOWHERE_ELSE, "state_dict", "test_input_size", "test_crop_pct", "pool_size", "label_offset"}
    kept = {key: one for key, one in pretrained.config["pretrained_cfg"].items() if key not in left_out}
    now = {
        "input_size": [3, picture.size, picture.size],
        "crop_pct": picture.crop,
        "crop_mode": "squash" if picture.squash else "center",
    }
    config = {**pretrained.config, "num_classes": kept["num_classes"], "pretrained_cfg": {**kept, **now}}
    return {"config.json": config}


def _create(one: Pretrained, **how: Any) -> Any:
    """Call ``timm.create_model``. Raises UserError where timm cannot build or load the model."""
    prepare_torch()
    import timm

    config = one.config
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old names of architectures, which timm maps to its new ones
        try:
            return timm.create_model(
                config["architecture"],
                pretrained_cfg={**config["pretrained_cfg"]},
                **{"pretrained": False, **how},
                **config["model_args"],
            )
        except (RuntimeError, TypeError, ValueError, AssertionError, LookupError) as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise UserError(
                f"timm {timm.__version__} cannot make {one.base} ({reason})",
                "an architecture that it knows, with that architecture's weights, at a size it takes",
                "check the name, the weights and --image-size",
            ) from error


def _outputs(module: Any, pixels_NCHW: "Tensor") -> "list[tuple[str, Tensor]]":
    """Return every map by its module's name, then what the head starts from: as a map, and pooled."""
    last, maps = module.forward_intermediates(pixels_NCHW)
    names = [str(one["module"]) for one in module.feature_info]
    if len(set(names)) < len(names):  # several outputs of one module
        names = [f"{name}#{place}" for place, name in enumerate(names)]
    found = list(zip(names, maps, strict=True))
    last_map = None if isinstance(last, list | tuple) else as_map(last, maps[-1].shape[-1])
    if last_map is not None:
        found.append(("features", last_map))
    if "pre_logits" in inspect.signature(module.forward_head).parameters:
        found.append(("vector", module.forward_head(last, pre_logits=True)))
    return found
