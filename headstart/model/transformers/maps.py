"""Maps out of Transformers' picture models: hidden states of encoders, decoders of segmentation models.

Shape letters: N pictures, C channels, H W a map's sides.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from headstart.model.picture_network import as_map

if TYPE_CHECKING:
    from torch import Tensor


def encoder(module: Any, pixels_NCHW: "Tensor") -> "list[tuple[str, Tensor]]":
    """Return every hidden state as a map, the last normalised one, and the model's own summary."""
    found = module(pixels_NCHW, output_hidden_states=True, **_at_any_size(module, pixels_NCHW))
    maps = _maps(module, found, pixels_NCHW)
    last, pooled = found.last_hidden_state, found.get("pooler_output")
    side = maps[-1][1].shape[-1]
    last_map = as_map(last, side)
    if last_map is not None:
        maps.append(("features", last_map))
    if pooled is not None:
        maps.append(("vector", pooled.flatten(1)))
    elif last.ndim == 3 and last.shape[1] > side * side:
        maps.append(("vector", last[:, 0]))
    return maps


def _at_any_size(module: Any, pixels_NCHW: "Tensor") -> dict[str, bool]:
    """Return the argument by which Transformers interpolates positions, where it has to."""
    able = "interpolate_pos_encoding" in inspect.signature(module.forward).parameters
    return (
        {"interpolate_pos_encoding": True}
        if able and module.config.image_size != pixels_NCHW.shape[-1]
        else {}
    )


def _maps(module: Any, found: Any, pixels_NCHW: "Tensor") -> "list[tuple[str, Tensor]]":
    """Return the hidden states as maps [N, C, H, W]: as given, as the model reshapes them, or of tokens."""
    states = found.get("reshaped_hidden_states") or found.hidden_states
    maps = []
    for place, state_N in enumerate(states):
        side = state_N.shape[-1] if state_N.ndim == 4 else pixels_NCHW.shape[-1] // module.config.patch_size
        one = as_map(state_N, side)
        if one is not None:
            maps.append((f"states.{place}", one))
    return maps


def _with_decoder(module: Any, pixels_NCHW: "Tensor") -> "list[tuple[str, Tensor]]":
    """Return the hidden states, and what the layer that tells classes would see: it has been taken away."""
    from headstart.model.pooling import AveragesAsProducts

    with AveragesAsProducts():
        found = module(pixels_NCHW, output_hidden_states=True, **_at_any_size(module, pixels_NCHW))
    return [*_maps(module, found, pixels_NCHW), ("decoder", found.logits)]


def _upernet(module: Any, pixels_NCHW: "Tensor") -> "list[tuple[str, Tensor]]":
    """As ``UperNetForSemanticSegmentation.forward`` up to where it enlarges its logits."""
    from headstart.model.pooling import AveragesAsProducts

    maps = module.backbone(pixels_NCHW).feature_maps
    named = [(f"states.{place}", one) for place, one in enumerate(maps)]
    with AveragesAsProducts():
        return [*named, ("decoder", module.decode_head(maps))]


def _mask2former(module: Any, pixels_NCHW: "Tensor") -> "list[tuple[str, Tensor]]":
    """Return the backbone's maps, the pixel decoder's, and its embedding of each pixel (arXiv 2112.01527)."""
    found = module.model.pixel_level_module(pixels_NCHW, output_hidden_states=True)
    maps = [(f"states.{place}", one) for place, one in enumerate(found.encoder_hidden_states)]
    maps += [(f"decoder.{place}", one) for place, one in enumerate(found.decoder_hidden_states)]
    return [*maps, ("decoder", found.decoder_last_hidden_state)]


RUNS: Mapping[str, Callable[[Any, Any], Any]] = {
    "SegformerForSemanticSegmentation": _with_decoder,
    "BeitForSemanticSegmentation": _with_decoder,
    "DPTForSemanticSegmentation": _with_decoder,
    "UperNetForSemanticSegmentation": _upernet,
    "Mask2FormerForUniversalSegmentation": _mask2former,
}
CLASSIFIERS = {
    "SegformerForSemanticSegmentation": "decode_head.classifier",
    "BeitForSemanticSegmentation": "decode_head.classifier",
    "DPTForSemanticSegmentation": "head.head.4",
    "UperNetForSemanticSegmentation": "decode_head.classifier",
}
