"""Small random picture models of the real classes, saved as Transformers saves them with their processors."""

from functools import partial
from pathlib import Path
from typing import Any

from headstart.core.frameworks import prepare_torch

torch = prepare_torch()

import transformers as t  # noqa: E402

VIT = {
    **{"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48},
    **{"image_size": 64, "patch_size": 16},
}
SWIN = {
    **{"depths": [1, 1, 2, 1], "num_heads": [1, 2, 4, 4], "window_size": 4, "image_size": 128},
    "embed_dim": 16,
}
STAGES = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1]}
FOUR = {"out_features": ["stage1", "stage2", "stage3", "stage4"]}
BOTH, SHORTER = {"height": 64, "width": 64}, {"shortest_edge": 72}
LARGE = {"height": 128, "width": 128}
CROP = {"do_center_crop": True, "crop_size": BOTH}
_SQUARE = partial(t.ViTImageProcessor, size=BOTH)
SEGFORMER = {**STAGES, "num_attention_heads": [1, 2, 2, 2], "decoder_hidden_size": 16}


def _upernet() -> Any:
    backbone = t.ConvNextConfig(**STAGES, **FOUR)
    return t.UperNetConfig(
        backbone_config=backbone, hidden_size=16, auxiliary_in_channels=24, auxiliary_channels=16
    )


def _mask2former() -> Any:
    narrow = dict.fromkeys(("feature_size", "mask_feature_size", "hidden_dim"), 32)
    layers = {"encoder_feedforward_dim": 32, "dim_feedforward": 32, "encoder_layers": 1, "decoder_layers": 2}
    backbone = t.SwinConfig(**SWIN, **FOUR)
    return t.Mask2FormerConfig(
        backbone_config=backbone, **narrow, **layers, num_attention_heads=2, num_queries=5
    )


def _dpt() -> Any:
    neck = {
        "neck_hidden_sizes": [8, 8, 16, 16],
        "fusion_hidden_size": 16,
        "backbone_out_indices": [0, 1, 2, 3],
    }
    return t.DPTConfig(**{**VIT, "num_hidden_layers": 4}, is_hybrid=False, **neck)


ENCODERS: dict[str, tuple[Any, Any, Any]] = {
    "vit": (
        t.ViTForImageClassification,
        partial(t.ViTConfig, **VIT),
        partial(t.ViTImageProcessor, size=BOTH),
    ),
    "deit": (
        t.DeiTForImageClassification,
        partial(t.DeiTConfig, **VIT),
        partial(t.DeiTImageProcessor, size={"height": 72, "width": 72}, crop_size=BOTH),
    ),
    "beit": (
        t.BeitForImageClassification,
        partial(t.BeitConfig, **VIT, use_relative_position_bias=True),
        partial(t.BeitImageProcessor, size=BOTH),
    ),
    "dinov2": (
        t.Dinov2Model,
        partial(t.Dinov2Config, **VIT),
        partial(t.BitImageProcessor, size=SHORTER, **CROP),
    ),
    "dinov2_with_registers": (
        t.Dinov2WithRegistersModel,
        partial(t.Dinov2WithRegistersConfig, **VIT),
        partial(t.BitImageProcessor, size=SHORTER, **CROP),
    ),
    "swin": (
        t.SwinForImageClassification,
        partial(t.SwinConfig, **SWIN),
        partial(t.ViTImageProcessor, size=LARGE),
    ),
    "swinv2": (
        t.Swinv2ForImageClassification,
        partial(t.Swinv2Config, **SWIN),
        partial(t.ViTImageProcessor, size=LARGE),
    ),
    "convnext": (
        t.ConvNextForImageClassification,
        partial(t.ConvNextConfig, **STAGES),
        partial(t.ConvNextImageProcessor, size={"shortest_edge": 64}),
    ),
    "resnet": (
        t.ResNetForImageClassification,
        partial(t.ResNetConfig, embedding_size=8, layer_type="basic", **STAGES),
        partial(t.ConvNextImageProcessor, size={"shortest_edge": 64}),
    ),
    "mobilevit": (
        t.MobileViTForImageClassification,
        partial(t.MobileViTConfig, hidden_sizes=[24, 32, 40], neck_hidden_sizes=[8, 8, 16, 24, 32, 40, 64]),
        partial(t.MobileViTImageProcessor, size=SHORTER, **CROP),
    ),
    "clip_vision_model": (
        t.CLIPVisionModel,
        partial(t.CLIPVisionConfig, **VIT),
        partial(t.CLIPImageProcessor, size=SHORTER, **CROP),
    ),
    "siglip_vision_model": (
        t.SiglipVisionModel,
        partial(t.SiglipVisionConfig, **VIT),
        partial(t.SiglipImageProcessor, size=BOTH, resample=0),
    ),
}
SEGMENTERS: dict[str, tuple[Any, Any, Any]] = {
    "segformer": (
        t.SegformerForSemanticSegmentation,
        partial(t.SegformerConfig, **SEGFORMER),
        partial(t.SegformerImageProcessor, size=BOTH),
    ),
    "upernet": (t.UperNetForSemanticSegmentation, _upernet, partial(t.SegformerImageProcessor, size=BOTH)),
    "dpt": (t.DPTForSemanticSegmentation, _dpt, partial(t.DPTImageProcessor, size=BOTH)),
    "mask2former": (
        t.Mask2FormerForUniversalSegmentation,
        _mask2former,
        partial(t.Mask2FormerImageProcessor, size=LARGE),
    ),
}
OTHERS: dict[str, tuple[Any, Any, Any]] = {
    "convnextv2": (t.ConvNextV2ForImageClassification, partial(t.ConvNextV2Config, **STAGES), _SQUARE),
    "regnet": (
        t.RegNetForImageClassification,
        partial(t.RegNetConfig, **STAGES, embedding_size=8, groups_width=8),
        _SQUARE,
    ),
    "bit": (
        t.BitForImageClassification,
        partial(t.BitConfig, **STAGES, embedding_size=8, num_groups=4),
        _SQUARE,
    ),
    "pvt_v2": (
        t.PvtV2ForImageClassification,
        partial(t.PvtV2Config, **STAGES, num_attention_heads=[1, 2, 2, 2]),
        _SQUARE,
    ),
    "poolformer": (t.PoolFormerForImageClassification, partial(t.PoolFormerConfig, **STAGES), _SQUARE),
    "mobilenet_v2": (
        t.MobileNetV2ForImageClassification,
        partial(t.MobileNetV2Config, depth_multiplier=0.25),
        _SQUARE,
    ),
    "data2vec-vision": (
        t.Data2VecVisionForImageClassification,
        partial(t.Data2VecVisionConfig, **VIT),
        _SQUARE,
    ),
}
KINDS = {**ENCODERS, **SEGMENTERS, **OTHERS}


def save(kind: str, folder: Path) -> Path:
    """Write a model of a kind as Transformers does; fresh biases and norms would hide mistakes."""
    made_by, config, processor = KINDS[kind]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = made_by._from_config(config())
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                norm = "norm" in name and name.endswith("weight")
                parameter.normal_(1.0 if norm else 0.0, 0.1 if norm or parameter.ndim < 2 else 0.15)
    model.save_pretrained(folder)
    processor().save_pretrained(folder)
    return folder
