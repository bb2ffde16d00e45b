"""What says that an input is unlike the training data: learnt on features of every block, saved in the run.

Early blocks see style, late ones meaning: a detector reads each block by itself, sums the early half and the
late half, and takes the more alarmed of the two. Above the 95% point of held-out examples that are like the
training data an input is flagged.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from headstart.contracts import Array, Column, Floats, Fold, Learnt, Modality, Rows
from headstart.core.records import Metric
from headstart.core.tallies import Measures
from headstart.evaluation import vectors
from headstart.maths import mahalanobis, neighbours, subspace
from headstart.maths.intervals import scored
from headstart.maths.whitening import Whitening, whitening

NAME = "unlike"
RATE = 0.05
"""The share of held-out examples like the training data that is flagged."""

_MOST_MEASURED, _MOST_KEPT, _MOST_HELD = 4_000, 1_000, 2_000
_FEWEST_HELD = math.ceil(1 / RATE) - 1


class Detector(NamedTuple):
    """What is learnt of a block's vectors [n, d] with labels [n], and the scores that others get by it.

    ``by_class`` says that it needs a label of each.
    """

    learn: Callable[[Array, Array], dict[str, Array]]
    scores: Callable[[dict[str, Array], Array], Array]
    by_class: bool = False


def _whitened(of: Detector, most: int = _MOST_MEASURED) -> Detector:
    """Return a detector whose vectors are whitened first; it learns on ``most`` of them."""

    def learn(x_nD: Array, labels_n: Array) -> dict[str, Array]:
        white = whitening(x_nD)
        found = of.learn(white.apply(x_nD[:most]), labels_n[:most])
        return {**found, "mean": white.mean_D, "project": white.project_DR}

    def scores(own: dict[str, Array], x_nD: Array) -> Array:
        return of.scores(own, Whitening(own["mean"], own["project"]).apply(x_nD))

    return of._replace(learn=learn, scores=scores)


DETECTORS: Mapping[str, Detector] = {
    "mahalanobis": _whitened(Detector(mahalanobis.learn, mahalanobis.scores, by_class=True)),
    "neighbours": _whitened(Detector(neighbours.learn, neighbours.scores), _MOST_KEPT),
    "subspace": Detector(lambda x_nD, labels_n: subspace.learn(x_nD), subspace.scores),
}
DEFAULT = "subspace"
"""The highest AUROC in each case of ``benchmarks/detectors.py``."""


def learn(
    rows: Rows, modality: Modality, fold: Fold, labels_N: Array, detector: str, seed: int
) -> Learnt | None:
    """Learn on what a fold fits on, set the threshold on what it holds out; None where that is too little."""
    random = np.random.default_rng(seed)
    fit, held = (
        _some(part, most, random) for part, most in zip(fold, (_MOST_MEASURED, _MOST_HELD), strict=True)
    )
    if len(held) < _FEWEST_HELD or len(fit) < 2:
        return None
    arrays: dict[str, Array] = {}
    blocks = modality.blocks(rows.columns)
    for place, block in enumerate(blocks):
        x_ND = vectors.of_examples(modality, rows, block, fit)
        found = DETECTORS[detector].learn(x_ND, labels_N[fit])
        arrays |= {f"{place}.{name}": array for name, array in found.items()}
    facts: dict[str, Any] = {"detector": detector, "columns": [list(map(_fact, one)) for one in blocks]}
    raw_nB = _by_block(
        Learnt(facts=facts, arrays=arrays),
        [vectors.of_examples(modality, rows, block, held) for block in blocks],
    )
    middle_B = np.median(raw_nB, axis=0)
    spread_B = np.maximum(raw_nB.std(axis=0), 1e-12)
    halves_n2 = _halves((raw_nB - middle_B) / spread_B)
    facts["blocks"] = [middle_B.tolist(), spread_B.tolist()]
    facts["halves"] = [
        np.median(halves_n2, axis=0).tolist(),
        np.maximum(halves_n2.std(axis=0), 1e-12).tolist(),
    ]
    learnt = Learnt(facts=facts, arrays=arrays)
    ordered = np.sort(_together(learnt, raw_nB))
    facts["threshold"] = float(ordered[math.ceil((len(ordered) + 1) * (1 - RATE) - 1e-9) - 1])
    facts["held_out"] = len(ordered)
    return learnt


def scores(learnt: Learnt, modality: Modality, rows: Rows, indices_n: Array) -> Array:
    """Return how unlike the training data some examples are, float64 [n]; one is flagged above 0."""
    seen = [vectors.of_examples(modality, rows, block, indices_n) for block in _blocks(learnt)]
    return _beyond(learnt, seen)


def scores_of(learnt: Learnt, modality: Modality, features_MD: Floats, counts_n: Array) -> Array:
    """Return the same of n examples from their whole rows of features, ``counts_n`` each."""
    seen = []
    for block in _blocks(learnt):
        own_Md = np.concatenate([features_MD[:, one.start : one.stop] for one in block], axis=1)
        seen.append(vectors.of_rows(modality, own_Md, block, counts_n))
    return _beyond(learnt, seen)


def rate(scores_N: Array, units_N: Array) -> Metric:
    """Return the share that is flagged."""
    statistics_N2 = np.column_stack([scores_N > 0, np.ones(len(scores_N))]).astype(np.float64)
    measures = Measures(
        values={"rate": lambda sums: np.asarray(sums[:, 0] / sums[:, 1])},
        shares={"rate": lambda sums: np.asarray(sums[:, 1])},
    )
    return scored(statistics_N2, measures, units_N)["rate"]


def _blocks(learnt: Learnt) -> list[list[Column]]:
    """Return the columns of a row of features that each block's vector is made of."""
    told = learnt.facts["columns"]  # older runs have a single column a block, which is no list
    return [[Column(**one) for one in (block if isinstance(block, list) else [block])] for block in told]


def _beyond(learnt: Learnt, seen: Sequence[Floats]) -> Array:
    return _together(learnt, _by_block(learnt, seen)) - float(learnt.facts["threshold"])


def _by_block(learnt: Learnt, seen: Sequence[Floats]) -> Array:
    """Return each block's own scores [n, B], from each one's vectors [n, d]."""
    detector, found = DETECTORS[learnt.facts["detector"]], []
    for place, x_nD in enumerate(seen):
        prefix = f"{place}."
        own = {
            name.removeprefix(prefix): array
            for name, array in learnt.arrays.items()
            if name.startswith(prefix)
        }
        found.append(detector.scores(own, x_nD))
    return np.stack(found, axis=1)


def _together(learnt: Learnt, raw_nB: Array) -> Array:
    (middle_B, spread_B), (middle_2, spread_2) = (
        np.array(learnt.facts[name]) for name in ("blocks", "halves")
    )
    halves_n2 = _halves((raw_nB - middle_B) / spread_B)
    return np.asarray(((halves_n2 - middle_2) / spread_2).max(axis=1))


def _halves(z_nB: Array) -> Array:
    """Return the sums over the early and the late half of the blocks [n, 2]; the same where there is one."""
    half = z_nB.shape[1] // 2
    return np.stack([z_nB[:, : max(half, 1)].sum(axis=1), z_nB[:, half:].sum(axis=1)], axis=1)


def _some(indices_n: Array, most: int, random: np.random.Generator) -> Array:
    if len(indices_n) <= most:
        return random.permutation(indices_n)
    return np.asarray(random.choice(indices_n, most, replace=False))


def _fact(column: Column) -> dict[str, Any]:
    return {"name": column.name, "start": column.start, "stop": column.stop}
