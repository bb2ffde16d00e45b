"""What a task, a source, an engine and a reader are: small, abstract, and no more than that.

Each of them is one file; ``core.plugins`` finds it by name; one conformance suite tests every one.
Shape letters: N examples, H height, W width, C channels, D features, K classes.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from headstart.core.records import Dropped, Metric, Note, Section

if TYPE_CHECKING:
    from torch import Tensor, nn

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
    """What a model does to a raw input before its first layer; part of the model.

    Each modality has its own; ``modality`` names the plug-in that knows it.
    """

    modality: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PicturePreprocess(Preprocess):
    """``size`` px square after cropping the central ``crop`` of the shorter side; then channels in
    ``order``, times ``scale``, minus ``mean``, over ``std`` (per channel, in that order).
    """

    modality: str = "picture"
    size: int
    crop: float
    interpolation: str
    order: str
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class TextPreprocess(Preprocess):
    """Tokens of the model's own tokenizer, at most ``max_length`` of them, special ones included.

    ``tokenizer_digest`` is the SHA-256 of the file ``tokenizer`` among the model's assets; ``longest``
    is how many tokens the model's positions allow. ``pooling`` is how a text becomes one vector: by
    the mean, the first or the last token.
    """

    modality: str = "text"
    tokenizer: str
    tokenizer_digest: str
    max_length: int
    longest: int
    pooling: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Pretrained:
    """A pretrained model before any framework is imported: what it is and which weights it has.

    ``config`` is what the source needs to build the architecture; ``assets`` are files that belong
    to the model beside its weights, by the name they are saved under.
    """

    base: str
    architecture: str
    licence: str
    revision: str
    weights: Path
    weights_digest: str
    preprocess: Preprocess
    config: Mapping[str, Any] = field(default_factory=dict)
    assets: Mapping[str, Path] = field(default_factory=dict)


class Network(ABC):
    """An architecture in torch: a module, and its blocks' outputs in order.

    The freeze line may lie after any block.
    """

    module: "nn.Module"
    blocks: tuple[str, ...]

    @abstractmethod
    def outputs(self, *inputs: "Tensor") -> "Sequence[Tensor]":
        """Return every block's output for a preprocessed batch, the first axis the batch."""


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
    def network(self, pretrained: Pretrained) -> Network:
        """Build the architecture with random weights."""

    @abstractmethod
    def own_files(self, pretrained: Pretrained) -> Mapping[str, Any]:
        """Return JSON files, by name, with which the source's own library loads the saved weights."""


@dataclass(frozen=True, slots=True)
class Tap:
    """Features named ``name``: the output of ``block`` pooled ``how`` the modality understands.

    The empty block is the input itself.
    """

    name: str
    block: str
    how: str


@dataclass(frozen=True, slots=True)
class Column:
    """A tap's place in a row of features: [start, stop)."""

    name: str
    start: int
    stop: int


class Modality(ABC):
    """A kind of input: how a batch of it looks, and how block outputs become features."""

    name: ClassVar[str]

    @abstractmethod
    def restore(self, described: Mapping[str, Any]) -> Preprocess:
        """Rebuild a preprocess from its JSON."""

    @abstractmethod
    def adapt(self, preprocess: Preprocess, sizes: Mapping[str, int | None]) -> Preprocess:
        """Apply the user's ``image_size`` or ``max_length``. Raises UserError for one without meaning."""

    @abstractmethod
    def taps(self, preprocess: Preprocess, blocks: Sequence[str]) -> Sequence[Tap]:
        """Return which features are taken from which block."""

    @abstractmethod
    def trunk(self, preprocess: Preprocess, network: Network, taps: Sequence[Tap]) -> "nn.Module":
        """Return the module from a raw batch to features [N, D], the taps side by side."""

    @abstractmethod
    def sample(self, preprocess: Preprocess) -> Inputs:
        """Return a batch of two, to trace and to measure widths with; names in the trunk's order."""

    @abstractmethod
    def varying_axes(self) -> Mapping[str, Mapping[int, str]]:
        """Return the axes of each input whose size varies, by name."""

    @abstractmethod
    def layer_sets(self, columns: Sequence[Column]) -> Mapping[str, Sequence[Column]]:
        """Return what a head may see, by name: at least ``last`` and ``all``."""


@dataclass(frozen=True, kw_only=True)
class Trunk:
    """Everything below the freeze line: a pure function from a raw batch to features [N, D].

    ``key`` names the function (weights, preprocessing, taps, precision): the store's and the
    engines' key. ``module`` builds it in torch, its arguments in the order of ``inputs``; ``graph``
    returns it as an ONNX file with inputs of those names.
    """

    key: str
    inputs: tuple[str, ...]
    module: "Callable[[], nn.Module]"
    graph: Callable[[], Path]


Compiled = Callable[[Inputs], Floats]
"""A trunk made ready: a raw batch in, features [N, D] out."""


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
    """One example as a trunk takes it, with what had to be done to read it (empty: nothing).

    ``length`` is 0 where all examples have the same shape; else examples of like length share a
    batch, and shorter arrays are padded with zeros at the end of their first axis.
    """

    inputs: Inputs
    notes: tuple[str, ...] = ()
    length: int = 0


class Rows(ABC):
    """Examples with their features, as heads and baselines see them."""

    examples: Sequence[Example]
    columns: Sequence[Column]

    @abstractmethod
    def read(self, indices_n: Array, columns: Sequence[Column]) -> Floats:
        """Return features float32 [n, d] of some examples, the columns side by side."""


Outputs = Any
"""What a model says of n examples, the first axis the examples: for classes, probabilities [n, K]."""

Solve = Callable[[Callable[[Array], Any]], tuple[Array, Array]]
"""Given a way to read a representation [n, D] of some examples: a linear layer [D, K], [K] on it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Learnt:
    """What a baseline took from the training examples: facts as JSON, and arrays by name."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)


class Baseline(ABC):
    """What a model has to beat."""

    name: ClassVar[str]

    @abstractmethod
    def learn(self, rows: Rows, indices_n: Array, classes: Sequence[str], solve: Solve) -> Learnt:
        """Learn from the training examples; ``solve`` fits a linear layer as the head's is fitted."""

    @abstractmethod
    def outputs(self, learnt: Learnt, rows: Rows, indices_n: Array) -> Outputs:
        """Return what the baseline says of some examples."""


class Task(ABC):
    """What is to be learnt: how examples are read, scored and shown."""

    name: ClassVar[str]
    layouts: ClassVar[tuple[str, ...]]
    modality: ClassVar[str]
    unit: ClassVar[str]
    default_base: ClassVar[str]
    baselines: ClassVar[tuple[Baseline, ...]]

    @abstractmethod
    def inputs(self, names: Sequence[str]) -> Iterator[Example]:
        """Yield unlabelled examples from files, folders or ``-`` (standard input). Raises UserError."""

    @abstractmethod
    def content(self, example: Example) -> bytes:
        """Return the bytes that identify the example's input. Raises BadExample."""

    @abstractmethod
    def prepare(self, example: Example, content: bytes, pretrained: Pretrained) -> Prepared:
        """Decode one example for a trunk. Raises BadExample with the reason."""

    @abstractmethod
    def answers(self, outputs: Outputs, classes: Sequence[str]) -> Sequence[tuple[Any, Mapping[str, float]]]:
        """Return each example's prediction as JSON, and its scores by name."""

    @abstractmethod
    def compare(self, outputs: Outputs, examples: Sequence[Example], classes: Sequence[str]) -> Array:
        """Return what scoring needs to know of each example [n, M]: small, so that all are kept."""

    @abstractmethod
    def score(self, compared_NM: Array, classes: Sequence[str]) -> dict[str, Metric]:
        """Return every metric with its interval, from what ``compare`` gave."""

    @abstractmethod
    def sections(
        self, compared_NM: Array, classes: Sequence[str], examples: Sequence[Example]
    ) -> tuple[Section, ...]:
        """Return what the report shows of an evaluation, worst mistakes first."""
