"""Picture models of timm, described by the JSON that timm saves with them or keeps of their names."""

import importlib.metadata
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from headstart.contracts import PicturePreprocess, Pretrained
from headstart.core.errors import UserError
from headstart.core.files import digest_bytes
from headstart.core.frameworks import prepare_torch
from headstart.core.plugins import nearest
from headstart.core.remembered import remembered
from headstart.core.tensor_file import shapes
from headstart.model import shards
from headstart.model.picture_network import size_of
from headstart.model.picture_processor import per_channel
from headstart.model.weights import as_safetensors

WRAPPER = re.compile(r"^timm_model\.")
"""How Transformers' wrapper of timm calls every weight."""
_PLAIN = re.compile(r"\w+")
_NOT_FROM_A_FILE = frozenset({"pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path"})
"""Arguments of ``timm.create_model`` that would load weights from elsewhere."""
NOWHERE_ELSE = {
    **{"source": "", "url": "", "file": None, "hf_hub_id": None, "hf_hub_filename": None},
    "custom_load": False,
}
"""What a description may not say of where weights lie: they are given."""
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def named(name: str) -> dict[str, Any]:
    """Return what timm knows of a name, as its ``config.json`` would say it; learnt once on a machine.

    Raises UserError where timm has no such model, or no such weights of it.
    """

    def learn() -> dict[str, Any]:
        prepare_torch()
        import timm

        architecture, _, tag = name.partition(".")
        if not timm.is_model(architecture):
            raise UserError(
                f"timm {timm.__version__} knows no model called {architecture!r}",
                "one of timm.list_models()",
                nearest(architecture, timm.list_models()),
            )
        tags = [one.partition(".")[2] for one in timm.list_models(f"{architecture}.*", pretrained=True)]
        if tag and tag not in tags:
            raise UserError(
                f"{architecture} has no weights called {tag!r}",
                f"one of {', '.join(tags) or 'none'}",
                nearest(tag, tags),
            )
        cfg: Any = timm.get_pretrained_cfg(name)
        return {"architecture": architecture, "pretrained_cfg": {} if cfg is None else cfg.to_dict()}

    return remembered("timm", importlib.metadata.version("timm"), name, learn)


def describe(base: str, config: Mapping[str, Any], weights: Path, licence: str, revision: str) -> Pretrained:
    """Describe a model by timm's ``config.json`` and its weights, which need not be there.

    Raises UserError where it is no model for square RGB pictures.
    """
    # timm's first hub models have the inner part alone.
    cfg = dict(config.get("pretrained_cfg") or config)
    architecture, args = refuse_elsewhere(base, config)
    there = weights.is_file()
    file = as_safetensors(weights) if there else weights
    stated = config.get("num_classes", cfg.get("num_classes", 1000))
    if there:
        _refuse_channels(base, cfg, file)
    cfg["num_classes"] = _classes(cfg, file, stated) if there else stated
    cfg["input_size"] = cfg.get("input_size") or [3, 224, 224]
    try:
        preprocess = _preprocess(base, cfg, args)
    except (TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"how {base} prepares pictures cannot be made out ({error})",
            "a config.json as timm saves it",
            "check the file",
        ) from error
    known = {"architecture": architecture, "model_args": args, "pretrained_cfg": cfg}
    described = json.dumps(known, sort_keys=True).encode()
    return Pretrained(
        base=base,
        architecture=f"timm/{architecture}",
        licence=str(cfg.get("license") or licence),
        revision=revision,
        weights=file,
        weights_digest=digest_bytes(shards.digest(weights).encode() if there else b"", described),
        preprocess=preprocess,
        config=known,
    )


def _refuse_channels(base: str, cfg: Mapping[str, Any], weights: Path) -> None:
    """Raise UserError where the first layer among the weights sees other than three channels."""
    named = cfg.get("first_conv")
    first = named[0] if isinstance(named, list | tuple) else named
    found = {WRAPPER.sub("", name): shape for name, shape in shapes(weights).items()}.get(f"{first}.weight")
    if found is not None and len(found) == 4 and found[1] != 3 and cfg.get("input_size", [3])[0] == 3:
        raise UserError(
            f"{base} takes pictures of {found[1]} channels",
            "a model of RGB pictures",
            "choose another --base",
        )


def refuse_elsewhere(base: str, config: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the architecture and its arguments. Raises UserError where timm would look elsewhere for it.

    Names such as ``hf-hub:OWNER/NAME`` are downloads, and some arguments name files.
    """
    architecture, args = config.get("architecture"), dict(config.get("model_args") or {})
    if not isinstance(architecture, str) or not _PLAIN.fullmatch(architecture):
        raise UserError(
            f"{base} names the architecture {architecture!r:.80}", "one of timm's", "check its config.json"
        )
    elsewhere = sorted(_NOT_FROM_A_FILE & set(args))
    if elsewhere:
        raise UserError(
            f"{base} would load weights by {elsewhere[0]}",
            "weights beside config.json",
            "remove that argument",
        )
    return architecture, args


def _classes(cfg: Mapping[str, Any], weights: Path, stated: int) -> int:
    """Return how many classes the weights tell apart by their last layer; 0 where they lack it."""
    named = cfg.get("classifier")
    first = named[0] if isinstance(named, list | tuple) else named
    if not first:
        return stated
    found = {WRAPPER.sub("", name): shape for name, shape in shapes(weights).items()}
    rows = found.get(f"{first}.weight", (0,))[0]
    return max(rows - (cfg.get("label_offset") or 0), 0)


def _preprocess(base: str, cfg: Mapping[str, Any], args: Mapping[str, Any]) -> PicturePreprocess:
    """Return what timm's evaluation transform does (``timm.data.create_transform``)."""
    channels, *sides = cfg["input_size"]
    mode, method = cfg.get("crop_mode") or "center", cfg.get("interpolation") or "bicubic"
    wrong = [f"takes pictures of {channels} channels"] if channels != 3 else []
    wrong += [f"is built for {args['in_chans']} channels"] if args.get("in_chans", 3) != 3 else []
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
    size, own = size_of(pretrained), _one_side(args.get("img_size") or cfg["input_size"][-1])
    if size == own or not (cfg.get("fixed_input_size") or _positions(pretrained.config["architecture"])):
        return pretrained
    what = f"{pretrained.base} is made for {own} px: timm resamples its positions for {size} px"
    config = {**pretrained.config, "model_args": {**args, "img_size": size}}
    return replace(pretrained, config=config, adapted=(*pretrained.adapted, what))


def _positions(architecture: str) -> bool:
    """Say whether an architecture has positions for one size, though a model of it may take any."""
    return bool(named(architecture)["pretrained_cfg"].get("fixed_input_size"))


def _one_side(size: Any) -> int:
    return int(size[-1] if isinstance(size, list | tuple) else size)


def own_files(pretrained: Pretrained) -> dict[str, Any]:
    """Return the ``config.json`` with which ``timm.create_model("local-dir:FOLDER")`` loads the weights."""
    picture = pretrained.preprocess
    if not isinstance(picture, PicturePreprocess):
        return {}
    left_out = {*NOWHERE_ELSE, "state_dict", "test_input_size", "test_crop_pct", "pool_size", "label_offset"}
    kept = {key: one for key, one in pretrained.config["pretrained_cfg"].items() if key not in left_out}
    now = {
        "input_size": [3, picture.size, picture.size],
        "crop_pct": picture.crop,
        "crop_mode": "squash" if picture.squash else "center",
    }
    config = {**pretrained.config, "num_classes": kept["num_classes"], "pretrained_cfg": {**kept, **now}}
    return {"config.json": config}
