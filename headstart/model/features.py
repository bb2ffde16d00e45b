"""Runs a trunk over examples once: decoding beside the engine, results into the store."""

import itertools
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from types import TracebackType
from typing import Self

import numpy as np

from headstart.contracts import Array, Column, Example, Floats, Prepared, Rows, Task
from headstart.core.errors import BadExample, MachineError
from headstart.core.files import digest_bytes
from headstart.core.progress import progress
from headstart.core.records import Dropped
from headstart.core.store import Store
from headstart.core.table import Table
from headstart.model.fastest import Choice, fastest
from headstart.model.trunk import FrozenModel

log = logging.getLogger(__name__)

BATCH = 16
_WINDOW = 16
_SEGMENT_BYTES = 8 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoded:
    """One example read: its digest, and what the trunk takes, or why there is nothing.

    ``prepared`` is None without a reason where the store has the example already.
    """

    example: Example
    digest: bytes
    prepared: Prepared | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Features(Rows):
    """Rows of a table of the store, one per usable example, in the examples' order."""

    table: Table
    examples: Sequence[Example]
    digests: Sequence[bytes]
    rows_N: Array
    columns: Sequence[Column]
    dropped: Sequence[Dropped]
    noted: Sequence[tuple[str, str]]
    choice: Choice | None = None
    computed: int = 0

    def read(self, indices_n: Array, columns: Sequence[Column]) -> Floats:
        """Return features float32 [n, d] of some examples, the columns side by side."""
        first, last = columns[0].start, columns[-1].stop
        if sum(column.stop - column.start for column in columns) == last - first:
            return self.table.read(self.rows_N[indices_n], slice(first, last))
        wanted = np.concatenate([np.arange(column.start, column.stop) for column in columns])
        return self.table.read(self.rows_N[indices_n], wanted)


def decode_all(
    task: Task, examples: Iterable[Example], model: FrozenModel, known: Callable[[bytes], bool]
) -> Iterator[Decoded]:
    """Read and decode examples on threads, in order, a bounded number ahead of whoever consumes."""

    def decode(example: Example) -> Decoded:
        try:
            content = task.content(example)
            digest = bytes.fromhex(digest_bytes(content))
            if known(digest):
                return Decoded(example=example, digest=digest)
            prepared = task.prepare(example, content, model.pretrained)
        except BadExample as error:
            return Decoded(example=example, digest=b"", reason=str(error))
        return Decoded(example=example, digest=digest, prepared=prepared)

    workers = min(8, len(os.sched_getaffinity(0)) + 1)
    pending: deque[Future[Decoded]] = deque()
    upcoming = iter(examples)
    with ThreadPoolExecutor(workers) as pool:
        try:
            for example in itertools.islice(upcoming, 4 * BATCH):
                pending.append(pool.submit(decode, example))
            while pending:
                yield pending.popleft().result()
                for example in itertools.islice(upcoming, 1):
                    pending.append(pool.submit(decode, example))
        finally:
            for future in pending:
                future.cancel()


@dataclass
class _Runner:
    """Gathers decoded examples into batches; chooses the engine on the first one."""

    model: FrozenModel
    wanted: str | None
    say: Callable[[Choice], None]
    choice: Choice | None = None
    waiting: list[Decoded] = field(default_factory=list)

    def full(self) -> bool:
        """Say whether enough is waiting: a batch, or a window of batches where lengths differ."""
        if not self.waiting:
            return False
        varies = self.waiting[0].prepared is not None and self.waiting[0].prepared.length > 0
        return len(self.waiting) >= (BATCH * _WINDOW if varies else BATCH)

    def run(self) -> tuple[list[Decoded], Floats]:
        """Return what was waiting, in its order, with features; examples of like length share batches."""
        window, self.waiting = self.waiting, []
        prepared = [decoded.prepared for decoded in window if decoded.prepared is not None]
        order = sorted(range(len(prepared)), key=lambda place: prepared[place].length)
        parts = [
            self._batch([prepared[place] for place in order[s : s + BATCH]])
            for s in range(0, len(order), BATCH)
        ]
        sorted_ND = np.concatenate(parts)
        features_ND = np.empty_like(sorted_ND)
        features_ND[order] = sorted_ND
        return window, features_ND

    def _batch(self, prepared: Sequence[Prepared]) -> Floats:
        batch = {name: _stack([one.inputs[name] for one in prepared]) for name in prepared[0].inputs}
        if self.choice is None:
            self.choice = fastest(self.model.trunk(), batch, self.wanted)
            self.say(self.choice)
        return self.choice.run(batch)


def _stack(arrays: Sequence[Array]) -> Array:
    """Return arrays side by side on a new first axis, shorter ones padded with zeros at their end."""
    longest = max(len(array) for array in arrays)
    if all(len(array) == longest for array in arrays):
        return np.stack(arrays)
    stacked = np.zeros((len(arrays), longest, *arrays[0].shape[1:]), dtype=arrays[0].dtype)
    for row, array in zip(stacked, arrays, strict=True):
        row[: len(array)] = array
    return stacked


def stream(
    task: Task,
    examples: Iterable[Example],
    model: FrozenModel,
    engine: str | None,
    say: Callable[[Choice], None],
) -> Iterator[tuple[list[Decoded], Floats]]:
    """Yield batches of examples with their features [n, D]; unusable ones come alone, without rows."""
    runner = _Runner(model, engine, say)
    for decoded in decode_all(task, examples, model, lambda digest: False):
        if decoded.prepared is None:
            if runner.waiting:
                yield runner.run()
            yield [decoded], np.empty((0, 0), np.float32)
            continue
        runner.waiting.append(decoded)
        if runner.full():
            yield runner.run()
    if runner.waiting:
        yield runner.run()


def extract(
    task: Task,
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
    with progress(len(examples), label, task.unit) as advance:

        def chosen(choice: Choice) -> None:
            say(choice)
            advance(0)  # comparing engines is no extraction

        runner = _Runner(model, engine, chosen)

        def compute() -> None:
            window, features_ND = runner.run()
            writer.add(window, features_ND)
            advance(len(window))

        with writer:
            for decoded in decode_all(task, examples, model, writer.knows):
                # The list keeps the answer, not the input: memory stays flat.
                seen.append(replace(decoded, prepared=None))
                if decoded.prepared is None:
                    advance(1)
                    continue
                runner.waiting.append(decoded)
                if runner.full():
                    compute()
            if runner.waiting:
                compute()
    return _gathered(writer, seen, runner.choice)


class _Writer:
    """Puts computed rows into the store's table, a segment at a time; its lock serves the decoders."""

    def __init__(self, store: Store, model: FrozenModel) -> None:
        self.store, self.model = store, model
        self.table = store.table(model.key)
        self.lock = threading.Lock()
        self.computed = 0
        self.waiting: list[tuple[list[Decoded], Floats]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        """Keep what was computed, whatever happened; let go of the table if anything did."""
        failed = kind is not None
        try:
            self.flush()
        except BaseException:
            failed = True
            raise
        finally:
            if failed and self.table is not None:
                self.table.close()

    def knows(self, digest: bytes) -> bool:
        """Say whether the table holds an example's features."""
        if self.table is None:
            return False
        with self.lock:
            return bool(self.table.find([digest])[0] >= 0)

    def add(self, batch: list[Decoded], features_ND: Floats) -> None:
        """Take one batch; publish a segment when enough is waiting."""
        if not np.isfinite(features_ND).all():
            raise MachineError(
                f"{self.model.pretrained.base} gave features that are not finite for {batch[0].example.key} "
                "or one of the examples after it; its weights or its preprocessing do not fit."
            )
        self.waiting.append((batch, features_ND))
        if sum(part.nbytes for _, part in self.waiting) >= _SEGMENT_BYTES:
            self.flush()

    def flush(self) -> None:
        """Publish what is waiting as one segment."""
        if not self.waiting:
            return
        waiting, self.waiting = self.waiting, []
        batch = [decoded for part, _ in waiting for decoded in part]
        with self.lock:
            self.open().append(
                [decoded.digest for decoded in batch],
                np.concatenate([part for _, part in waiting]),
                [decoded.prepared.notes for decoded in batch if decoded.prepared is not None],
            )
        self.computed += len(batch)

    def open(self) -> Table:
        """Return the table, made if it is not there yet."""
        if self.table is None:
            laid = [(column.name, column.start, column.stop) for column in self.model.columns()]
            pretrained = self.model.pretrained
            about = {"base": pretrained.base, "preprocess": asdict(pretrained.preprocess)}
            self.table = self.store.create(self.model.key, laid, about)
        return self.table


def _gathered(writer: _Writer, seen: Sequence[Decoded], choice: Choice | None) -> Features:
    usable = [decoded for decoded in seen if not decoded.reason]
    table = writer.open()
    rows_N = table.find([decoded.digest for decoded in usable])
    for repair in table.repairs:
        log.warning("%s", repair)
    noted = [
        (what, decoded.example.key)
        for decoded, notes in zip(usable, table.notes(rows_N), strict=True)
        for what in notes
    ]
    return Features(
        table=table,
        examples=[decoded.example for decoded in usable],
        digests=[decoded.digest for decoded in usable],
        rows_N=rows_N,
        columns=[Column(*column) for column in table.columns],
        dropped=[Dropped(file=d.example.key, reason=d.reason) for d in seen if d.reason],
        noted=noted,
        choice=choice,
        computed=writer.computed,
    )
