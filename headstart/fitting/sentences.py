"""Training an extractive head: labels from the oracle, a convex layer, the length and the cut by validation.

Shape letters: N examples, M units of all of them, n and m of some.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headstart.contracts import Array, Column, Rows, Training
from headstart.core.progress import progress
from headstart.fitting import probe
from headstart.fitting.probe import Problem, Tried, View
from headstart.maths import oracle, rouge, shortening
from headstart.maths.selection import Budget
from headstart.maths.shortening import Shortener
from headstart.model.extract import SentenceHead, surface

BUDGETS = (
    *(Budget("sentences", count) for count in (1, 2, 3, 4, 5, 6)),
    *(Budget("share", share) for share in (0.1, 0.2, 0.3, 0.4, 0.5)),
)
MOST_ORACLE = 10
SHORTENER_L2 = (1e-3, 3e-4)
SHORTENER_LENGTHS = (0.3, 0.6, 1.2)
"""Times the references' mean length."""
_PIECE = 512
_SHORTENER_EXAMPLES, _VALIDATED = 3_000, 500
_SOLVED_BYTES = 120 << 20


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Examples with what learning from their sentences needs, whatever layers are seen."""

    training: Training
    surface_MS: Array
    targets_M: Array

    @property
    def rows(self) -> Rows:
        """The features."""
        return self.training.rows

    def view(self, columns: Sequence[Column]) -> View:
        """Return what the head sees of each unit: columns of features and the surface's figures."""

        def read(places_m: Array) -> Array:
            return np.hstack([self.rows.read(places_m, columns), self.surface_MS[places_m]])

        return View.with_more(read, columns, self.surface_MS.shape[1])

    def problem(self) -> Problem:
        """Return the targets: 1 for the sentences that the oracle takes."""
        return Problem(targets=self.targets_M, num_classes=2, ranks=True)


def label(training: Training, last: Column) -> Labelled:
    """Find the oracle's choice and the surface figures of every example that is trained or chosen on."""
    rows = training.rows
    used_n = np.unique(
        np.concatenate([training.indices_n, *(part for fold in training.folds for part in fold)])
    )
    parts: list[Array] = []
    targets_M = np.zeros(rows.starts_N1[-1], dtype=np.int64)
    with progress(len(used_n), "Finding the best sentences", training.reading.task.unit) as advance:
        for start in range(0, len(used_n), _PIECE):
            piece_n = used_n[start : start + _PIECE]
            units = rows.units(piece_n)
            parts.append(surface(units, rows.read(rows.places(piece_n), [last])))
            for index, one in zip(piece_n, units, strict=True):
                chosen = oracle_of([unit.text or "" for unit in one], rows.examples[index].target or "")
                targets_M[rows.starts_N1[index] + np.array(chosen, dtype=np.int64)] = 1
            advance(len(piece_n))
    surface_MS = np.zeros((len(targets_M), parts[0].shape[1]), dtype=np.float32)
    surface_MS[rows.places(used_n)] = np.concatenate(parts)
    return Labelled(training=training, surface_MS=surface_MS, targets_M=targets_M)


def oracle_of(sentences: Sequence[str], reference: str) -> tuple[int, ...]:
    """Return the places of the sentences that together are most like the reference."""
    return oracle.of_texts(tuple(sentences), reference, MOST_ORACLE)


def choose_layer(labelled: Labelled, views: Mapping[str, View]) -> tuple[list[Tried], float]:
    """Choose the layers and lambda by log loss on the folds: all that was tried, and lambda times units."""
    training, rows = labelled.training, labelled.rows
    small = [
        probe.subsample((rows.places(fit), rows.places(validate)), training.spec.seed)
        for fit, validate in training.folds
    ]
    grid = probe.L2_GRID if training.spec.l2 is None else (training.spec.l2,)
    tried = probe.select(labelled.problem(), views, small, grid)
    # The loss is a mean: the same prior weighs less the more units there are.
    return tried, tried[0].l2 * float(np.mean([len(fit) for fit, _ in small]))


def solve(
    labelled: Labelled, columns: Sequence[Column], indices_n: Array, l2_units: float
) -> tuple[SentenceHead, float]:
    """Solve for the layer on some examples' units, as many as fit in memory; return lambda as well."""
    rows, view = labelled.rows, labelled.view(columns)
    most = max(1_000, _SOLVED_BYTES // (4 * view.width))
    places_m = rows.places(indices_n)
    if len(places_m) > most:
        random = np.random.default_rng(labelled.training.spec.seed)
        places_m = np.sort(random.choice(places_m, most, replace=False))
    given = labelled.training.spec.l2
    l2 = float(f"{l2_units / len(places_m):.3g}") if given is None else given
    layer = probe.solve(labelled.problem(), view, places_m, l2).as_float32()
    # Two logits say no more than their difference.
    head = SentenceHead(
        columns=tuple(columns),
        weight_D=np.ascontiguousarray(layer.weight_DK[:, 1] - layer.weight_DK[:, 0]),
        bias=float(layer.bias_K[1] - layer.bias_K[0]),
        budget=BUDGETS[0],
        shortener=None,
    )
    return head, l2


def again(
    head: SentenceHead, labelled: Labelled, l2_units: float, cut: Mapping[str, float] | None
) -> tuple[SentenceHead, float]:
    """Solve anew on all the examples what was chosen on a part of them."""
    training = labelled.training
    solved, l2 = solve(labelled, head.columns, training.indices_n, l2_units)
    short = None
    if cut is not None:
        learnt = learn_shorteners(training, training.indices_n, (cut["lambda"],))
        short = next((one for _, one in learnt), None)
        short = None if short is None else replace(short, words=cut["words"])
    return replace(solved, budget=head.budget, shortener=short), l2


Cut = tuple[dict[str, float], Shortener]
"""A shortener with the lambda and length that it was learnt for."""


def learn_shorteners(
    training: Training, indices_n: Array, penalties: Sequence[float] = SHORTENER_L2
) -> list[Cut]:
    """Learn which words of the best sentences the references have, for each penalty and length."""
    rows, random = training.rows, np.random.default_rng(training.spec.seed)
    used_n = indices_n
    if len(used_n) > _SHORTENER_EXAMPLES:
        used_n = np.sort(random.choice(used_n, _SHORTENER_EXAMPLES, replace=False))
    sentences, kept = [], []
    for index, one in zip(used_n, rows.units(used_n), strict=True):
        texts = [unit.text or "" for unit in one]
        reference = set(rouge.tokens(rows.examples[index].target or ""))
        for place in oracle_of(texts, rows.examples[index].target or ""):
            sentences.append(texts[place].split())
            kept.append([bool(reference.intersection(rouge.tokens(word))) for word in sentences[-1]])
    if not sentences:
        return []
    mean = float(np.mean([len((rows.examples[index].target or "").split()) for index in used_n]))
    with progress(len(penalties), "Learning what to keep of a sentence", "fits") as advance:
        found = []
        for l2 in penalties:
            learnt = shortening.learn(sentences, kept, l2, mean)
            found += [(l2, replace(learnt, words=round(share * mean, 2))) for share in SHORTENER_LENGTHS]
            advance(1)
    return [({"lambda": l2, "words": one.words}, one) for l2, one in found]


def choose_form(
    head: SentenceHead, training: Training, validate_n: Array, cuts: Sequence[Cut]
) -> tuple[SentenceHead, list[dict[str, Any]]]:
    """Choose how many sentences, and whole or cut, by ROUGE on validation data; best first."""
    rows = training.rows
    used_n = validate_n[:: max(1, len(validate_n) // _VALIDATED)]
    units = rows.units(used_n)
    seen_mD = rows.read(rows.places(used_n), head.columns)
    scores = np.split(head.probabilities(seen_mD, units), np.cumsum([len(one) for one in units])[:-1])
    texts = [[unit.text or "" for unit in one] for one in units]
    truths = [rows.examples[index].target or "" for index in used_n]

    def rated(candidate: SentenceHead, cut: Mapping[str, float] | None) -> _Form:
        found = [
            rouge.scores(truth, candidate.extract(score, text).text)[:3]
            for truth, score, text in zip(truths, scores, texts, strict=True)
        ]
        return _Form(float(np.mean(found)), candidate, cut)

    with progress(len(BUDGETS) + 3 * len(cuts), "Choosing the summary's length", "candidates") as advance:
        tried = []
        for budget in BUDGETS:
            tried.append(rated(replace(head, budget=budget), None))
            advance(1)
        best = max(tried, key=lambda one: one.rouge).head.budget
        for budget in dict.fromkeys((best, *BUDGETS[:2])):
            for facts, short in cuts:
                tried.append(rated(replace(head, budget=budget, shortener=short), facts))
                advance(1)
    tried.sort(key=lambda one: -one.rouge)
    return tried[0].head, [one.described() for one in tried]


@dataclass(frozen=True, slots=True)
class _Form:
    """A candidate head's mean of ROUGE-1, -2 and -L on validation data."""

    rouge: float
    head: SentenceHead
    cut: Mapping[str, float] | None

    def described(self) -> dict[str, Any]:
        kind, amount = self.head.budget.kind, self.head.budget.amount
        length = f"{amount:.0%} of the sentences" if kind == "share" else f"{amount:g} sentences"
        return {
            "length": "1 sentence" if length == "1 sentences" else length,
            "cut": self.cut,
            "rouge": round(self.rouge, 5),
        }
