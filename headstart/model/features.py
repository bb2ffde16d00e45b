"""Runs a trunk over the units of examples once: decoding beside the engine, results into the store."""

import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from types import TracebackType
from typing import Self

import numpy as np

from headstart.contracts import Array, Column, Example, Floats, Prepared, Reading, Rows, Units
from headstart.core.errors import BadExample, MachineError
from headstart.core.files import digest_bytes
from headstart.core.progress import progress
from headstart.core.records import Dropped
from headstart.core.store import Store
from headstart.core.table import Table
from headstart.core.threads import cores
from headstart.model.batches import BATCH, WINDOW, Runner, Waiting
from headstart.model.fastest import Choice
from headstart.model.trunk import FrozenModel

log = logging.getLogger(__name__)

_SEGMENT_BYTES = 8 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """One row of features to be: its digest, and what the trunk takes; None where the store has it."""

    digest: bytes
    prepared: Prepared | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoded:
    """One example read: its units, or the reason why there are none, with what had to be done."""

    example: Example
    units: tuple[Unit, ...] = ()
    notes: tuple[str, ...] = ()
    reason: str = ""

    @property
    def digest(self) -> bytes:
        """Identify the content: its only unit's digest, else one of them all."""
        digests = [unit.digest for unit in self.units]
        return digests[0] if len(digests) == 1 else bytes.fromhex(digest_bytes(*digests))


@dataclass(frozen=True, kw_only=True)
class Features(Rows):
    """Rows of a table of the store, those of each usable example's units in the examples' order.

    ``rows_M`` are their numbers in the table.
    """

    reading: Reading
    table: Table
    examples: Sequence[Example]
    digests: Sequence[bytes]
    rows_M: Array
    starts_N1: Array
    columns: Sequence[Column]
    dropped: Sequence[Dropped]
    noted: Sequence[tuple[str, str]]
    choice: Choice | None = None
    computed: int = 0

    def read(self, places_m: Array, columns: Sequence[Column]) -> Floats:
        """Return features float32 [m, d] of some units, the columns side by side."""
        first, last = columns[0].start, columns[-1].stop
        if sum(column.stop - column.start for column in columns) == last - first:
            return self.table.read(self.rows_M[places_m], slice(first, last))
        wanted = np.concatenate([np.arange(column.start, column.stop) for column in columns])
        return self.table.read(self.rows_M[places_m], wanted)

    def places(self, indices_n: Array) -> Array:
        """Return the places [m] of the units of some examples."""
        if len(self.rows_M) == len(self.examples):
            return indices_n
        starts, stops = self.starts_N1[indices_n], self.starts_N1[np.asarray(indices_n) + 1]
        return np.concatenate([np.arange(a, b) for a, b in zip(starts, stops, strict=True)])

    def units(self, indices_n: Array) -> Units:
        """Return the units of some examples, found again: memory need not hold them all."""
        return [self.reading.parts(self.examples[index]).units for index in indices_n]


def decode_all(
    reading: Reading, examples: Iterable[Example], model: FrozenModel, known: Callable[[bytes], bool]
) -> Iterator[Decoded]:
    """Read and decode examples on threads, in order, a bounded number of units ahead of whoever consumes."""
    task = reading.task

    def prepare(part: Example) -> Unit:
        content = task.content(part)
        digest = bytes.fromhex(digest_bytes(content))
        prepared = None if known(digest) else task.prepare(part, content, model.pretrained)
        return Unit(digest=digest, prepared=prepared)

    def decode(example: Example) -> Decoded:
        try:
            parts = reading.parts(example)
            units = tuple(map(prepare, parts.units))
        except BadExample as error:
            return Decoded(example=example, reason=str(error))
        return Decoded(example=example, units=units, notes=parts.notes)

    workers = min(8, cores() + 1)
    pending: deque[Future[Decoded]] = deque()
    upcoming = iter(examples)
    with ThreadPoolExecutor(workers) as pool:
        try:
            ahead = workers
            while True:
                for example in itertools.islice(upcoming, max(ahead - len(pending), 0)):
                    pending.append(pool.submit(decode, example))
                if not pending:
                    break
                decoded = pending.popleft().result()
                if any(unit.prepared is not None and unit.prepared.length for unit in decoded.units):
                    ahead = WINDOW + 4 * BATCH  # the next window is ready when the engine is done with one
                else:
                    # Of examples with many units, such as tiles, fewer are decoded ahead: memory stays flat.
                    ahead = max(workers, 4 * BATCH // max(len(decoded.units), 1))
                yield decoded
        finally:
            for future in pending:
                future.cancel()


def stream(
    reading: Reading,
    examples: Iterable[Example],
    model: FrozenModel,
    engine: str | None,
    say: Callable[[Choice], None],
) -> Iterator[tuple[list[Decoded], Floats, Array]]:
    """Yield batches of n examples, their rows of features [m, D], and how many each has [n].

    Unusable ones come alone, without rows.
    """
    runner = Runner(model, engine, say)
    batch: list[Decoded] = []
    for decoded in decode_all(reading, examples, model, lambda digest: False):
        if decoded.reason:
            if batch:
                yield _ran(runner, batch)
                batch = []
            yield [decoded], np.empty((0, 0), np.float32), np.zeros(1, np.int64)
            continue
        batch.append(decoded)
        key = decoded.example.key
        runner.waiting += [Waiting(unit.prepared, key) for unit in decoded.units if unit.prepared is not None]
        if runner.full():
            yield _ran(runner, batch)
            batch = []
    if batch:
        yield _ran(runner, batch)


def _ran(runner: Runner, batch: list[Decoded]) -> tuple[list[Decoded], Floats, Array]:
    rows = runner.run()
    stops = np.cumsum([0, *map(len, rows)])[np.cumsum([0, *(len(decoded.units) for decoded in batch)])]
    return batch, np.concatenate(rows), np.diff(stops)


def extract(
    reading: Reading,
    examples: Sequence[Example],
    model: FrozenModel,
    store: Store,
    engine: str | None = None,
    say: Callable[[Choice], None] = lambda choice: None,
) -> Features:
    """Return the examples' features, running the trunk only on those the store lacks.

    What was computed before an interruption is kept.
    """
    writer = _Writer(store, model)
    seen: list[Decoded] = []
    label = f"Features of {model.pretrained.base}"
    with progress(len(examples), label, reading.task.unit) as advance:

        def chosen(choice: Choice) -> None:
            say(choice)
            advance(0)  # comparing engines is no extraction

        runner = Runner(model, engine, chosen)

        begun = 0  # examples with units that are waiting

        def compute() -> None:
            nonlocal begun
            writer.add(runner.run())
            advance(begun)
            begun = 0

        with writer:
            for decoded in decode_all(reading, examples, model, writer.knows):
                # The list keeps the answer, not the input: memory stays flat.
                seen.append(replace(decoded, units=tuple(replace(u, prepared=None) for u in decoded.units)))
                wanted = writer.wanted(decoded)
                if not wanted:
                    advance(1)
                    continue
                runner.waiting += wanted
                begun += 1
                if runner.full():
                    compute()
            if runner.waiting:
                compute()
    return _gathered(reading, writer, seen, runner.choice)


class _Writer:
    """Puts computed rows into the store's table, a segment at a time; its lock serves the decoders."""

    def __init__(self, store: Store, model: FrozenModel) -> None:
        self.store, self.model = store, model
        self.table = store.table(model.key)
        self.lock = threading.Lock()
        self.computed = 0
        self.running: list[tuple[bytes, tuple[str, ...], str]] = []
        self.waiting: list[Floats] = []
        self.begun: set[bytes] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        """Keep what was computed, whatever happened; let go of the table if anything did."""
        with ExitStack() as closing:
            closing.callback(self._let_go)
            self.flush()
            if kind is None:
                closing.pop_all()

    def _let_go(self) -> None:
        if self.table is not None:
            self.table.close()

    def knows(self, digest: bytes) -> bool:
        """Say whether the table holds an example's features."""
        if self.table is None:
            return False
        with self.lock:
            return bool(self.table.find([digest])[0] >= 0)

    def wanted(self, decoded: Decoded) -> list[Waiting]:
        """Return what is to be computed of an example's units: what was begun already is not begun again."""
        found = []
        for unit in decoded.units:
            if unit.prepared is not None and unit.digest not in self.begun:
                self.begun.add(unit.digest)
                self.running.append((unit.digest, unit.prepared.notes, decoded.example.key))
                found.append(Waiting(unit.prepared, decoded.example.key))
        return found

    def add(self, features: Sequence[Floats]) -> None:
        """Take the rows [r, D] of each unit wanted since; publish a segment when enough is waiting."""
        for rows_RD, (_, _, key) in zip(features, self.running[-len(features) :], strict=True):
            if not np.isfinite(rows_RD).all():
                raise MachineError(
                    f"{self.model.pretrained.base} gave features that are not finite for "
                    f"{key}; its weights or its preprocessing do not fit."
                )
        self.waiting += features
        if sum(part.nbytes for part in self.waiting) >= _SEGMENT_BYTES:
            self.flush()

    def flush(self) -> None:
        """Publish what is waiting as one segment: all rows of a unit, or none."""
        if not self.waiting:
            return
        features, self.waiting = self.waiting, []
        done, self.running = self.running[: len(features)], self.running[len(features) :]
        digests, notes = list[bytes](), list[tuple[str, ...]]()
        for rows_RD, (digest, told, _) in zip(features, done, strict=True):
            digests += row_digests(digest, len(rows_RD))
            notes += [told, *[()] * (len(rows_RD) - 1)]
        with self.lock:
            self.open().append(digests, np.concatenate(features), notes)
        self.begun.difference_update(digest for digest, _, _ in done)
        self.computed += len(done)

    def open(self) -> Table:
        """Return the table, made if it is not there yet."""
        if self.table is None:
            laid = [(column.name, column.start, column.stop) for column in self.model.columns()]
            pretrained = self.model.pretrained
            about = {"base": pretrained.base, "preprocess": asdict(pretrained.preprocess)}
            self.table = self.store.create(self.model.key, laid, about)
        return self.table


def row_digests(digest: bytes, count: int) -> list[bytes]:
    """Return the digests that a unit's rows are kept under: its own for the first one."""
    numbered = (bytes.fromhex(digest_bytes(digest, number.to_bytes(4, "big"))) for number in range(1, count))
    return [digest, *numbered]


def _rows(table: Table, model: FrozenModel, digests: Sequence[bytes]) -> tuple[Array, Array]:
    """Return the numbers of all rows [M] of some units, and how many rows each unit has."""
    first_N = table.find(digests)
    told = model.modality.rows_column([Column(*column) for column in table.columns])
    if told is None:
        return first_N, np.ones(len(first_N), dtype=np.int64)
    counts_N = table.read(first_N, slice(told.start, told.stop))[:, 0].astype(np.int64)
    every = [one for pair in zip(digests, counts_N, strict=True) for one in row_digests(*pair)]
    return table.find(every), counts_N


def _gathered(reading: Reading, writer: _Writer, seen: Sequence[Decoded], choice: Choice | None) -> Features:
    usable = [decoded for decoded in seen if not decoded.reason]
    table = writer.open()
    digests = [unit.digest for decoded in usable for unit in decoded.units]
    rows_M, counts_U = _rows(table, writer.model, digests)
    for repair in table.repairs:
        log.warning("%s", repair)
    row_starts = np.cumsum([0, *counts_U])
    starts_N1 = row_starts[np.cumsum([0, *(len(decoded.units) for decoded in usable)])]
    notes_M = table.notes(rows_M)
    noted = [
        (what, decoded.example.key)
        for decoded, start, stop in zip(usable, starts_N1, starts_N1[1:], strict=False)
        for what in dict.fromkeys(itertools.chain(decoded.notes, *notes_M[start:stop]))
    ]
    return Features(
        reading=reading,
        table=table,
        examples=[decoded.example for decoded in usable],
        digests=[decoded.digest for decoded in usable],
        rows_M=rows_M,
        starts_N1=starts_N1,
        columns=[Column(*column) for column in table.columns],
        dropped=[Dropped(file=d.example.key, reason=d.reason) for d in seen if d.reason],
        noted=noted,
        choice=choice,
        computed=writer.computed,
    )
