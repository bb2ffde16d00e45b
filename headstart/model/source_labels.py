"""The labels that a pretrained model was trained to give, read off the features that are there already.

Shape letters: M examples, D features, Z source labels, N pictures.
"""

from typing import Any

import numpy as np

from headstart.contracts import Array, Floats, Frozen, PicturePreprocess
from headstart.core.errors import HeadstartError
from headstart.core.frameworks import prepare_torch
from headstart.maths import softmax

_TOLERANCE = 1e-3


def source_probabilities(frozen: Frozen, last_MD: Floats) -> Array | None:
    """Return what the model's own classifier says of its last features, float64 [M, Z]; None without one.

    A classifier is a matrix [Z, D] with a bias among the weights. It is believed only where, on the mean of
    the last block's map, it gives what the model itself gives for the same pictures.
    """
    if not isinstance(frozen.pretrained.preprocess, PicturePreprocess):
        return None
    found = _classifier(frozen, last_MD.shape[1])
    if found is None or not _is_the_models(frozen, *found):
        return None
    weight_ZD, bias_Z = found
    return softmax.probabilities(last_MD @ weight_ZD.T + bias_Z)


def _classifier(frozen: Frozen, width: int) -> tuple[Array, Array] | None:
    state = frozen.state
    for name, weight_ZD in state.items():
        bias_Z = state.get(name.removesuffix("weight") + "bias")
        if (
            name.endswith("weight")
            and weight_ZD.ndim == 2
            and weight_ZD.shape[1] == width
            and bias_Z is not None
        ):
            return weight_ZD, bias_Z
    return None


def _is_the_models(frozen: Frozen, weight_ZD: Array, bias_Z: Array) -> bool:
    """Say whether the model gives the same logits as the matrix does on the mean of its last map."""
    torch = prepare_torch()
    size = frozen.pretrained.preprocess.size  # type: ignore[attr-defined]
    pixels_NCHW = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    network: Any = frozen.network()
    with torch.inference_mode():
        try:
            own_NZ = network.module(pixels_NCHW).numpy()
        except (HeadstartError, RuntimeError, TypeError, AttributeError):  # it ends below its classifier
            return False
        last = network.outputs(pixels_NCHW)[-1]
        last_ND = (last.mean((2, 3)) if last.ndim == 4 else last).numpy()
    if own_NZ.shape != (2, len(bias_Z)):
        return False
    apart = np.abs(last_ND @ weight_ZD.T + bias_Z - own_NZ).max()
    return bool(apart <= _TOLERANCE * max(float(np.abs(own_NZ).max()), 1e-12))
