"""The one place that makes the deep-learning frameworks importable beside each other."""

from functools import cache
from importlib.util import find_spec
from typing import Any


@cache
def prepare_torch() -> Any:
    """Import torch, mend a torchvision built for another torch, and return torch.

    A torchvision built for CUDA beside a CPU torch fails at import because its compiled library
    cannot be loaded and so two operators that it registers fakes for are undefined. Declaring them
    lets torchvision, timm and transformers import; only ``torchvision.ops.nms`` stays unusable.
    """
    import torch

    if find_spec("torchvision") is None:
        return torch
    try:
        import torchvision
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        _declare_missing_operators(torch)
        import torchvision  # noqa: F401
    return torch


@cache  # torch forgets a library's operators when the object is collected
def _declare_missing_operators(torch: Any) -> Any:
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library
