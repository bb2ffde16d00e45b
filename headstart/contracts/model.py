"""Pretrained models, and the frozen trunks that engines run.

Shape letters: N examples, H height, W width, T tokens, D features.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from headstart.contracts.data import Array, Augmentation, Floats, Inputs

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True, slots=True)
class Preprocess(ABC):
    """What a model does to a raw input before its first layer; part of the model.

    Each modality has its own; ``modality`` names the plug-in that knows it.
    """

    modality: str

    @property
    @abstractmethod
    def input_size(self) -> str:
        """The size of the inputs that the model takes, in words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PicturePreprocess(Preprocess):
    """The central ``crop`` of the shorter side, at ``size`` px square; then numbers for the first layer.

    Those are channels in ``order``, times ``scale``, minus ``mean``, over ``std``, both per channel. With
    ``squash`` both sides are resized alike and the middle ``crop`` of each is kept: shapes are not. Where
    pictures are ``tiled``, one that is larger is cut into tiles of that size.
    """

    modality: str = "picture"
    size: int
    crop: float
    interpolation: str
    order: str
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    tiled: bool = False
    squash: bool = False

    @property
    def input_size(self) -> str:
        """The side of a picture in px."""
        return f"{self.size} px"


@dataclass(frozen=True, kw_only=True, slots=True)
class TextPreprocess(Preprocess):
    """Tokens of the model's own tokenizer: at most ``max_length`` of them, special ones included.

    ``tokenizer`` is its file among the model's assets, empty where Transformers has to read several, and
    ``tokenizer_digest`` their SHA-256; ``longest`` is how many tokens the model's positions allow.
    ``pooling`` is how a text becomes one vector: by the mean, the first or the last token. ``prefix``
    is written before every text; ``languages`` are the source's and the target's, as the model calls them.
    """

    modality: str = "text"
    tokenizer: str
    tokenizer_digest: str
    max_length: int
    longest: int
    pooling: str
    prefix: str = ""
    languages: tuple[str, ...] = ()

    @property
    def input_size(self) -> str:
        """The most tokens of a text."""
        return f"{self.max_length} tokens"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pretrained:
    """A pretrained model before any framework is imported: what it is and which weights it has.

    ``config`` is what the source needs to build the architecture; ``assets`` are files that belong
    to the model beside its weights, by the name they are saved under. ``writes`` is how it can write
    text, if at all: by a decoder above its encoder, or going on from what it has read. ``weights`` need not
    be there where it was described without. ``adapted`` says what was done to the model so that it takes
    what it is given. ``precision`` is what its numbers are rounded to while it computes. ``lineage`` are the
    models that its weights were trained from, the last one the first of all; ``trains`` is false where it is
    frozen for good, and no architecture of torch's. ``head_of`` is a finished run whose head training begins
    with, where that was asked for.
    """

    base: str
    architecture: str
    licence: str
    revision: str
    weights: Path
    weights_digest: str
    preprocess: Preprocess
    writes: Literal["", "above", "on"] = ""
    adapted: tuple[str, ...] = ()
    precision: str = "float32"
    lineage: tuple[str, ...] = ()
    trains: bool = True
    head_of: Path | None = None
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


class Frozen(ABC):
    """A pretrained model that is at hand: what it is, and its weights and architecture when asked for."""

    pretrained: Pretrained

    @property
    @abstractmethod
    def state(self) -> Mapping[str, Array]:
        """The weights under the architecture's names."""

    @abstractmethod
    def network(self) -> Network:
        """Build the architecture with these weights, in evaluation mode."""

    @abstractmethod
    def new_trunk(self) -> "nn.Module":
        """Build the trunk, in evaluation mode: a module of the caller's own, to train."""

    @abstractmethod
    def forget(self) -> None:
        """Let go of the weights, and of what was built of them: they are there again when asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """Models of one kind that a source brings: whether they take a ``picture`` or a ``text``, what fails.

    ``lacks`` has the reason by the name of a task or of an engine. All else works: the conformance suite
    holds both, so ``headstart sources`` can say it.
    """

    name: str
    takes: str
    lacks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowed:
    """What the user allows, said on the command line or as an argument: no file or variable can add to it.

    ``trusted`` names whose code may run: OWNER/REPO, or a folder. ``offline`` is that nothing may be fetched.
    """

    trusted: frozenset[str] = frozenset()
    offline: bool = False


class Source(ABC):
    """Where pretrained models come from; what ``allowed`` does not name, it must not do."""

    name: ClassVar[str]
    families: ClassVar[Sequence[Family]] = ()
    """The kinds of models that are tested."""

    def __init__(self, allowed: Allowed = Allowed()) -> None:  # frozen: nothing is shared
        self.allowed = allowed

    @abstractmethod
    def names(self) -> Sequence[str]:
        """Return the models this source knows by name."""

    @abstractmethod
    def present(self) -> Sequence[str]:
        """Return the names of the models that are here with their weights, as far as it is quick to tell."""

    @abstractmethod
    def find(self, name: str, weights: bool = True) -> Pretrained:
        """Describe a model without importing a framework. Raises UserError where it is not here.

        Without ``weights`` it is to be built with random ones, and only its architecture need be here.
        """

    @abstractmethod
    def sized(self, pretrained: Pretrained) -> Pretrained:
        """Return the model fit for the size its preprocessing asks for, saying so where that changes it.

        Raises UserError for a size that the architecture cannot take.
        """

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
    """A tap's place in a row of features: [start, stop).

    ``weight`` is how much each feature counts beside those of other columns where a penalty shrinks them.
    """

    name: str
    start: int
    stop: int
    weight: float = 1.0


class Modality(ABC):
    """A kind of input: how a batch of it looks, and how block outputs become features."""

    name: ClassVar[str]
    takes: ClassVar[str]
    """Whose models it takes: the modality that sources describe them with."""
    mixes: ClassVar[bool]
    """Whether a weighted mean of two inputs is an input."""

    @abstractmethod
    def restore(self, described: Mapping[str, Any]) -> Preprocess:
        """Rebuild a preprocess from its JSON."""

    @abstractmethod
    def adapt(self, preprocess: Preprocess, sizes: Mapping[str, int | None]) -> Preprocess:
        """Apply the user's ``image_size``, ``max_length`` or ``tiles``, and this modality's own ways.

        Raises UserError for a size without meaning.
        """

    @abstractmethod
    def taps(self, preprocess: Preprocess, network: Network) -> Sequence[Tap]:
        """Return which features are taken from which block. Raises UserError where none are fit."""

    @abstractmethod
    def trunk(self, preprocess: Preprocess, network: Network, taps: Sequence[Tap]) -> "nn.Module":
        """Return the module from a raw batch to features: [N, D], the taps side by side, or [N, T, C]."""

    @abstractmethod
    def columns(self, shapes: Mapping[str, tuple[int, ...]]) -> list[Column]:
        """Return the layout of a row of features, from the shape of one example's part of each tap."""

    @abstractmethod
    def rows(self, features: Floats, inputs: Sequence[Inputs]) -> list[Floats]:
        """Return the rows of features [r, D] of each example of a batch that the trunk has run on."""

    @abstractmethod
    def rows_column(self, columns: Sequence[Column]) -> Column | None:
        """Return the column that tells how many rows an example has, None where each has one."""

    @abstractmethod
    def augmented(self, inputs: Inputs, augmentation: Augmentation) -> Inputs:
        """Return one example's inputs, augmented. Raises UserError where that means nothing."""

    @abstractmethod
    def sample(self, preprocess: Preprocess) -> Inputs:
        """Return a batch of two, to trace and to measure widths with; names in the trunk's order."""

    @abstractmethod
    def varying_axes(self) -> Mapping[str, Mapping[int, str]]:
        """Return the axes of each input, and of the ``features`` that come out, whose size varies."""

    @abstractmethod
    def layer_sets(self, columns: Sequence[Column]) -> Mapping[str, Sequence[Column]]:
        """Return what a head may see, by name: at least ``last`` and ``all``."""

    @abstractmethod
    def blocks(self, columns: Sequence[Column]) -> Sequence[Sequence[Column]]:
        """Return, for each block in order, the columns that its vector is made of.

        There are none where a row holds nothing that a frozen block has said.
        """

    def vectors(self, seen_RD: Floats, block: Sequence[Column]) -> tuple[Floats, Array]:
        """Return a block's vector of each row [R, d], whatever the input's size, and each row's weight [R].

        ``seen_RD`` are the block's columns side by side: where they are pooled, they are the vector. An
        example's vector is its rows' weighted mean.
        """
        return seen_RD, np.ones(len(seen_RD), np.float32)


@dataclass(frozen=True, kw_only=True)
class Trunk:
    """Everything below the freeze line: a pure function from a raw batch to features [N, D].

    ``key`` names the function (weights, preprocessing, taps, ``precision``): the store's and the
    engines' key. ``module`` builds it in torch, its arguments in the order of ``inputs``; ``graph``
    returns it as an ONNX file with inputs of those names.
    """

    key: str
    inputs: tuple[str, ...]
    module: "Callable[[], nn.Module]"
    graph: Callable[[], Path]
    precision: str = "float32"


Compiled = Callable[[Inputs], Floats]
"""A trunk made ready: a raw batch in, features [N, D] or [N, T, C] out."""


class Engine(ABC):
    """A runtime for trunks."""

    name: ClassVar[str]

    @abstractmethod
    def version(self) -> str:
        """Return the runtime's version. Raises EngineUnavailable where it is not installed."""

    @abstractmethod
    def compile(self, trunk: Trunk) -> Compiled:
        """Make a trunk ready, in its precision. Raises EngineUnavailable with the reason where it cannot."""
