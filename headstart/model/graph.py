"""Trunks as ONNX graphs: traced on one small batch, and checked on a longer one."""

import warnings
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from headstart.contracts import Array, Inputs
from headstart.core.errors import EngineUnavailable
from headstart.core.frameworks import prepare_torch

if TYPE_CHECKING:
    from torch import nn

_CLOSE = 1e-4
"""As a share of the largest magnitude."""


def export(
    module: "nn.Module", sample: Inputs, axes: Mapping[str, Mapping[int, str]], file: IO[bytes]
) -> None:
    """Write a module's graph, whose ``axes`` may have any size. Raises EngineUnavailable where it has none.

    A trace records what was done for one size: a model that decides by size, such as one that fills texts
    up to whole windows, would be wrong or fail for all others.
    """
    torch = prepare_torch()
    example = tuple(torch.from_numpy(array) for array in sample.values())
    longer = tuple(torch.from_numpy(_doubled(array, axes.get(name, {}))) for name, array in sample.items())
    with warnings.catch_warnings(), torch.no_grad():
        # The TorchScript exporter is deprecated, and twenty times as fast as its successor.
        warnings.simplefilter("ignore")
        try:
            traced: Any = torch.jit.trace(module, example, check_trace=False)
            expected, found = module(*longer), traced(*longer)
            if not torch.allclose(found, expected, rtol=0, atol=_CLOSE * float(expected.abs().max())):
                raise EngineUnavailable("no ONNX graph: what the model does differs by the input's size")
            torch.onnx.export(
                traced, example, file, input_names=list(sample), output_names=["features"],
                dynamic_axes=axes, dynamo=False,
            )  # fmt: skip
        except (RuntimeError, TypeError, torch.onnx.OnnxExporterError) as error:
            raise EngineUnavailable(f"no ONNX graph: {str(error).splitlines()[0]}") from error


def _doubled(array: Array, axes: Mapping[int, str]) -> Array:
    """Return an array twice as long along each of some axes."""
    for axis in axes:
        array = np.concatenate([array, array], axis=axis)
    return array
