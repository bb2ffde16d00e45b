"""Picture models in folders as Transformers writes them, described without a framework.

What tells classes above the last block is left out, as above text encoders. The weights are read by
Transformers itself, which knows their older names.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from headstart.contracts import Array, Pretrained
from headstart.core.errors import UserError
from headstart.core.files import digest_bytes, read_json
from headstart.core.frameworks import prepare_torch
from headstart.model import shards
from headstart.model.picture_network import PictureNetwork, refuse_cut_patches, size_of
from headstart.model.picture_processor import preprocess
from headstart.model.transformers.folder import SAVED, in_float32
from headstart.model.transformers.maps import CLASSIFIERS, RUNS, encoder
from headstart.model.transformers.network import known_of, silent
from headstart.model.weights import as_safetensors

_PLAIN = (
    *("vit", "deit", "beit", "data2vec-vision", "dinov2", "dinov2_with_registers", "dpt"),
    *("clip_vision_model", "siglip_vision_model"),
)
_STAGED = (
    *("swin", "swinv2", "convnext", "convnextv2", "resnet", "regnet", "bit", "segformer", "pvt_v2"),
    *("poolformer", "mobilevit", "mobilenet_v2", "upernet", "mask2former"),
)
KINDS = frozenset((*_PLAIN, *_STAGED))
"""The ``model_type`` of what can be cut into blocks."""
_POOLERS_OF_PRETRAINING = ("vit", "deit", "dpt")
"""A dense layer that no fine-tuned checkpoint has; these are summed up by their first token."""
_CONFIG, _PROCESSOR = "config.json", "preprocessor_config.json"


def describe(base: str, folder: Path, weights: Path, licence: str, revision: str) -> Pretrained:
    """Describe the picture model in a folder; its weights need not be there. Raises UserError."""
    config = read_json(folder / _CONFIG, SAVED)
    if config.get("num_channels", 3) != 3:
        raise UserError(
            f"{base} takes pictures of {config['num_channels']} channels",
            "a model of RGB pictures, whose weights see all three",
            "choose another --base",
        )
    processor = folder / _PROCESSOR
    there = weights.is_file()
    content = shards.digest(weights).encode() if there else b""
    return Pretrained(
        base=base,
        architecture=f"transformers/{config['model_type']}",
        licence=licence,
        revision=revision,
        weights=as_safetensors(weights) if there else weights,
        weights_digest=digest_bytes(content, json.dumps(config, sort_keys=True).encode()),
        preprocess=preprocess(base, read_json(processor, SAVED)),
        config=config,
        assets={_PROCESSOR: processor},
    )


def sized(pretrained: Pretrained) -> Pretrained:
    """Return the model with a word on its positions where they were learnt for another size.

    Raises UserError for a size that is no multiple of the patches'.
    """
    config, size = pretrained.config, size_of(pretrained)
    own, patch = config.get("image_size"), config.get("patch_size")
    if (
        config["model_type"] not in _PLAIN
        or not isinstance(own, int)
        or not isinstance(patch, int)
        or size == own
    ):
        return pretrained
    refuse_cut_patches(pretrained, patch)
    what = f"{pretrained.base} is made for {own} px: its positions are interpolated for {size} px"
    return replace(pretrained, adapted=(*pretrained.adapted, what))


def network(pretrained: Pretrained) -> PictureNetwork:
    """Build the architecture with random weights. Raises UserError where it cannot be cut into maps."""
    module = _built(pretrained)
    _strip(module, pretrained)
    return PictureNetwork(
        pretrained.base, module, RUNS.get(_class_name(pretrained), encoder), size_of(pretrained)
    )


def state(pretrained: Pretrained) -> dict[str, Array]:
    """Return the weights in float32 under today's names. Raises UserError where some are missing."""
    torch = prepare_torch()
    with torch.device("meta"):  # its class alone: nothing is allocated or drawn
        kind = type(_built(pretrained))
    weights = shards.load(pretrained.weights)
    with torch.random.fork_rng(devices=[]), silent():
        module, said = kind.from_pretrained(
            None,
            config=_config(pretrained),
            state_dict=weights,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    _strip(module.float(), pretrained)
    found = module.state_dict()
    other = sorted(one for one in said["mismatched_keys"] if one[0] in found)
    missing = sorted(set(said["missing_keys"]) & set(found))
    if other or missing:
        what = f"lack {', '.join(missing[:3])} ({len(missing)} tensors)"
        if other:
            name, *shapes = other[0]
            is_, should = (" x ".join(map(str, shape)) for shape in shapes)
            what = f"do not fit its config.json: {name} is {is_}, not {should} ({len(other)} tensors)"
        raise UserError(
            f"the weights of {pretrained.base} {what}",
            f"those of a whole {pretrained.architecture}",
            "check that config.json and weights belong together",
        )
    return {name: tensor.detach().numpy() for name, tensor in found.items()}


def own_files(pretrained: Pretrained) -> dict[str, Any]:
    """Return ``config.json``, with which Transformers reads the folder: the saved weights are float32."""
    return {_CONFIG: {**in_float32(pretrained.config), "dtype": "float32"}}


def _class_name(pretrained: Pretrained) -> str:
    """Return the segmentation model that the weights were saved from, empty for any other."""
    named = pretrained.config.get("architectures") or [""]
    return named[0] if named[0] in RUNS else ""


def _config(pretrained: Pretrained) -> Any:
    from transformers import AutoConfig

    # A backbone's weights come with the model's own.
    return AutoConfig.for_model(pretrained.config["model_type"], **known_of(pretrained.config))


def _built(pretrained: Pretrained) -> Any:
    """Build the model; no code from a repository is ever run. Raises UserError."""
    prepare_torch()
    import transformers

    kind: Any = getattr(transformers, _class_name(pretrained)) if _class_name(pretrained) else None
    # Eager attention exports to every engine.
    how = {"attn_implementation": "eager"}
    try:
        config = _config(pretrained)
        if kind is not None:
            return kind._from_config(config, **how)
        build: Any = transformers.AutoModel.from_config  # untyped in Transformers
        return build(config, trust_remote_code=False, **how)
    except (ValueError, TypeError, RuntimeError, ImportError, LookupError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise UserError(
            f"Transformers {transformers.__version__} cannot build {pretrained.base} ({reason})",
            "a picture model that it knows",
            "choose another --base",
        ) from error


def _strip(module: Any, pretrained: Pretrained) -> None:
    """Take away what lies above the last block: the layer that tells classes, auxiliary heads, poolers."""
    from torch import nn

    name = _class_name(pretrained)
    if not name and pretrained.config["model_type"] in _POOLERS_OF_PRETRAINING:
        module.pooler = None
    if name in CLASSIFIERS:
        _replace(module, CLASSIFIERS[name], nn.Identity())
    if "auxiliary_head" in dict(module.named_children()):
        module.auxiliary_head = None
    if name == "DPTForSemanticSegmentation":
        _replace(module, "head.head.5", nn.Identity())  # it enlarges logits


def _replace(module: Any, path: str, part: Any) -> None:
    parent, _, leaf = path.rpartition(".")
    setattr(module.get_submodule(parent), leaf, part)
