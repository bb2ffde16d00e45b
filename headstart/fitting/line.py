"""What crosses the freeze line, computed once: the output of the last block that stays as it is.

While the blocks above train, those below are left out: the block at the line gives what was kept, and the
ones before it hand on what they get. Whether that gives the same is tried on a sample first; where it does
not, or the disk has no room, everything runs anew at each step.
"""

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from headstart.contracts import Array
from headstart.core.frameworks import prepare_torch
from headstart.core.progress import progress
from headstart.fitting.blocks import Block
from headstart.model.batches import stacked

if TYPE_CHECKING:
    from torch import Tensor, nn

log = logging.getLogger(__name__)

_AT_ONCE = 16
_SHARE_OF_DISK = 0.5
_KEPT = "kept"


@dataclass
class Line:
    """A cut trunk, and a file without a name with what was kept of each example."""

    trunk: Any
    blocks: Sequence[Block]
    last: "nn.Module"
    file: IO[bytes]
    at: "Tensor | None" = None
    places: dict[int, list[tuple[str, int, tuple[int, ...], Any]]] = field(default_factory=dict, repr=False)

    def close(self) -> None:
        """Let go of the file."""
        self.file.close()

    def through(self, places_n: Array) -> "tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]":
        """Return some examples' inputs, the outputs of the blocks above the line, and all taps' features."""
        torch = prepare_torch()
        found = [self._read(int(place)) for place in places_n]
        batch = {name: torch.from_numpy(stacked([one[name] for one in found])) for name in found[0]}
        self.at = batch.pop(_KEPT)
        inputs = {name.partition(".")[2]: one for name, one in batch.items() if name.startswith("input.")}
        kept = {name.partition(".")[2]: one for name, one in batch.items() if name.startswith("tap.")}
        with self._cut():
            outputs = self.trunk.outputs(*inputs.values())
        parts = self.trunk.pooled(outputs, *inputs.values())
        taps = {tap.name: part for tap, part in zip(self.trunk.taps, parts, strict=True)}
        names = list(outputs)
        above = names[names.index(self.blocks[-1].name) + 1 :]
        return inputs, {name: outputs[name] for name in above}, {**taps, **kept}

    @contextmanager
    def _cut(self) -> Iterator[None]:
        """Leave out the blocks below the line, but the first one, whose output tells others how to go on."""
        between = [block.module for block in self.blocks[1:-1] if block.module is not None]
        for module in between:
            module.forward = lambda x, *_, **__: x
        self.last.forward = lambda *_, **__: self.at
        try:
            yield
        finally:
            for module in (*between, self.last):
                del module.forward  # the class's own shows again

    def keep(self, place: int, arrays: Mapping[str, Array]) -> None:
        """Keep what belongs to an example."""
        self.places[place] = []
        for name, array in arrays.items():
            self.places[place].append((name, self.file.tell(), array.shape, array.dtype))
            self.file.write(np.ascontiguousarray(array).tobytes())

    def _read(self, place: int) -> dict[str, Array]:
        found = {}
        for name, start, shape, dtype in self.places[place]:
            self.file.seek(start)
            size = int(np.prod(shape)) * dtype.itemsize
            found[name] = np.frombuffer(self.file.read(size), dtype).reshape(shape)
        return found


Read = Callable[[Array], "dict[str, Tensor]"]


def drawn(trunk: Any, below: Sequence[Block], places_n: Array, read: Read, lengths_n: Array) -> Line | None:
    """Return the line above some blocks, with what crosses it for some examples; None where it can't be cut.

    ``read`` gives a batch of inputs, zeros at the end of those that are shorter than ``lengths_n`` says.
    """
    module = below[-1].module if below else None
    if module is None:
        return None
    line = Line(trunk, below, module, tempfile.TemporaryFile())  # noqa: SIM115 - it lives as long as the line
    with progress(len(places_n), "Computing what crosses the freeze line", "examples") as advance:
        for start in range(0, len(places_n), _AT_ONCE):
            part_n, part_lengths = places_n[start : start + _AT_ONCE], lengths_n[start : start + _AT_ONCE]
            held = _crossing(trunk, (module, below[-1].name), read(part_n))
            if held is None:
                line.close()
                return None
            for index, place in enumerate(part_n):
                real = slice(int(part_lengths[index]) or None)
                vectors = {name: one[index] for name, one in held.items() if name.startswith("tap.")}
                others = {name: one[index][real] for name, one in held.items() if name not in vectors}
                line.keep(int(place), {**others, **vectors})
            if start == 0 and not (_same(line, part_n, read) and _fits(line, len(places_n) / len(part_n))):
                line.close()
                return None
            advance(len(part_n))
    return line


def _crossing(
    trunk: Any, last: "tuple[nn.Module, str]", inputs: "dict[str, Tensor]"
) -> dict[str, Array] | None:
    """Return inputs, the output at the line and the taps below it, by name; None where it is no tensor."""
    torch = prepare_torch()
    given: list[Any] = []
    module, name = last
    hook = module.register_forward_hook(lambda _, __, output: given.append(output))
    with torch.no_grad():
        outputs = trunk.outputs(*inputs.values())
        parts = trunk.pooled(outputs, *inputs.values())
    hook.remove()
    if len(given) != 1 or not isinstance(given[0], torch.Tensor):
        return None
    names = list(outputs)
    under = {"", *names[: names.index(name) + 1]}
    tapped = zip(trunk.taps, parts, strict=True)
    taps = {f"tap.{tap.name}": part for tap, part in tapped if tap.block in under}
    tensors = {**{f"input.{key}": one for key, one in inputs.items()}, _KEPT: given[0], **taps}
    return {key: one.numpy() for key, one in tensors.items()}


def _same(line: Line, places_n: Array, read: Read) -> bool:
    """Say whether the taps give what they give when everything runs."""
    torch = prepare_torch()
    with torch.no_grad():
        try:
            _, _, taps = line.through(places_n)
        except (RuntimeError, ValueError, TypeError, IndexError, AttributeError):
            return False
        parts = line.trunk.parts(*read(places_n).values())
    pairs = ((taps[tap.name], part) for tap, part in zip(line.trunk.taps, parts, strict=True))
    return all(torch.allclose(one, other, rtol=1e-4, atol=1e-5) for one, other in pairs)


def _fits(line: Line, times: float) -> bool:
    needed = line.file.tell() * times
    room = shutil.disk_usage(tempfile.gettempdir()).free * _SHARE_OF_DISK
    if needed > room:
        log.info("what crosses the freeze line would take %.1f GB: it is computed at each step", needed / 1e9)
    return needed <= room
