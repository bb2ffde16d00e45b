"""Frozen results that the stages hand each other; each is plain JSON on disk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """A figure with its 95% interval; ``low`` and ``high`` are None where none can be computed."""

    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Support:
    """A kind of models of a source: by task that takes the same, and by engine, why it fails, or nothing."""

    source: str
    family: str
    takes: str
    tasks: Mapping[str, str]
    engines: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Dropped:
    """An input that was left out, and why."""

    file: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """Something that was read in a way the user should know of: what, how many, for instance which."""

    what: str
    count: int
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A report section: rows of text under a header."""

    title: str
    note: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    kind: str = "table"


@dataclass(frozen=True, kw_only=True, slots=True)
class Matrix:
    """A report section: a confusion matrix, truth in rows, prediction in columns."""

    title: str
    note: str
    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    kind: str = "matrix"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reliability:
    """A report section: confidence against accuracy, in equal-width bins; empty bins are None."""

    title: str
    note: str
    edges: tuple[float, ...]
    confidence: tuple[float | None, ...]
    accuracy: tuple[float | None, ...]
    counts: tuple[int, ...]
    kind: str = "reliability"


@dataclass(frozen=True, kw_only=True, slots=True)
class Exhibit:
    """One thing to look at: a caption, and a picture as a data URI or a text."""

    caption: str
    detail: str
    image: str = ""
    text: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gallery:
    """A report section: things to look at, worst first; ``wide`` ones are several times as wide as high."""

    title: str
    note: str
    items: tuple[Exhibit, ...]
    wide: bool = False
    kind: str = "gallery"


Section = Table | Matrix | Reliability | Gallery


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """What one look at one split showed.

    ``seen`` of the examples have the content of one that the run was trained or selected on; ``page`` is the
    page that shows it all, if one was asked for.
    """

    split: str
    metrics: Mapping[str, Metric]
    baselines: Mapping[str, Mapping[str, Metric]]
    looks: int
    dropped: tuple[Dropped, ...]
    notes: tuple[Note, ...]
    sections: tuple[Section, ...]
    seen: int = 0
    page: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """One run among others, by one metric; ``examples`` is how many it was scored on by itself."""

    run: str
    task: str
    base: str
    strategy: str
    metrics: Mapping[str, Metric]
    examples: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """How far ``first`` is above ``second`` by one metric on the same examples.

    ``p`` is two-sided; ``p_holm`` is corrected for all pairs that were compared by this metric. ``better``
    names the run that is better; None where they cannot be told apart at ``p_holm`` of 0.05.
    """

    first: str
    second: str
    metric: str
    difference: Metric
    p: float
    p_holm: float
    better: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Runs on the same examples, the best by ``metric`` first; ``page`` is the page that shows them."""

    metric: str
    examples: int
    units: int
    runs: tuple[Standing, ...]
    differences: tuple[Difference, ...]
    notes: tuple[Note, ...]
    page: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """One input's answer in words and scores by name, or why there is none; ``file`` holds it if written.

    A prediction of several names is a tuple, perhaps empty. ``unlike`` is how far the input is beyond where
    it is flagged as unlike the training data: above 0 it is; None where the model has no detector. ``set``
    are the classes that hold the right one with the coverage that was asked for.
    """

    input: str
    prediction: str | tuple[str, ...] | None
    scores: Mapping[str, float]
    error: str | None
    file: str | None = None
    unlike: float | None = None
    set: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitted:
    """What ``fit`` returns and ``run.json`` holds: spec, split, objective, timings, versions."""

    run: str
    task: str
    base: str
    strategy: str
    classes: tuple[str, ...]
    split: Mapping[str, Any]
    objective: Mapping[str, Any]
    engine: Mapping[str, Any]
    metrics: Mapping[str, Metric]
    baselines: Mapping[str, Mapping[str, Metric]]
    dropped: tuple[Dropped, ...]
    notes: tuple[Note, ...]
    looks: int
    seconds: Mapping[str, float]
    versions: Mapping[str, str]
    model: Mapping[str, Any]
    spec: Mapping[str, Any]
    command: str
    data_digest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """Something about data: its ``kind``, the files or rows that it concerns, the reason, what to do.

    ``severity`` is ``error`` (figures would be wrong, or an input is of no use), ``warning`` (look at it) or
    ``note`` (good to know).
    """

    kind: str
    severity: str
    files: tuple[str, ...]
    reason: str
    remedy: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Audited:
    """What ``audit`` returns: examples in all and by split, findings, the gravest first, what it wrote.

    ``checks`` are those that were made; ``page`` and ``manifest`` are paths, empty where none was asked for.
    """

    data: str
    task: str
    layout: str
    examples: int
    splits: Mapping[str, int]
    checks: tuple[str, ...]
    findings: tuple[Finding, ...]
    seconds: float
    page: str = ""
    manifest: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """A pretrained model that was not compared, and why."""

    base: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Looked:
    """What estimators, by name, make of a model's features of so many training examples."""

    examples: int
    estimates: Mapping[str, float | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranked:
    """A pretrained model with what it is expected to reach, and what it costs.

    ``score`` is the forecast, ``low`` and ``high`` its 95% interval; ``looks`` are what it was made from, at
    more examples each time. ``source_score`` is how the model does where it comes from, ``confirmed`` what it
    reached when it was trained. ``milliseconds`` are an example's, with the fastest engine here;
    ``parameters`` and ``mib`` those of the whole model; ``front`` says that no other is both better and
    quicker; ``seconds`` are what the comparison took.
    """

    base: str
    score: float
    low: float
    high: float
    looks: tuple[Looked, ...]
    source_score: float | None
    confirmed: Metric | None
    milliseconds: float | None
    parameters: int
    mib: float
    licence: str
    input_size: str
    front: bool
    seconds: float

    @property
    def examples(self) -> int:
        """How many training examples were looked at last."""
        return self.looks[-1].examples


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """What ``choose`` returns: models ranked, the first one chosen, and those that could not be compared.

    ``measure`` names the figure that is forecast, ``confirmed_by`` the one that training reached; ``weak``
    says why the evidence tells little, empty where it does not. ``examples`` were looked at with each model,
    more with some: their ``looks`` say so. ``page`` is the page that was written, if
    any.
    """

    task: str
    chosen: str
    ranking: tuple[Ranked, ...]
    left_out: tuple[LeftOut, ...]
    measure: str
    confirmed_by: str
    weak: str
    examples: int
    dropped: tuple[Dropped, ...]
    notes: tuple[Note, ...]
    seconds: float
    page: str | None = None

    @property
    def as_good(self) -> int:
        """How many others are expected to reach what lies within the first one's interval."""
        first, *others = self.ranking
        return sum(one.score >= first.low for one in others)


def to_json(value: Any) -> Any:
    """Turn records, mappings and sequences into plain JSON values, in field order."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [to_json(item) for item in value]
    return value


def metrics_from_json(value: Mapping[str, Mapping[str, Any]]) -> dict[str, Metric]:
    """Read a ``metrics`` object back."""
    return {name: Metric(**item) for name, item in value.items()}
