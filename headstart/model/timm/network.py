"""Picture models of timm, built and loaded by timm itself.

``forward_intermediates`` gives the maps of every architecture timm has: all blocks of a transformer, the
stages of a convolutional network. https://huggingface.co/docs/timm/feature_extraction
"""

import inspect
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headstart.contracts import Array, Pretrained
from headstart.core.errors import UserError
from headstart.core.foreign import reason_of
from headstart.core.frameworks import prepare_torch
from headstart.model import shards
from headstart.model.picture_network import PictureNetwork, as_map, refuse_cut_patches, size_of
from headstart.model.timm.config import NOWHERE_ELSE, WRAPPER, refuse_elsewhere

if TYPE_CHECKING:
    from torch import Tensor


def network(pretrained: Pretrained) -> PictureNetwork:
    """Build the architecture with random weights. Raises UserError for a size that cuts through patches."""
    module = _create(pretrained)
    refuse_cut_patches(pretrained, _patch(module, pretrained.config["pretrained_cfg"]))
    return PictureNetwork(pretrained.base, module, _outputs, size_of(pretrained))


def _patch(module: Any, cfg: Mapping[str, Any]) -> int:
    """Return the side of the patches of a model that is made for one size: the stride of its first layer."""
    from torch import nn

    first = cfg.get("first_conv")
    layer = module.get_submodule(first) if cfg.get("fixed_input_size") and isinstance(first, str) else None
    return layer.stride[0] if isinstance(layer, nn.Conv2d) else 1


def state(pretrained: Pretrained) -> dict[str, Array]:
    """Return the weights as timm itself loads them: names of today, positions at the model's size."""
    weights = {WRAPPER.sub("", name): one for name, one in shards.load(pretrained.weights).items()}
    overlay = {**NOWHERE_ELSE, "state_dict": weights}
    model = _create(pretrained, pretrained=True, pretrained_cfg_overlay=overlay)
    return {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}


def _create(one: Pretrained, **how: Any) -> Any:
    """Call ``timm.create_model``. Raises UserError where timm cannot build or load the model."""
    prepare_torch()
    import timm

    config = one.config
    architecture, args = refuse_elsewhere(one.base, config)  # of a run that somebody sent, nobody else looks
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old names of architectures, which timm maps to its new ones
        try:
            return timm.create_model(
                architecture,
                pretrained_cfg={**config["pretrained_cfg"]},
                **{"pretrained": False, **how},
                **args,
            )
        except (RuntimeError, TypeError, ValueError, AssertionError, LookupError) as error:
            raise UserError(
                f"timm {timm.__version__} cannot make {one.base} ({reason_of(error)})",
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
