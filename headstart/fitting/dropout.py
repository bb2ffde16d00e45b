"""Dropout that draws sixteen random bits a number, where torch draws a number of its own for each."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, empty, int16, int64
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_STEPS = 1 << 16


class DropoutOfWords(TorchFunctionMode):
    """While it is on, dropout on the processor draws four numbers' fates from one random word.

    Srivastava et al., "Dropout" (JMLR 2014): a number is 0 with probability q, else divided by 1 - q. q is p
    to the nearest of 2^-16, so that the mean is kept exactly. What is drawn is a function of torch's random
    state, as torch's own dropout is.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run ``func``, or the faster dropout in its place."""
        run = _dropout if func is functional.dropout else func
        return run(*args, **(kwargs or {}))


def _dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    zeros = round(p * _STEPS)
    if not training or input.device.type != "cpu" or not 0 < zeros < _STEPS or inplace:
        return functional.dropout(input, p, training, inplace)
    count = input.numel()
    words = empty(-(-count // 4), dtype=int64).random_(-(1 << 63), None)
    kept = words.view(int16)[:count].view(input.shape) >= zeros - _STEPS // 2
    return input * kept * (_STEPS / (_STEPS - zeros))
