"""Prediction sets: learnt on held-out examples, saved with the model, checked on the test split."""

import math
from collections.abc import Sequence

import numpy as np

from headstart.contracts import Array, Learnt
from headstart.core.errors import UserError
from headstart.core.records import Metric, Table
from headstart.core.tallies import Measures
from headstart.evaluation.figures import with_interval
from headstart.maths import conformal
from headstart.maths.intervals import scored

NAME = "prediction-sets"
LEVELS = (0.8, 0.9, 0.95)


def learn(chances_nK: Array, targets_n: Array) -> Learnt:
    """Return the scores of held-out examples, from which a set of any coverage is made."""
    return Learnt(arrays={"scores": conformal.scores(chances_nK, targets_n)})


def check(learnt: Learnt | None, coverage: float | None) -> None:
    """Raise UserError for a coverage that is none, or that the model cannot give."""
    if coverage is None:
        return
    if learnt is None:
        raise UserError(
            "--coverage for a model without prediction sets",
            "a model that gives each input one class, fitted by a version that makes sets",
            "leave --coverage out, or fit the model again",
        )
    count = len(learnt.arrays["scores"])
    if math.isinf(conformal.threshold(learnt.arrays["scores"], coverage)):
        raise UserError(
            f"--coverage {coverage} from {count} held-out examples",
            f"at most {count / (count + 1):.3f}, which so many can vouch for",
            "ask for less, or fit with more examples to select on",
        )


def names(
    learnt: Learnt, chances_nK: Array, coverage: float, classes: Sequence[str]
) -> list[tuple[str, ...]]:
    """Return each input's set, the likeliest class first."""
    inside_nK = conformal.sets(chances_nK, conformal.threshold(learnt.arrays["scores"], coverage))
    order_nK = np.argsort(-chances_nK, axis=1, kind="stable")
    return [
        tuple(classes[place] for place in order_K if inside_K[place])
        for order_K, inside_K in zip(order_nK, inside_nK, strict=True)
    ]


def observed(learnt: Learnt, chances_nK: Array, targets_n: Array, levels: Sequence[float]) -> Array:
    """Return, for each level, whether the set holds the right class, and its size, float64 [n, 2 L].

    A target of K is a class that is in no set, because training never saw it.
    """
    found = []
    for level in levels:
        inside_nK = conformal.sets(chances_nK, conformal.threshold(learnt.arrays["scores"], level))
        holds_nK = np.pad(inside_nK, ((0, 0), (0, 1)))
        found += [holds_nK[np.arange(len(targets_n)), targets_n], inside_nK.sum(axis=1)]
    return np.stack(found, axis=1).astype(np.float64)


def metrics(observed_N2: Array, units_N: Array) -> dict[str, Metric]:
    """Return ``coverage``, the share of sets that hold the right class, and ``set_size``, their mean size."""
    statistics_N3 = np.column_stack([observed_N2, np.ones(len(observed_N2))])
    measures = Measures(
        values={
            "coverage": lambda sums: np.asarray(sums[:, 0] / sums[:, 2]),
            "set_size": lambda sums: np.asarray(sums[:, 1] / sums[:, 2]),
        },
        shares={"coverage": lambda sums: np.asarray(sums[:, 2])},
    )
    return scored(statistics_N3, measures, units_N)


def section(learnt: Learnt, observed_NL: Array, units_N: Array, levels: Sequence[float]) -> Table:
    """Return wanted and reached coverage, and how large the sets are."""
    count = len(learnt.arrays["scores"])
    rows = []
    for place, level in enumerate(levels):
        if math.isinf(conformal.threshold(learnt.arrays["scores"], level)):
            rows.append((f"{level:.0%}", f"{count} held-out examples cannot vouch for it", "", ""))
            continue
        pair_N2 = observed_NL[:, 2 * place : 2 * place + 2]
        found = metrics(pair_N2, units_N)
        alone = float((pair_N2[:, 1] == 1).mean())
        rows.append(
            (
                f"{level:.0%}",
                with_interval(found["coverage"]),
                with_interval(found["set_size"]),
                f"{alone:.0%}",
            )
        )
    return Table(
        title="Prediction sets",
        note="Instead of one class, all that the model cannot rule out. How many that are was learnt on "
        f"{count} examples it did not train on (split conformal, LAC). A set holds the right class as often "
        "as wanted, on average over inputs like these; the test split checks it.",
        header=("wanted", "holds the right class", "classes in a set", "sets of one class"),
        rows=tuple(rows),
    )
