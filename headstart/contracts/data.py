"""Arrays, examples, and the readers that list them.

Shape letters: N examples, D features, K classes.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
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
    """

    @abstractmethod
    def digest(self) -> bytes:
        """Return bytes that differ where what is right differs. Raises BadExample."""


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
    ``pixels``, or ``text``. ``title`` is the content's own heading, where it has one.
    ``part`` is what of all that is meant, where it is not the whole.
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
    part: Part | None = None

    def target_bytes(self) -> bytes:
        """Return bytes that differ where what is right of the example differs. Raises BadExample."""
        if self.truth is not None:
            return self.truth.digest()
        return (self.label if self.target is None else self.target).encode()


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What a reader found, before splits are made: examples per split as the layout names them."""

    layout: str
    splits: Mapping[str, Sequence[Example]]
    classes: tuple[str, ...]
    dropped: tuple[Dropped, ...] = ()
    notes: tuple[Note, ...] = ()


class Reader(ABC):
    """One on-disk layout."""

    name: ClassVar[str]

    @abstractmethod
    def recognises(self, path: Path) -> bool:
        """Say whether ``path`` certainly has this layout; cheap, never raises."""

    @abstractmethod
    def read(self, path: Path) -> Listing:
        """List the examples. Raises UserError where the layout is broken."""
