"""The labels that a pretrained model was trained to give, read off the features that are there already.

Shape letters: M examples, D features, Z source labels, N pictures.
"""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from headstart.contracts import Array, Floats, Frozen, PicturePreprocess
from headstart.core.files import digest_json
from headstart.core.frameworks import prepare_torch
from headstart.core.remembered import remembered
from headstart.core.version import VERSION
from headstart.maths import softmax

_TOLERANCE = 1e-3


def source_probabilities(frozen: Frozen, last_MD: Floats) -> Array | None:
    """Return what the model's own classifier says of its last features, float64 [M, Z]; None without one.

    A classifier is a matrix [Z, D] with a bias among the weights. It is believed only where, on the mean of
    the last block's map, it gives what the model itself gives for the same pictures.
    """
    pretrained, matrices = frozen.pretrained, _matrices(frozen, last_MD.shape[1])
    picture = pretrained.preprocess
    if not matrices or not isinstance(picture, PicturePreprocess):
        return None
    # Which matrix it is takes a framework to tell, so it is told once on a machine.
    named = digest_json([pretrained.weights_digest, pretrained.architecture, pretrained.config, picture.size])
    found = remembered("classifier", VERSION, named, lambda: {"name": _believed(frozen, matrices)})["name"]
    if found not in matrices:
        return None
    weight_ZD, bias_Z = matrices[found]
    return softmax.probabilities(last_MD @ weight_ZD.T + bias_Z)


def _believed(frozen: Frozen, matrices: Mapping[str, tuple[Array, Array]]) -> str:
    """Return the name of the matrix that gives the model's own answers, empty where none does."""
    said = _says(frozen)
    if said is None:
        return ""
    last_ND, own_NZ = said
    for name, (weight_ZD, bias_Z) in matrices.items():
        if own_NZ.shape[1:] == bias_Z.shape and last_ND.shape[1:] == weight_ZD.shape[1:]:
            apart = np.abs(last_ND @ weight_ZD.T + bias_Z - own_NZ).max()
            if apart <= _TOLERANCE * max(float(np.abs(own_NZ).max()), 1e-12):
                return name
    return ""


def _matrices(frozen: Frozen, width: int) -> dict[str, tuple[Array, Array]]:
    """Return the matrices [Z, D] among the weights by name, each with its bias [Z]."""
    state = frozen.state
    named = [name for name, one in state.items() if name.endswith("weight") and one.shape[1:] == (width,)]
    biased = [(name, name.removesuffix("weight") + "bias") for name in named]
    return {name: (state[name], state[bias]) for name, bias in biased if bias in state}


def _says(frozen: Frozen) -> tuple[Array, Array] | None:
    """Return the last features [N, D] of two random pictures and the model's own answers [N, Z]."""
    torch = prepare_torch()
    size = cast(PicturePreprocess, frozen.pretrained.preprocess).size
    pixels_NCHW = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    network: Any = frozen.network()
    with torch.inference_mode():
        last = network.outputs(pixels_NCHW)[-1]
        try:
            own_NZ = network.module(pixels_NCHW)
        except (RuntimeError, TypeError, AttributeError):  # it ends below its classifier
            return None
    if not isinstance(own_NZ, torch.Tensor):
        return None
    return (last.mean((2, 3)) if last.ndim == 4 else last).numpy(), own_NZ.numpy()
