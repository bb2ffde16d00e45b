"""The verbs as functions: same names, same arguments, same results as the command line.

Each function takes what its spec takes; the spec is the one place where arguments are declared.
What a verb needs is imported when it is called.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from headstart.specs import AuditSpec, CacheSpec, ChooseSpec, CompareSpec, EvaluateSpec, FitSpec, PredictSpec

if TYPE_CHECKING:
    from headstart.core.records import Audited, Chosen, Comparison, Evaluation, Fitted, Prediction
    from headstart.core.store import TableUsage

P = ParamSpec("P")
S = TypeVar("S")
R = TypeVar("R")


def _taking(spec: Callable[P, S]) -> Callable[[Callable[[S], R]], Callable[P, R]]:
    """Turn a function of a spec into one of the spec's own arguments."""

    def decorate(verb: Callable[[S], R]) -> Callable[P, R]:
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            return verb(spec(*args, **kwargs))

        call.__name__ = call.__qualname__ = verb.__name__
        call.__doc__ = verb.__doc__
        call.__signature__ = inspect.signature(spec)  # type: ignore[attr-defined]
        return call

    return decorate


@_taking(AuditSpec)
def audit(spec: AuditSpec) -> "Audited":
    """Check data for leaks, duplicates, wrong labels and broken files; nothing of them is changed.

    Raises UserError where there is nothing to read, MachineError for what the machine refuses.
    """
    from headstart.verbs.audit import audit

    return audit(spec)


@_taking(ChooseSpec)
def choose(spec: ChooseSpec) -> "Chosen":
    """Rank pretrained models on data before any training; fit then finds their features computed.

    Raises UserError for what the user can mend, and where no model can be compared.
    """
    from headstart.verbs.choose import choose

    return choose(spec)


@_taking(FitSpec)
def fit(spec: FitSpec) -> "Fitted":
    """Fine-tune a pretrained model on data, evaluate it once, write the run and its report.

    Raises UserError for what the user can mend, MachineError for what the machine refuses.
    """
    from headstart.verbs.fit import fit

    return fit(spec)


@_taking(EvaluateSpec)
def evaluate(spec: EvaluateSpec) -> "Evaluation":
    """Score a finished run on labelled data; the look is counted in the run. Raises UserError."""
    from headstart.verbs.evaluate import evaluate

    return evaluate(spec)


@_taking(CompareSpec)
def compare(spec: CompareSpec) -> "Comparison":
    """Compare runs on the same examples: differences with p-values, a page. Raises UserError."""
    from headstart.verbs.compare import compare

    return compare(spec)


@_taking(PredictSpec)
def predict(spec: PredictSpec) -> "Iterator[Prediction]":
    """Yield one prediction per input, in order; an input that cannot be read has its reason instead."""
    from headstart.verbs.predict import predict

    return predict(spec)


@_taking(CacheSpec)
def cache(spec: CacheSpec) -> "list[TableUsage]":
    """Return what the feature store holds, the longest unused first, after pruning it if asked to."""
    from headstart.verbs.cache import cache

    return cache(spec)


def own(name: str, make: Callable[[], Any], preprocess: Mapping[str, Any] | None = None) -> str:
    """Let the base ``own:NAME`` mean a model of yours in this process, and return it for ``fit``.

    ``make`` makes it anew: a ``torch.nn.Module`` that takes normalised pictures [N, 3, H, W], or a fitted
    transformer whose ``transform`` takes rows [N, H * W * 3]. ``preprocess`` says how pictures are prepared:
    any of size, crop, interpolation, order, scale, mean, std and squash, else as for ImageNet. A process
    that predicts with the run calls this again. Raises UserError for a preprocessing that cannot be made out.
    """
    from headstart.sources.own import OwnSource

    return OwnSource.add(name, make, preprocess)
