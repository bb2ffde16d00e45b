"""What a task, a source, an engine and a reader are: small, abstract, and no more than that.

Each of them is one file; ``core.plugins`` finds it by name; one conformance suite tests every one.
Shape letters: N examples, H height, W width, C channels, D features, K classes.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from headstart.core.records import Dropped, Metric, Note, Section

if TYPE_CHECKING:
    from torch import nn

Array = NDArray[Any]
Floats = NDArray[np.float32]
Inputs = Mapping[str, Array]
"""One batch as an engine takes it: input name to array, the first axis the batch."""


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled input: ``key`` names it to people, ``label`` is its target's name.

    The content is the file ``path``; or, where many examples share one file, ``row`` of ``pixels``,
    or ``text``.
    """

    key: str
    label: str
    path: Path
    row: int = -1
    pixels: Array | None = None
    text: str | None = None


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Preprocess:
    """A model's own preprocessing of a picture, part of the model.

    ``size`` px square after cropping the central ``crop`` of the shorter side; then channels in
    ``order``, times ``scale``, minus ``mean``, over ``std`` (per channel, in that order).
    """

    size: int
    crop: float
    interpolation: str
    order: str
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pretrained:
    """A pretrained model before any framework is imported: what it is and which weights it has."""

    base: str
    architecture: str
    licence: str
    revision: str
    weights: Path
    weights_digest: str
    preprocess: Preprocess


class Source(ABC):
    """Where pretrained models come from."""

    name: ClassVar[str]

    @abstractmethod
    def names(self) -> Sequence[str]:
        """Return the models this source knows by name."""

    @abstractmethod
    def find(self, name: str) -> Pretrained:
        """Describe a model without importing a framework. Raises UserError where it is not here."""

    @abstractmethod
    def state(self, pretrained: Pretrained) -> dict[str, Array]:
        """Return the weights under the architecture's own names."""

    @abstractmethod
    def blocks(self, architecture: str) -> "tuple[nn.Module, Sequence[tuple[str, nn.Module]]]":
        """Build the architecture with random weights: the model, and its blocks in order.

        Applied one after another to normalised pixels [N, 3, H, W], the blocks are the model up to
        its classifier: the freeze line may lie between any two of them.
        """


@dataclass(frozen=True, kw_only=True)
class Trunk:
    """Everything below the freeze line: a pure function from uint8 pictures [N, H, W, 3] to features [N, D].

    ``key`` names the function (weights, preprocessing, taps, precision): the store's and the
    engines' key. ``module`` builds it in torch; ``graph`` returns it as an ONNX file.
    """

    key: str
    input_shape: tuple[int, ...]
    module: "Callable[[], nn.Module]"
    graph: Callable[[], Path]


Compiled = Callable[[Array], Floats]
"""A trunk made ready: a uint8 batch [N, H, W, 3] in, features [N, D] out."""


class Engine(ABC):
    """A runtime for trunks."""

    name: ClassVar[str]

    @abstractmethod
    def version(self) -> str:
        """Return the runtime's version. Raises EngineUnavailable where it is not installed."""

    @abstractmethod
    def compile(self, trunk: Trunk) -> Compiled:
        """Make a trunk ready to run. Raises EngineUnavailable with the reason where it cannot."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """One example as a trunk takes it, with what had to be done to read it (empty: nothing)."""

    pixels: Array
    notes: tuple[str, ...] = ()


class Task(ABC):
    """What is to be learnt: how examples are read, scored and shown."""

    name: ClassVar[str]
    layouts: ClassVar[tuple[str, ...]]
    unit: ClassVar[str]

    @abstractmethod
    def inputs(self, names: Sequence[str]) -> Iterator[Example]:
        """Yield unlabelled examples from files, folders or ``-`` (standard input). Raises UserError."""

    @abstractmethod
    def content(self, example: Example) -> bytes:
        """Return the bytes that identify the example's input. Raises BadExample."""

    @abstractmethod
    def prepare(self, example: Example, content: bytes, preprocess: Preprocess) -> Prepared:
        """Decode one example for a trunk. Raises BadExample with the reason."""

    @abstractmethod
    def score(self, probabilities_NK: Array, targets_N: Array, classes: Sequence[str]) -> dict[str, Metric]:
        """Return every metric with its interval."""

    @abstractmethod
    def sections(
        self,
        probabilities_NK: Array,
        targets_N: Array,
        classes: Sequence[str],
        examples: Sequence[Example],
    ) -> tuple[Section, ...]:
        """Return what the report shows of an evaluation, worst mistakes first."""
