"""Any ``torch.nn.Module`` that takes pictures, cut into blocks by watching it run once.

Nothing is asked of the module. What it is made of is gone through from the outside in: containers are opened,
what they hold are parts, and so many parts are opened in turn as it takes to have a few. A block begins with
each part that has a kernel (a weight of two axes or more) and goes on as far as the next one: its norms and
activations are its own, those that are no modules too, for its output is what the next part takes.

Shape letters: N pictures, C channels, H W a map's sides, T tokens.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, final

from headstart.core.frameworks import prepare_torch
from headstart.model.picture_network import PictureNetwork, as_map

if TYPE_CHECKING:
    from torch import Tensor, nn

_FEW = 4


def any_network(base: str, module: "nn.Module", size: int) -> PictureNetwork:
    """Return a module of normalised pixels [N, 3, H, W] as a network.

    Raises UserError where it cannot be run at ``size`` px or has no maps.
    """
    return PictureNetwork(base, module, _Cut(), size)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a block's output passes: the ``call``-th call of a part, what it takes or what it gives."""

    block: str
    part: str
    call: int
    taken: bool


@dataclass(slots=True)
class _Call:
    """A call of a part: what it took first, and what it gave, where those are tensors."""

    part: str
    number: int
    kernel: bool
    took: Any
    gave: Any = None


@final
@dataclass(slots=True)
class _Cut:
    """Runs a module and gives its blocks' outputs, at places that the first run has shown."""

    places: Sequence[_Place] = field(default_factory=tuple)

    def __call__(self, module: Any, pixels_NCHW: "Tensor") -> "list[tuple[str, Tensor]]":
        """Return every block's name and output, in order."""
        if not self.places:
            self.places = _places(module, pixels_NCHW)
        calls = _watched(module, sorted({one.part for one in self.places}), pixels_NCHW)
        known = {(one.part, one.number): one for one in calls}
        found = []
        for place in self.places:
            call = known[place.part, place.call]
            output = _seen(call.took if place.taken else call.gave)
            if output is not None:
                found.append((place.block, output))
        return found


def _places(module: Any, pixels_NCHW: "Tensor") -> list[_Place]:
    """Return where the blocks' outputs pass, opening parts from the largest on until there are a few."""
    parts = _parts(module, "")
    while True:
        found = _cut(_watched(module, parts, pixels_NCHW))
        closed = [part for part in parts if _parts(module.get_submodule(part), part)]
        if len(found) >= _FEW or not closed:
            return found
        largest = max(closed, key=lambda part: _size(module.get_submodule(part)))
        place = parts.index(largest)
        parts[place : place + 1] = _parts(module.get_submodule(largest), largest)


def _parts(module: Any, path: str) -> list[str]:
    """Return what a module holds, what lies in plain containers one by one, by path."""
    from torch import nn

    found = []
    for name, child in module.named_children():
        place = f"{path}.{name}".strip(".")
        container = type(child) in (nn.Sequential, nn.ModuleList, nn.ModuleDict)
        found += _parts(child, place) if container else [place]
    return found


def _cut(calls: "Sequence[_Call]") -> list[_Place]:
    """Return the places of the blocks' outputs among a run's calls; what tells classes is left out."""
    starts = [index for index, one in enumerate(calls) if one.kernel]
    ends = [*starts[1:], len(calls)][: len(starts)]
    known: set[int] = set()
    found: list[_Place] = []
    for start, end in zip(starts, ends, strict=True):
        block = calls[start]
        inside = [one for one in calls[start:end] if _goes_on(block.gave, one.gave)]
        after = calls[end] if end < len(calls) else None
        known.add(id(block.took))
        if not inside or (after is None and found and inside[-1].gave.ndim == 2):
            continue
        last = inside[-1]
        name = block.part if block.number == 0 else f"{block.part}#{block.number}"
        if after is not None and id(after.took) not in known and _goes_on(last.gave, after.took):
            found.append(_Place(name, after.part, after.number, taken=True))
        else:
            found.append(_Place(name, last.part, last.number, taken=False))
        if after is not None and _sums_up(last.gave, after.took):
            found.append(_Place(f"{after.part}.input", after.part, after.number, taken=True))
    return found


def _goes_on(gave: Any, took: Any) -> bool:
    """Say whether a tensor may be what a part gave after an activation or a pooling; not of the whole map."""
    one, other = _seen(gave), _seen(took)
    if one is None or other is None or took.ndim != gave.ndim or one.shape[1] != other.shape[1]:
        return False
    return one.ndim == 2 or min(2, one.shape[-1]) <= other.shape[-1] <= one.shape[-1]


def _sums_up(gave: Any, took: Any) -> bool:
    """Say whether what a part took is a vector made of a map, and not the map laid flat."""
    return took is not None and took.ndim == 2 < gave.ndim and took.numel() < gave.numel()


def _seen(x: Any) -> "Tensor | None":
    """Return a part's output as a map [N, C, H, W] or a vector [N, C]; None where it is neither."""
    if x is None or x.ndim == 2:
        return x  # type: ignore[no-any-return]
    return as_map(x, math.isqrt(x.shape[1]) if x.ndim == 3 else x.shape[2]) if x.ndim in (3, 4) else None


def _watched(module: Any, parts: Sequence[str], pixels_NCHW: "Tensor") -> list[_Call]:
    """Run a module and return the calls of some of its parts, in order."""
    calls: list[_Call] = []
    with _hooked(module, parts, calls):
        module(pixels_NCHW)
    return calls


@contextmanager
def _hooked(module: Any, parts: Sequence[str], calls: list[_Call]) -> Iterator[None]:
    """Note every call of some parts while the block lasts; tensors are kept, so that none is another's."""
    opened: list[_Call] = []

    def before(part: str, kernel: bool, taken: tuple[Any, ...]) -> None:
        number = sum(one.part == part for one in calls)
        calls.append(_Call(part, number, kernel, _tensor(taken)))
        opened.append(calls[-1])

    def after(given: Any) -> None:
        opened.pop().gave = _tensor(given)

    hooks = []
    for part in parts:
        inner = module.get_submodule(part)
        kernel = any(one.ndim > 1 for one in inner.parameters())
        note = partial(before, part, kernel)
        hooks.append(inner.register_forward_pre_hook(lambda _, taken, note=note: note(taken)))
        hooks.append(inner.register_forward_hook(lambda _, __, given: after(given)))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _tensor(x: Any) -> Any:
    """Return a tensor, or the first of several values where that is one."""
    first = x[0] if isinstance(x, tuple | list) and x else x
    return first if prepare_torch().is_tensor(first) else None


def _size(module: Any) -> int:
    return sum(one.numel() for one in module.parameters())
