"""Batch normalisation whose statistics are frozen, folded into the convolution below it as that runs.

With a fixed mean m and variance v it is an affine map, so that

    BN(W * x + b) = (s W) * x + s (b - m) + beta,    s = gamma / sqrt(v + eps)

(Jacob et al., arXiv 1712.05877, eq. 14). W, gamma and beta get the gradients they would get, through the
products. What lies between the two is never made: half of what a convolutional network keeps.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from torch import nn

_CLOSE, _NEAR = 1e-3, 1e-4


@dataclass(frozen=True, slots=True)
class _Convolution:
    """A call of ``conv2d``, by its own names."""

    input: Tensor
    weight: Tensor
    bias: Tensor | None = None
    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1
    groups: int = 1


@dataclass(frozen=True, slots=True)
class _Norm:
    """A call of ``batch_norm``, by its own names."""

    input: Tensor
    running_mean: Any  # a tensor, or None where there are no statistics but the batch's
    running_var: Any
    weight: Tensor | None = None
    bias: Tensor | None = None
    training: bool = False
    momentum: float = 0.1
    eps: float = 1e-5


class Folded(TorchFunctionMode):
    """While it is on, convolutions do what the batch normalisation above them does, which then does nothing.

    ``norms`` are calls of it by the identity of the weight below; no statistics may be gathered meanwhile.
    """

    def __init__(self, norms: Mapping[int, _Norm]) -> None:
        super().__init__()
        self.norms, self.done = norms, {id(one.running_mean) for one in norms.values()}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run ``func``, or what it is when folded."""
        if (
            func is functional.batch_norm
            and id((norm := _Norm(*args, **kwargs or {})).running_mean) in self.done
        ):
            return norm.input
        if func is functional.conv2d:
            call = _Convolution(*args, **kwargs or {})
            if id(call.weight) in self.norms:
                return _run(call, self.norms[id(call.weight)])
        return func(*args, **(kwargs or {}))


def fold(trunk: "nn.Module", inputs: Mapping[str, Tensor]) -> Folded | None:
    """Return the mode for a trunk, found by running it once; None where nothing can be folded.

    A convolution can be whose output goes to batch normalisation and nowhere else.
    """
    run: Any = trunk.outputs
    with torch.no_grad():
        with _Watched() as watched:
            expected = run(*inputs.values())
        mode = Folded(watched.norms(expected.values()))
        if not mode.norms:
            return None
        with mode:
            found = run(*inputs.values())
    pairs = zip(found.values(), expected.values(), strict=True)
    same = all(torch.allclose(one, other, _CLOSE, _NEAR * float(other.abs().max())) for one, other in pairs)
    return mode if same else None


class _Watched(TorchFunctionMode):
    """While it is on, notes which convolution's output goes where."""

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[
            int, tuple[Tensor, Tensor]
        ] = {}  # outputs, with weights; held, so that ids stay theirs
        self.taken: list[_Norm] = []
        self.elsewhere: set[int] = set()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run ``func``; note what it takes and gives."""
        given = func(*args, **(kwargs or {}))
        if func is functional.batch_norm:
            self.taken.append(_Norm(*args, **kwargs or {}))
        elif any(True for _ in _tensors(given)):
            self.elsewhere |= {id(one) for one in _tensors([args, kwargs or {}])} & self.made.keys()
        if func is functional.conv2d:
            self.made[id(given)] = given, _Convolution(*args, **kwargs or {}).weight
        return given

    def norms(self, outputs: "Any") -> dict[int, _Norm]:
        """Return what can be folded by the identity of the weight; ``outputs`` are what is asked for."""
        elsewhere = self.elsewhere | {id(one) for one in outputs}
        weights = Counter(id(weight) for _, weight in self.made.values())
        uses = Counter(id(one) for norm in self.taken for one in (norm.input, norm.running_mean))
        found = {}
        for norm in self.taken:
            if norm.training or norm.running_mean is None or id(norm.input) not in self.made:
                continue
            output, weight = self.made[id(norm.input)]
            once = uses[id(output)] == uses[id(norm.running_mean)] == weights[id(weight)] == 1
            if once and id(output) not in elsewhere:
                found[id(weight)] = replace(norm, input=weight)  # lets go of what it saw
        return found


def _run(call: _Convolution, norm: _Norm) -> Tensor:
    scale_C = (norm.running_var + norm.eps).rsqrt()
    scale_C = scale_C if norm.weight is None else scale_C * norm.weight
    moved_C = -norm.running_mean if call.bias is None else call.bias - norm.running_mean
    shift_C = moved_C * scale_C if norm.bias is None else moved_C * scale_C + norm.bias
    weight = call.weight * scale_C[:, None, None, None]
    return functional.conv2d(
        call.input, weight, shift_C, call.stride, call.padding, call.dilation, call.groups
    )


def _tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in a value, however deep."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _tensors(one)
