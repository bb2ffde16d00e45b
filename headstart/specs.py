"""What each verb can be told: one frozen record a verb.

The command line, its help, the saved run and the functions of ``import headstart`` are made from
these records. Nothing heavy is imported here, so that ``--help`` is quick.
"""

import math
import os
from collections.abc import Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any

from headstart.core.errors import UserError


def option(help_text: str, default: Any = None, **limits: Any) -> Any:
    """Declare an option: help, a default, and ``choices``, ``above``, ``below`` or ``least`` as limits."""
    return field(default=default, metadata={"help": help_text, **limits})


def argument(help_text: str, **limits: Any) -> Any:
    """Declare a positional argument."""
    return field(metadata={"help": help_text, "positional": True, **limits})


class Spec:
    """The base of every spec: takes paths where text is asked for, checks limits when made."""

    def __post_init__(self) -> None:
        for one in options(type(self)):
            value = getattr(self, one.name)
            if one.metadata.get("many"):
                listed = (value,) if isinstance(value, str | os.PathLike) else value
                object.__setattr__(self, one.name, tuple(os.fspath(item) for item in listed))
            elif isinstance(value, os.PathLike):
                object.__setattr__(self, one.name, os.fspath(value))
            _check(one, getattr(self, one.name))


def options(spec: type) -> tuple[Field[Any], ...]:
    """Return the fields of a spec in order."""
    return fields(spec)


def value_type(one: "Field[Any]") -> type:
    """Return the type that an option's text is read as."""
    kinds = [kind for kind in getattr(one.type, "__args__", (one.type,)) if kind is not type(None)]
    return kinds[0] if isinstance(kinds[0], type) else str


def flag(name: str) -> str:
    """Return a field's name as the command line writes it."""
    return "--" + name.replace("_", "-")


def command(verb: str, spec: Spec) -> list[str]:
    """Return the words that repeat a call: what differs from the defaults."""
    words = ["headstart", verb]
    for one in options(type(spec)):
        value = getattr(spec, one.name)
        if one.metadata.get("positional"):
            words += [str(item) for item in value] if isinstance(value, tuple | list) else [str(value)]
        elif value is True:
            words.append(flag(one.name))
        elif one.default is not MISSING and value != one.default:
            words += [flag(one.name), str(value)]
    return words


def _check(one: "Field[Any]", value: Any) -> None:
    limits, name = one.metadata, flag(one.name)
    if value is None:
        return
    if "choices" in limits and value not in limits["choices"]:
        raise UserError(
            f"{name} is {value!r}", f"one of {', '.join(limits['choices'])}", "choose one of these"
        )
    if "above" in limits and not limits["above"] < value < math.inf:
        raise UserError(f"{name} is {value}", f"a finite number above {limits['above']}", "give another one")
    if "below" in limits and not value < limits["below"]:
        raise UserError(f"{name} is {value}", f"a number below {limits['below']}", "give another one")
    if "least" in limits and not value >= limits["least"]:
        raise UserError(f"{name} is {value}", f"at least {limits['least']}", f"give a larger {name}")


_TRUST = "run the code of this repository, OWNER/REPO, or folder, where a model comes as code (several: A,B)"
_OFFLINE = "fetch nothing: no weights, no code"
_GROUP = (
    "what belongs together (one patient, video, author): a column, or a pattern for names: 'patient-(\\d+)'"
)


@dataclass(frozen=True)
class FitSpec(Spec):
    """Fine-tune a pretrained model on your data, evaluate it, write a report."""

    data: str = argument(
        "a folder of class folders, a table of paths and labels, or a known data set's own layout"
    )
    out: str | None = option("the run folder to write (default: runs/DATA-BASE)")
    task: str | None = option("what to learn (default: guessed where the data makes it certain)")
    base: str | None = option("the pretrained model, SOURCE:NAME (default: the task's own)")
    head: str | None = option("the kind of head, where the task has several (default: what suits the model)")
    strategy: str = option(
        "what trains: head (on the frozen model), last-1 (its last block), last-2 ..., lora, full, "
        "head-then-full; auto climbs from the first as long as it helps",
        "head",
    )
    penalty: str | None = option(
        "R, added to the loss of what is stepped: l2, l1, l2-sp, delta or bss (default: none)"
    )
    alpha: float | None = option("how much of the penalty is added (default: the penalty's own)", above=0)
    group: str | None = option(_GROUP)
    seed: int = option("seeds the split and everything else that is drawn", 0, least=0)
    layers: str = option(
        "which blocks the head sees; auto chooses on validation data",
        "auto",
        choices=("auto", "last", "all", "deep", "mixed"),
    )
    l2: float | None = option("lambda of the L2 penalty (default: chosen on validation data)", above=0)
    image_size: int | None = option("side of the pictures in px (default: the model's own)", least=32)
    tiles: bool = option("cut pictures with masks that are larger than the model's size into tiles", False)
    max_length: int | None = option("longest text in tokens (default: the model's own)", least=4)
    head_hidden: int | None = option(
        "train a dense hidden layer of this many units by gradient steps; of a decoder, its channels", least=1
    )
    loss: str | None = option(
        "of masks (default: the head's own): cross-entropy alone is convex, for the linear head",
        choices=("cross-entropy", "dice", "focal", "cross-entropy+dice"),
    )
    class_weights: str | None = option(
        "of masks: how much a class with the share f of the pixels counts: 1/f (balanced), 1/sqrt(f), or 1",
        choices=("none", "sqrt", "balanced"),
    )
    optimizer: str | None = option(
        "adamw, adam, rmsprop or sgd, for heads that are stepped", choices=("adamw", "adam", "rmsprop", "sgd")
    )
    epochs: int | None = option("at most so many passes over the training data", least=1)
    batch_size: int | None = option("examples a step", least=1)
    learning_rate: float | None = option("the largest step size", above=0)
    schedule: str | None = option(
        "how the learning rate goes on after its warm-up",
        choices=("constant", "linear", "cosine", "inverse-sqrt"),
    )
    warmup: int | None = option("steps until the learning rate is at its largest", least=0)
    weight_decay: float | None = option("decay of weights, norms and biases spared", least=0)
    layer_decay: float | None = option(
        "factor of the learning rate from each block to the one below", above=0
    )
    clip: float | None = option("largest norm of the gradient", above=0)
    accumulate: int | None = option("parts that a step is taken in, to save memory", least=1)
    recompute: bool = option("save memory: let blocks compute again on the way down", False)
    augment: str | None = option(
        "show pictures mirrored (flip), cut too (crop), or recoloured too (standard)",
        choices=("flip", "crop", "standard"),
    )
    mixup: float | None = option("mix pictures, by shares drawn from Beta(MIXUP, MIXUP)", above=0)
    cutmix: float | None = option(
        "paste pictures into others, areas drawn from Beta(CUTMIX, CUTMIX)", above=0
    )
    label_smoothing: float | None = option("share of the truth that is spread over all classes", least=0)
    patience: int | None = option("epochs without a better one before training stops", least=1)
    average: int | None = option("average the weights of so many best epochs, where that helps", least=1)
    decoder: str | None = option(
        "for heads that write: the model's own; above an encoder new, warm (a copy of its layers) or shared",
        choices=("own", "new", "warm", "shared"),
    )
    beams: int | None = option("for heads that write: how many texts are followed at once", least=1)
    target_length: int | None = option("for heads that write: longest target in tokens", least=2)
    detector: str | None = option(
        "what flags inputs unlike the training data (default: subspace)",
        choices=("mahalanobis", "neighbours", "subspace"),
    )
    budget: str | None = option("time for the gradient steps, such as 90s, 10m or 2h")
    engine: str | None = option(
        "run the frozen model with torch, openvino or onnxruntime (default: the fastest)"
    )
    precision: str = option(
        "what a network rounds to while it computes: bfloat16 is quicker where the machine has it",
        "float32",
        choices=("float32", "bfloat16"),
    )
    resume: bool = option("go on where an interrupted fit of the same command and data stopped", False)
    random_init: bool = option("start the same architecture from random weights, as a control", False)
    source_language: str | None = option(
        "the language to translate from, as a code: en, fr, pt_BR (default: as the data says)"
    )
    target_language: str | None = option("the language to translate into (default: as the data says)")
    prefix: str | None = option("what a text model is told before each text (default: as it was trained)")
    trust: str | None = option(_TRUST)
    offline: bool = option(_OFFLINE, False)


@dataclass(frozen=True)
class AuditSpec(Spec):
    """Check data before anything is trained: leaks, duplicates, wrong labels, broken files."""

    data: str = argument("labelled data in any layout that fit reads")
    task: str | None = option("what is to be learnt (default: guessed where the data makes it certain)")
    deep: bool = option(
        "look for wrong labels, cut pictures and reworded texts too, by a pretrained model's features", False
    )
    base: str | None = option("the pretrained model for --deep, SOURCE:NAME (default: the task's own)")
    against: str | None = option("a corpus to compare with: files or folders of what a model may have seen")
    html: str | None = option("a page to write: duplicates and suspected labels, side by side")
    fix: str | None = option("a table (.csv) to write for fit: what to keep, in a split without leaks")
    group: str | None = option(_GROUP)
    seed: int = option(
        "seeds the split that --fix draws where it has to, and the folds of --deep", 0, least=0
    )
    source_language: str | None = option("the language to translate from (default: as the data says)")
    target_language: str | None = option("the language to translate into (default: as the data says)")
    trust: str | None = option(_TRUST)
    offline: bool = option(_OFFLINE, False)


@dataclass(frozen=True)
class ChooseSpec(Spec):
    """Rank pretrained models on your data before any training."""

    data: str = argument("labelled data in any layout that fit reads")
    task: str | None = option("what to learn (default: guessed where the data makes it certain)")
    bases: str | None = option(
        "models to compare, SOURCE:NAME,... (default: all that are installed or cached)"
    )
    examples: int = option("look at so many training examples; at more with those that lead", 400, least=10)
    confirm: int = option("settle the first so many by training them", 0, least=0)
    budget: str | None = option("time for what follows the first look, such as 90s, 10m or 2h")
    max_latency: float | None = option("leave out what takes more milliseconds an example here", above=0)
    max_size: float | None = option("leave out what is larger, in MiB of weights", above=0)
    licence: str | None = option("only models under one of these licences, such as apache-2.0,mit")
    head: str | None = option("the kind of head, where the task has several (default: what suits the model)")
    image_size: int | None = option("side of the pictures in px (default: the model's own)", least=32)
    max_length: int | None = option("longest text in tokens (default: the model's own)", least=4)
    group: str | None = option(_GROUP)
    seed: int = option("seeds the split and everything else that is drawn", 0, least=0)
    source_language: str | None = option("the language to translate from (default: as the data says)")
    target_language: str | None = option("the language to translate into (default: as the data says)")
    out: str | None = option("write a page with the comparison to this .html file")
    trust: str | None = option(_TRUST)
    offline: bool = option(_OFFLINE, False)

    def fit(self, base: str) -> FitSpec:
        """Return the ``fit`` that a model is looked at for, and that goes on from there."""
        names = ("data", "task", "head", "image_size", "max_length", "group", "seed", "trust", "offline")
        languages = ("source_language", "target_language")
        return FitSpec(**{name: getattr(self, name) for name in (*names, *languages)}, base=base)


@dataclass(frozen=True)
class EvaluateSpec(Spec):
    """Score a finished run on labelled data, with intervals and baselines."""

    run: str = argument("a run folder")
    data: str = argument("labelled data in any layout that fit reads")
    split: str | None = option(
        "train, val or test (default: test, else val, else all that is there)",
        choices=("train", "val", "test"),
    )
    group: str | None = option(f"{_GROUP} (default: as the run was fitted)")
    coverage: float | None = option(
        "score prediction sets too, which hold the right class with this probability", above=0, below=1
    )
    corrupt: bool = option("score spoilt inputs too: noise, blur, JPEG ...; typos, texts cut in half", False)
    against: str | None = option("inputs of another kind: how well they are told from these (AUROC)")
    html: str | None = option("a page to write: figures, calibration, slices and mistakes on these data")
    engine: str | None = option(
        "run the frozen model with torch, openvino or onnxruntime (default: the fastest)"
    )
    trust: str | None = option(_TRUST)
    offline: bool = option(_OFFLINE, False)


@dataclass(frozen=True)
class CompareSpec(Spec):
    """Tell which of several runs is better, on the same examples, and how certain that is."""

    runs: Sequence[str] = argument("two or more run folders", many=True)
    metric: str | None = option("what the runs are ranked by (default: the task's leading metric)")
    data: str | None = option("labelled data to score the runs on now (default: what each was tested on)")
    split: str | None = option(
        "with --data: train, val or test (default: test, else val, else all that is there)",
        choices=("train", "val", "test"),
    )
    out: str | None = option("the page to write (default: comparison.html beside the first run)")
    trust: str | None = option(_TRUST)
    offline: bool = option(_OFFLINE, False)


@dataclass(frozen=True)
class PredictSpec(Spec):
    """Predict with a finished run."""

    run: str = argument("a run folder")
    inputs: Sequence[str] = argument("files, folders, or - for standard input", many=True)
    engine: str | None = option(
        "run the frozen model with torch, openvino or onnxruntime (default: the fastest)"
    )
    out: str | None = option("a folder to write the answers to, where they are files: masks")
    coverage: float | None = option(
        "name all the classes that hold the right one with this probability: 0.9", above=0, below=1
    )
    trust: str | None = option(_TRUST)
    offline: bool = option(_OFFLINE, False)


@dataclass(frozen=True)
class SourcesSpec(Spec):
    """Show where pretrained models come from, and what works of them by task and engine."""


@dataclass(frozen=True)
class CacheSpec(Spec):
    """List what the feature store holds, or shrink it."""

    prune: float | None = option(
        "remove what was used longest ago until at most this many GB remain", least=0
    )
