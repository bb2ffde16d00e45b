"""Arrays, examples, and the readers that list them.

Shape letters: N examples, D features, K classes.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from headstart.core.records import Dropped, Note

Array = NDArray[Any]
Floats = NDArray[np.float32]
Inputs = Mapping[str, Array]
"""One batch as an engine takes it: input name to array, the first axis the batch."""


class Truth(ABC):
    """What is right of one example, where that is more than a class's name: a mask, for instance.

    The layout that lists it and the task that learns it share its type; nobody else looks inside.
    ``kind`` names the type where a task may learn truths of several (``Task.kinds``).
    """

    kind: ClassVar[str] = ""

    @abstractmethod
    def digest(self) -> bytes:
        """Return bytes that differ where what is right differs. Raises BadExample."""

    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Return the classes that splits hold in proportion; none where only its content would tell."""


class Part(ABC):
    """Which part of an example a unit is, where it is no text of its own: a tile of a picture, for instance.

    The task that cuts examples and what looks at their truth share its type; nobody else looks inside.
    """

    @abstractmethod
    def content(self) -> bytes:
        """Return the bytes that identify the part's input. Raises BadExample."""


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled input: ``key`` names it to people.

    What is right of it is ``label``, its class's name; or ``target``, a text; or ``truth``, where it is
    more than that. The content is the file ``path``; or, where many examples share one file, ``row`` of
    ``pixels``, or ``text``; ``part`` is what of all that is meant, where it is not the whole. ``title``
    is the content's own heading, where it has one. ``language`` is the code of the language of ``target``,
    where it is known. Examples of one ``group`` are alike: where splits are drawn, they play the same role.
    """

    key: str
    label: str
    path: Path
    row: int = -1
    pixels: Array | None = None
    text: str | None = None
    truth: Truth | None = None
    target: str | None = None
    title: str | None = None
    language: str = ""
    group: str | None = None
    part: Part | None = None

    @property
    def kind(self) -> str:
        """Name the kind of truth; empty for a class and for a text."""
        return "" if self.truth is None else self.truth.kind

    def names(self) -> tuple[str, ...]:
        """Return the classes that are right of the example, as far as they are known without its content."""
        if self.truth is not None:
            return self.truth.names()
        return (self.label,) if self.label else ()

    def target_bytes(self) -> bytes:
        """Return bytes that differ where what is right of the example differs. Raises BadExample."""
        if self.truth is not None:
            return self.truth.digest()
        return (self.label if self.target is None else self.target).encode()


Unfit = Callable[[Example], str | None]
"""Says why an example is not to be trained on; None where it is. Held-out examples are never asked."""

Languages = tuple[str, str]
"""Codes of the language of the source and of the target; an empty one is not known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What a reader found, before splits are made: examples per split as the layout names them.

    ``languages`` are those of text and target, empty where the examples have no two languages, or nobody
    named them. ``unfit`` is asked once it is known which examples are to be trained on.
    """

    layout: str
    splits: Mapping[str, Sequence[Example]]
    classes: tuple[str, ...]
    dropped: tuple[Dropped, ...] = ()
    notes: tuple[Note, ...] = ()
    languages: tuple[str, ...] = ()
    unfit: Unfit | None = None


class Reader(ABC):
    """One on-disk layout."""

    name: ClassVar[str]

    @abstractmethod
    def recognises(self, path: Path) -> bool:
        """Say whether ``path`` certainly has this layout; cheap, never raises."""

    @abstractmethod
    def read(self, path: Path) -> Listing:
        """List the examples. Raises UserError where the layout is broken."""


class PairReader(Reader):
    """One on-disk layout of texts with their translations: the user may say from which language to which."""

    @abstractmethod
    def read_pairs(self, path: Path, wanted: Languages) -> Listing:
        """List the pairs with the source in the first and the target in the second of ``wanted``.

        What is empty there is as the data says. Raises UserError where the layout is broken, where the
        data lacks a language, and where it has several and nobody says which are meant.
        """

    def read(self, path: Path) -> Listing:
        """List the pairs in the direction that the data itself gives."""
        return self.read_pairs(path, ("", ""))


@dataclass(frozen=True, kw_only=True, slots=True)
class Augmentation:
    """A cut of a picture in fractions of its sides, whether it is mirrored, factors of its colours."""

    left: float
    top: float
    width: float
    height: float
    mirrored: bool
    brightness: float
    contrast: float
    saturation: float
