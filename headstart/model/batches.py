"""Batches for an engine: units of like length together, fewer of them where memory is short."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from headstart.contracts import Array, Compiled, Floats, Prepared
from headstart.core.errors import MachineError
from headstart.core.memory import OutOfMemory, memory_watched
from headstart.model.fastest import Choice, fastest
from headstart.model.trunk import FrozenModel

log = logging.getLogger(__name__)

BATCH = 16
"""Units of one size a batch."""
WINDOW = 256
"""Units of different lengths that are put in order together."""
_TOKENS, _MOST = 2_048, 64


@dataclass(frozen=True, slots=True)
class Waiting:
    """A unit that is to be run, and the name of the example it is of."""

    prepared: Prepared
    key: str


@dataclass
class Runner:
    """Gathers units into batches; chooses the engine on the first one.

    Units of different lengths share batches of ``_TOKENS`` tokens, the padding included. ``share`` is what
    of a batch fits into memory.
    """

    model: FrozenModel
    wanted: str | None
    say: Callable[[Choice], None]
    choice: Choice | None = None
    compiled: Compiled | None = None
    share: float = 1.0
    waiting: list[Waiting] = field(default_factory=list)

    def full(self) -> bool:
        """Say whether enough is waiting: a batch, or a window of batches where lengths differ."""
        if not self.waiting:
            return False
        return len(self.waiting) >= (WINDOW if self.waiting[0].prepared.length else BATCH)

    def run(self) -> list[Floats]:
        """Return each waiting unit's rows of features, in order.

        Raises MachineError, naming its example, where one alone does not fit into memory.
        """
        units, self.waiting = self.waiting, []
        order = sorted(range(len(units)), key=lambda place: units[place].prepared.length)
        batches = list(_cut(order, [units[place].prepared.length for place in order]))
        if self.choice is None:  # engines are compared on a batch as most are
            batches = [*batches[len(batches) // 2 :], *batches[: len(batches) // 2]]
        found: dict[int, Floats] = {}
        for places in batches:
            found |= zip(places, self._rows([units[place] for place in places]), strict=True)
        return [found[place] for place in range(len(units))]

    def _rows(self, units: Sequence[Waiting]) -> list[Floats]:
        """Return the rows of a batch, run in pieces where memory is short."""
        step = max(1, int(len(units) * self.share))
        rows: list[Floats] = []
        while len(rows) < len(units):
            piece = units[len(rows) : len(rows) + step]
            found = self._tried(piece)
            if found is not None:
                rows += found
                continue
            if len(piece) == 1:
                raise MachineError(_too_large(piece[0]))
            step = len(piece) // 2
            self.share = min(self.share, step / len(units))
            log.warning("out of memory on %d at once: %d from here on", len(piece), step)
        return rows

    def _tried(self, units: Sequence[Waiting]) -> list[Floats] | None:
        """Return the rows of a batch, None where memory is short; then nothing of it is held any more."""
        try:
            with memory_watched():
                return self._batch([unit.prepared for unit in units])
        except OutOfMemory:
            return None

    def _batch(self, prepared: Sequence[Prepared]) -> list[Floats]:
        batch = {name: stacked([one.inputs[name] for one in prepared]) for name in prepared[0].inputs}
        if self.compiled is None:
            self.choice, self.compiled = fastest(self.model.trunk(), batch, self.wanted)
            self.say(self.choice)
        return self.model.modality.rows(self.compiled(batch), [one.inputs for one in prepared])


def _cut(order: Sequence[int], lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield batches of units in order of length: as many as the budget allows, padded to the longest."""
    batch: list[int] = []
    for place, length in zip(order, lengths, strict=True):
        most = min(_MOST, max(1, _TOKENS // length)) if length else BATCH
        if len(batch) >= most:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _too_large(unit: Waiting) -> str:
    sizes = ", ".join(
        f"{name} of {' x '.join(map(str, array.shape))}" for name, array in unit.prepared.inputs.items()
    )
    return (
        f"{unit.key} alone does not fit into memory ({sizes}); close other programs, choose a smaller "
        "--base, or give a smaller --max-length or --image-size."
    )


def stacked(arrays: Sequence[Array]) -> Array:
    """Return arrays side by side on a new first axis, shorter ones padded with zeros at their end."""
    longest = max(len(array) for array in arrays)
    if all(len(array) == longest for array in arrays):
        return np.stack(arrays)
    padded = np.zeros((len(arrays), longest, *arrays[0].shape[1:]), dtype=arrays[0].dtype)
    for row, array in zip(padded, arrays, strict=True):
        row[: len(array)] = array
    return padded
