"""Tasks, how heads learn them, and the baselines that heads have to beat.

Shape letters: N examples, M figures an example, D features, K classes.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from headstart.contracts.choosing import Evidence
from headstart.contracts.data import Array, Example, Floats, Inputs
from headstart.contracts.heads import Above, Head, Kept, Outputs, Units
from headstart.contracts.model import Column, Frozen, Pretrained
from headstart.core.records import Metric, Section
from headstart.core.tallies import Measures, Statistics
from headstart.specs import FitSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """One example as a trunk takes it, with what had to be done to read it (empty: nothing).

    ``length`` is 0 where all examples have the same shape; else examples of like length share a
    batch, and shorter arrays are padded with zeros at the end of their first axis.
    """

    inputs: Inputs
    notes: tuple[str, ...] = ()
    length: int = 0


@dataclass(frozen=True, slots=True)
class Parts:
    """What of an example gets a row of features each, with what had to be done to find it.

    A picture is one unit, itself, or its tiles. A document may be many: its sentences.
    """

    units: Sequence[Example]
    notes: tuple[str, ...] = ()


class Rows(ABC):
    """Examples with their features, as heads and baselines see them: a row of features a unit, or several.

    The rows of example i are the places ``starts_N1[i]`` to ``starts_N1[i + 1]``. Where every example
    has one row, a row's place is its example's.
    """

    examples: Sequence[Example]
    columns: Sequence[Column]
    starts_N1: Array

    @abstractmethod
    def read(self, places_m: Array, columns: Sequence[Column]) -> Floats:
        """Return features float32 [m, d] of some rows, the columns side by side."""

    @abstractmethod
    def places(self, indices_n: Array) -> Array:
        """Return the places [m] of the rows of some examples, one example after another."""

    @abstractmethod
    def units(self, indices_n: Array) -> Units:
        """Return the units of some examples."""


@dataclass(frozen=True, slots=True)
class Written:
    """A text that a model wrote, and what it scores on the way, by name."""

    text: str
    scores: Mapping[str, float] = field(default_factory=dict)


Again = Callable[[Array], Outputs]
"""Given places among the examples that were scored: what the model says of those."""

Fold = tuple[Array, Array]
"""Indices to fit on, indices to validate on."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """What heads and baselines are trained on: all of ``indices_n``, chosen on ``folds`` of them.

    ``checkpoints`` is a folder for this very training; ``begun``, where there is one, a head to go on from.
    """

    spec: FitSpec
    reading: "Reading"
    frozen: Frozen
    rows: Rows
    classes: Sequence[str]
    indices_n: Array
    folds: Sequence[Fold]
    checkpoints: Path
    begun: Head | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldOut:
    """What was said of examples by heads that had not trained on them."""

    indices_n: Array
    outputs: Outputs


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """A head and the objective that was minimised, as JSON, with what was tried on the way.

    ``held_out`` is there where the head trained on all that the folds hold out: it is from heads like it.
    ``moved`` are the pretrained model's own weights that were trained, by name; none where it stayed frozen.
    ``files`` are saved beside the model, by name: what else came out of training.
    """

    head: Head
    objective: Mapping[str, Any]
    held_out: HeldOut | None = None
    moved: Mapping[str, Array] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)


class Learner(ABC):
    """A kind of head: which features it reads, how it is trained on them and restored from disk.

    ``modalities`` are what can make those features; a task has the first that takes its kind of input.
    ``whole`` says that the head reads each example as one unit, whatever parts it has; ``stands`` that it
    stands on a frozen model where it trains alone, instead of training that too; ``stepped`` that it is
    trained by gradient steps unless told otherwise, so that a time can be set for it; ``quick`` that, solved
    once, it is solved on other examples in a few seconds, with the layers and the lambda of its objective.
    """

    name: ClassVar[str]
    modalities: ClassVar[tuple[str, ...]]
    whole: ClassVar[bool]
    stands: ClassVar[bool]
    stepped: ClassVar[bool]
    quick: ClassVar[bool]

    @abstractmethod
    def suits(self, pretrained: Pretrained) -> bool:
        """Say whether this is the head of choice above a model, where the user names none."""

    @abstractmethod
    def train(self, training: Training, sets: Mapping[str, Sequence[Column]]) -> Trained:
        """Choose among the layer sets and train. Raises UserError for options without meaning here."""

    @abstractmethod
    def evidence(self, training: Training, sets: Mapping[str, Sequence[Column]]) -> Evidence:
        """Return what the features tell of the examples before this head is trained on them.

        Raises UserError where the features below this kind of head tell nothing.
        """

    @abstractmethod
    def above(self, training: Training, trunk: Any, columns: Sequence[Column], head: Head | None) -> Above:
        """Return a head as it trains together with the ``trunk`` below it, a new one where there is none.

        Raises UserError for a kind of head that is not trained so.
        """

    @abstractmethod
    def restore(self, columns: Sequence[Column], kept: Kept) -> Head:
        """Rebuild a head from what was kept of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Solved:
    """A linear layer [D, K], [K], and the objective that it minimises, as JSON."""

    weight_DK: Array
    bias_K: Array
    objective: Mapping[str, Any]


Solve = Callable[[Callable[[Array], Any], Array], Solved]
"""Given a way to read a representation [n, D] of some examples, and all examples' targets: a linear layer.

Targets are places among the classes [N]; where an example may have several labels, 0 and 1 [N, K].
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Learnt:
    """What a baseline took from the training examples: facts as JSON, and arrays by name."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)


class Baseline(ABC):
    """What a model has to beat."""

    name: ClassVar[str]

    @abstractmethod
    def learn(self, rows: Rows, indices_n: Array, classes: Sequence[str], solve: Solve) -> Learnt | None:
        """Learn from the training examples; ``solve`` fits a linear layer as the head's is fitted.

        Returns None where the examples lack what the baseline needs: then there is no such baseline.
        """

    @abstractmethod
    def outputs(self, learnt: Learnt, rows: Rows, indices_n: Array) -> Outputs:
        """Return what the baseline says of some examples."""


Trait = str | float
"""What sets examples apart: a name, or a number that is cut into ranges."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a user is told of one input: a prediction in words, and scores by name.

    A prediction of several names is a tuple, perhaps empty. ``file`` makes, when called, the answer as a
    file, its suffix and its bytes, where an answer may be one.
    """

    prediction: str | tuple[str, ...]
    scores: Mapping[str, float]
    file: Callable[[], tuple[str, bytes]] | None = None


class Task(ABC):
    """What is to be learnt: how examples are read, scored and shown.

    ``takes`` is the kind of input: picture or text. ``unit`` is what an example is called in the plural,
    ``row`` what has a row of features; ``learners`` are the heads that can learn it, the first one that
    suits a model is its default. ``corruptions`` are ways in which inputs are spoilt.
    ``kinds`` are tasks of the same name for other kinds of truth (``Truth.kind``).
    """

    name: ClassVar[str]
    layouts: ClassVar[tuple[str, ...]]
    takes: ClassVar[str]
    unit: ClassVar[str]
    row: ClassVar[str]
    default_base: ClassVar[str]
    learners: ClassVar[tuple[str, ...]]
    baselines: ClassVar[tuple[Baseline, ...]]
    corruptions: ClassVar[tuple[str, ...]]
    kinds: ClassVar[Mapping[str, "Task"]] = {}

    def of_kind(self, kind: str) -> "Task":
        """Return the task as it is for a kind of truth: itself, or one of ``kinds``."""
        return self.kinds.get(kind, self)

    @abstractmethod
    def inputs(self, names: Sequence[str]) -> Iterator[Example]:
        """Yield unlabelled examples from files, folders or ``-`` (standard input). Raises UserError."""

    @abstractmethod
    def parts(self, example: Example, whole: bool, pretrained: Pretrained) -> Parts:
        """Return its units as a model takes them, or the ``whole`` of it as one; the same each time.

        Raises BadExample.
        """

    @abstractmethod
    def content(self, example: Example) -> bytes:
        """Return the bytes that identify a unit's input. Raises BadExample."""

    @abstractmethod
    def prepare(self, example: Example, content: bytes, pretrained: Pretrained) -> Prepared:
        """Decode one unit for a trunk. Raises BadExample with the reason."""

    @abstractmethod
    def answers(
        self, outputs: Outputs, examples: Sequence[Example], classes: Sequence[str]
    ) -> Sequence[Answer]:
        """Return each example's prediction, in the examples' order."""

    @abstractmethod
    def chances(self, outputs: Outputs) -> Array | None:
        """Return how likely each class is the right one [n, K]; None where not one class is right."""

    @abstractmethod
    def traits(self, example: Example) -> Mapping[str, Trait]:
        """Return, by name, what a model may be worse for: the example's class, its length or size.

        Raises BadExample.
        """

    @abstractmethod
    def corrupted(self, example: Example, how: str, seed: int, folder: Path) -> Example:
        """Return the example with its input spoilt in one of ``corruptions``, its truth as it was.

        What is too large to be held is written into ``folder``. Raises BadExample.
        """

    @abstractmethod
    def compare(self, outputs: Outputs, examples: Sequence[Example], classes: Sequence[str]) -> Array:
        """Return the few numbers [n, M] that scoring needs; ``outputs`` may not know the last ``classes``."""

    @abstractmethod
    def statistics(self, compared_NM: Array, classes: Sequence[str]) -> Statistics:
        """Return what each example adds to the sums that ``measures`` are functions of, [N, S]."""

    @abstractmethod
    def measures(self, classes: Sequence[str]) -> Measures:
        """Return the metrics that are functions of sums over examples, the leading one first."""

    @abstractmethod
    def score(self, compared_NM: Array, classes: Sequence[str], units_N: Array) -> dict[str, Metric]:
        """Return every metric with its interval, from what ``compare`` gave.

        Examples that share a number in ``units_N`` are no independent evidence: they are drawn as one.
        """

    @abstractmethod
    def sections(
        self, compared_NM: Array, classes: Sequence[str], examples: Sequence[Example], again: Again
    ) -> tuple[Section, ...]:
        """Return what the report shows of an evaluation, worst mistakes first.

        ``again`` gives the outputs of some examples once more, to show what is too large to be kept.
        """


@dataclass(frozen=True, slots=True)
class Reading:
    """How examples are read: as a task says, each as a ``whole`` or in parts, as head and model want it."""

    task: Task
    whole: bool
    pretrained: Pretrained

    def parts(self, example: Example) -> Parts:
        """Return the example's units. Raises BadExample."""
        return self.task.parts(example, self.whole, self.pretrained)
