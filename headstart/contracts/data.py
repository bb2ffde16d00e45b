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


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled input: ``key`` names it to people.

    What is to be said of it is ``label``, its class (empty where there are no classes), or ``target``,
    a text. The content is the file ``path``; or, where many examples share one file, ``row`` of
    ``pixels``, or ``text``. ``title`` is the content's own heading, where it has one.
    """

    key: str
    label: str
    path: Path
    row: int = -1
    pixels: Array | None = None
    text: str | None = None
    target: str | None = None
    title: str | None = None

    @property
    def truth(self) -> str:
        """What is to be said of it, whatever its kind."""
        return self.label if self.target is None else self.target


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
