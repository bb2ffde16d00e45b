"""What an audit looks at, and what a check of it is.

Shape letters: N examples, H hashes an example.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from headstart.contracts.data import Array, Example, Listing
from headstart.contracts.learning import Task
from headstart.core.errors import BadExample
from headstart.core.records import Finding

AGAINST = "against"
"""The role of what is no data of the user's, but a corpus to compare them with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Print:
    """What is kept of one input: a few hundred bytes, however large it is.

    ``digest`` is that of its bytes; ``normal`` one of its content without what does not matter (how it is
    compressed, letter case, punctuation). Of inputs that are nearly alike some of ``hashes_H`` agree, and
    ``sample`` tells how alike they are. ``size`` is how long it is in words, or its shorter side in pixels;
    ``form`` names its format and shape. ``empty`` says that nothing is in it. ``named`` is 1 where of all
    classes it names its own alone, -1 where it names others, else 0. ``notes`` say what is odd about it.
    """

    digest: bytes
    normal: bytes
    hashes_H: Array
    sample: bytes
    size: int
    form: str
    empty: str = ""
    named: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike two inputs are, from 0 to 1, and what the one is to the other where that is no plain copy.

    ``how`` reads the same both ways: "a mirror image of".
    """

    value: float
    how: str = ""


class Fingerprint(ABC):
    """How inputs of one kind (``Task.takes``) are told from each other, without any model."""

    name: ClassVar[str]

    @abstractmethod
    def of(self, task: Task, example: Example, classes: frozenset[str]) -> Print:
        """Read an input. Raises BadExample with the reason."""

    @abstractmethod
    def candidates(self, hashes_NH: Array) -> Iterator[Array]:
        """Yield pairs [m, 2] of places that may be nearly alike; in less than quadratic time."""

    @abstractmethod
    def alike(self, one: bytes, other: bytes) -> Likeness | None:
        """Return how alike two samples are; None where they are not nearly the same."""

    @abstractmethod
    def closely(self, task: Task, one: Example, other: Example) -> Likeness | None:
        """Read two inputs anew that a model finds alike, and compare what no sample keeps.

        Returns None where they are not nearly the same. Raises BadExample.
        """

    @abstractmethod
    def show(self, task: Task, examples: Sequence[Example]) -> Mapping[str, str]:
        """Return inputs side by side: an ``image`` as a data URI, or a ``text``; empty if they are gone."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Inputs that are alike, by their places; ``likeness`` is the least that joined any two of them.

    ``told`` are pairs of them with what the one is to the other, where that is no plain copy.
    """

    places: tuple[int, ...]
    likeness: float = 1.0
    told: tuple[tuple[int, str, int], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What reading every input once has shown.

    ``unreadable`` are places with reasons, ``noted`` places by what is odd there. ``twins`` are the same
    bytes; ``near`` nearly the same input; ``sides`` the same text beside different inputs.
    """

    unreadable: Mapping[int, str]
    noted: Mapping[str, Sequence[int]]
    empty: Mapping[int, str]
    sizes_N: Array
    forms: Sequence[str]
    named_N: Array
    twins: Sequence[Cluster]
    near: Sequence[Cluster]
    sides: Sequence[Cluster] = ()


@dataclass(frozen=True, slots=True)
class Suspect:
    """A label that is probably wrong: whose, and what it is probably instead, with what probability."""

    place: int
    label: str
    given: float
    likely: float


@dataclass(frozen=True, kw_only=True)
class Survey:
    """All that checks look at: examples [N] with their roles, and what reading them has shown.

    ``roles`` are splits, or ``AGAINST``. ``cells`` yields an example's place with the cells of its row by
    column, where the data are tables; each call begins anew. ``contents`` is None where nothing was read
    (see ``read``), ``suspects`` where no model was asked.
    """

    task: Task
    listing: Listing
    examples: Sequence[Example]
    roles: Sequence[str]
    cells: Callable[[], Iterator[tuple[int, Mapping[str, str]]]]
    contents: Contents | None = None
    suspects: Sequence[Suspect] | None = None

    @property
    def read(self) -> Contents:
        """Return what reading has shown. Raises ValueError where nothing was read."""
        if self.contents is None:
            raise ValueError("a survey without contents: only names are known")
        return self.contents

    def own(self, places: Iterable[int] | None = None) -> list[int]:
        """Return the places, of these or of all, of what is the user's data."""
        chosen = range(len(self.roles)) if places is None else places
        return [place for place in chosen if self.roles[place] != AGAINST]

    def answer(self, place: int) -> bytes:
        """Return bytes that differ where what is right differs; none where that cannot be read."""
        try:
            return self.examples[place].target_bytes()
        except BadExample:
            return b""

    def key(self, place: int) -> str:
        """Return the name of an example."""
        return self.examples[place].key

    def keys(self, places: Sequence[int]) -> tuple[str, ...]:
        """Return the names of examples."""
        return tuple(self.examples[place].key for place in places)

    def splits_of(self, places: Sequence[int]) -> tuple[str, ...]:
        """Return the different splits that examples are in, in order."""
        return tuple(dict.fromkeys(sorted(self.roles[place] for place in places)))


class Check(ABC):
    """One kind of trouble. ``needs`` is what it looks at: ``listing``, ``contents`` or ``model``.

    One that is ``quick`` looks at nothing but names: ``fit`` runs it too, on its own split.
    """

    name: ClassVar[str]
    needs: ClassVar[str]
    quick: ClassVar[bool] = False

    @abstractmethod
    def findings(self, survey: Survey) -> Iterator[Finding]:
        """Yield what is found, nothing where all is well."""
