"""Trunks as ONNX graphs: traced on one small batch, and checked on a longer one."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from headstart.contracts import Array, Inputs
from headstart.core.errors import EngineUnavailable
from headstart.core.frameworks import prepare_torch

if TYPE_CHECKING:
    from torch import nn

_CLOSE = 1e-4
"""As a share of the largest magnitude."""
_FIRST_NAMES = {
    "absolute": "abs",
    "divide": "div",
    "multiply": "mul",
    "subtract": "sub",
    "true_divide": "div",
}


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
    with warnings.catch_warnings(), _silent(), torch.no_grad():
        # The TorchScript exporter is deprecated, and twenty times as fast as its successor.
        warnings.simplefilter("ignore")
        try:
            with _plain_names(torch):
                traced: Any = torch.jit.trace(module, example, check_trace=False)
            expected, found = module(*longer), traced(*longer)
            if not torch.allclose(found, expected, rtol=0, atol=_CLOSE * float(expected.abs().max())):
                raise EngineUnavailable("no ONNX graph: what the model does differs by the input's size")
            del traced
            with _plain_names(torch):  # traced again: a trace that was exported is never freed
                torch.onnx.export(
                    module, example, file, input_names=list(sample), output_names=["features"],
                    dynamic_axes=axes, dynamo=False,
                )  # fmt: skip
        except (RuntimeError, TypeError, torch.onnx.OnnxExporterError) as error:
            raise EngineUnavailable(f"no ONNX graph: {str(error).splitlines()[0]}") from error


def _plain_names(torch: Any) -> Any:
    """Return a mode in which torch's second names for its arithmetic, unknown to ONNX, are its first ones."""
    from torch.overrides import TorchFunctionMode

    class PlainNames(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            first = _FIRST_NAMES.get(getattr(func, "__name__", ""))
            return (getattr(torch, first) if first else func)(*args, **(kwargs or {}))

    return PlainNames()


@contextmanager
def _silent() -> Iterator[None]:
    """Let no library warn: a trace touches what nobody asked for."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _doubled(array: Array, axes: Mapping[int, str]) -> Array:
    """Return an array twice as long along each of some axes."""
    for axis in axes:
        array = np.concatenate([array, array], axis=axis)
    return array
