"""Every input read once, on threads; what is kept of each is small, and what is alike is found among that."""

import itertools
from array import array
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from headstart.auditing.alike import Alike
from headstart.auditing.spill import Spill
from headstart.contracts import Array, Cluster, Contents, Example, Fingerprint, Likeness, Print, Task
from headstart.core.errors import BadExample
from headstart.core.files import short_digest
from headstart.core.progress import progress
from headstart.core.threads import cores
from headstart.maths.minhash import words

Read = tuple[Print | None, bytes, str]
"""An input's print, the digest of the text beside it, empty where that is short, and why there is none."""
_SLICE, _AHEAD = 16, 32
_LEAST_SIDE_WORDS = 6
"""Shorter texts beside inputs are often the same by chance: 'Yes', 'a Python library'."""


def read_all(
    task: Task, fingerprint: Fingerprint, examples: Sequence[Example], classes: frozenset[str]
) -> Contents:
    """Read all examples; memory grows by a few hundred bytes for each.

    Raises MachineError where the disk has no room for samples, about a kilobyte each.
    """
    gathered, sides = _Gathered(fingerprint), dict[bytes, list[int]]()
    unreadable: dict[int, str] = {}
    noted: dict[str, list[int]] = defaultdict(list)
    empty: dict[int, str] = {}
    sizes, named = array("q"), array("b")
    forms: list[str] = []
    known: dict[str, str] = {}
    try:
        for place, (one, side, reason) in enumerate(_read(task, fingerprint, examples, classes)):
            sizes.append(one.size if one else 0)
            named.append(one.named if one else 0)
            form = one.form if one else ""
            forms.append(known.setdefault(form, form))
            if one is None:
                unreadable[place] = reason
                continue
            gathered.add(place, one)
            if side:
                sides.setdefault(side, []).append(place)
            if one.empty:
                empty[place] = one.empty
            for what in one.notes:
                noted[what].append(place)
        return Contents(
            unreadable=unreadable,
            noted=noted,
            empty=empty,
            sizes_N=np.array(sizes),
            forms=forms,
            named_N=np.array(named),
            twins=gathered.twins(),
            near=gathered.near(),
            sides=[Cluster(tuple(places)) for places in sides.values() if len(places) > 1],
        )
    finally:
        gathered.spill.close()


def _read(
    task: Task, fingerprint: Fingerprint, examples: Sequence[Example], classes: frozenset[str]
) -> Iterator[Read]:
    """Yield what each example is like, in order, a bounded number read ahead."""

    def look(example: Example) -> Read:
        try:
            one = fingerprint.of(task, example, classes)
        except BadExample as error:
            return None, b"", str(error)
        return one, _side(example.target or ""), ""

    def look_all(some: Sequence[Example]) -> list[Read]:
        return [look(one) for one in some]

    # In slices: a thread's errand costs more than a short text takes to read.
    slices = (examples[start : start + _SLICE] for start in range(0, len(examples), _SLICE))
    pending: deque[Future[list[Read]]] = deque()
    with (
        ThreadPoolExecutor(min(8, cores() + 1)) as pool,
        progress(len(examples), "Reading the data", task.unit) as advance,
    ):
        try:
            while True:
                for few in itertools.islice(slices, _AHEAD - len(pending)):
                    pending.append(pool.submit(look_all, few))
                if not pending:
                    return
                found = pending.popleft().result()
                yield from found
                advance(len(found))
        finally:
            for future in pending:
                future.cancel()


def _side(text: str) -> bytes:
    """Return a digest of the text beside an input, none of one so short that it tells nothing."""
    return (
        short_digest(text.encode("utf-8", "surrogatepass")) if len(words(text)) >= _LEAST_SIDE_WORDS else b""
    )


class _Gathered:
    """Prints of many inputs: digests and hashes in memory, samples on disk."""

    def __init__(self, fingerprint: Fingerprint) -> None:
        self.fingerprint = fingerprint
        self.spill = Spill()
        self.places = array("q")
        self.digests: list[bytes] = []
        self.normals: list[bytes] = []
        self.hashes: list[Array] = []
        self._waiting: list[Array] = []

    def add(self, place: int, one: Print) -> None:
        """Take in one input."""
        self.places.append(place)
        self.digests.append(one.digest)
        self.normals.append(one.digest if one.empty else one.normal)
        self.spill.append(one.sample)
        self._waiting.append(one.hashes_H)
        if len(self._waiting) == 4_096:  # one array is smaller than thousands
            self.hashes.append(np.stack(self._waiting))
            self._waiting.clear()

    def twins(self) -> list[Cluster]:
        """Return which inputs are the same to the byte."""
        return [
            Cluster(tuple(self.places[item] for item in members))
            for members in _same(self.digests)
            if len(members) > 1
        ]

    def near(self) -> list[Cluster]:
        """Return which inputs are nearly alike, with what is the same as any of them."""
        if self._waiting:
            self.hashes.append(np.stack(self._waiting))
            self._waiting.clear()
        first_of = [members[0] for members in _same(self.digests)]
        alike = Alike(max(self.places, default=-1) + 1, self.twins())
        for members in _same([self.normals[item] for item in first_of]):
            for member in members[1:]:
                one, other = first_of[members[0]], first_of[member]
                alike.join(self.places[one], self.places[other], Likeness(1.0))
        if first_of:
            hashes_MH = np.concatenate(self.hashes)[first_of]
            for pairs in self.fingerprint.candidates(hashes_MH):
                for one, other in pairs:
                    self._join(first_of[one], first_of[other], alike)
        return alike.clusters()

    def _join(self, one: int, other: int, alike: Alike) -> None:
        if alike.know(self.places[one], self.places[other]):
            return
        samples = self.spill.read(one), self.spill.read(other)
        if all(samples) and (likeness := self.fingerprint.alike(*samples)):
            alike.join(self.places[one], self.places[other], likeness)


def _same(digests: Sequence[bytes]) -> list[list[int]]:
    """Return the places of each digest, in order of the first."""
    found: dict[bytes, list[int]] = {}
    for place, digest in enumerate(digests):
        found.setdefault(digest, []).append(place)
    return list(found.values())
