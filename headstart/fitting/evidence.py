"""What features tell before a head is trained: rows of them beside the data's answers, parted into folds.

Shape letters: n examples, M rows of them, m rows held out, D features, K classes, C channels, G the finest
side, S states of a text.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from headstart.contracts import Array, Column, Evidence, Floats, Fold, Rows, Training
from headstart.fitting import probe, sentences
from headstart.fitting.maps import Samples
from headstart.fitting.probe import Problem, Tried, View, chosen_sets
from headstart.maths import bilinear
from headstart.model.maps import side_of, unpacked
from headstart.model.rows import unpaged

_CELLS, _CELLS_A_PICTURE = 2_000, 64
_WORDS, _LEAST_TEXTS = 200, 3
_AT_ONCE = 32
WEAK = (
    "which of the target's words can be told from the source's states says little about how well a "
    "decoder will write; confirm the first few by training them"
)


def of_examples(
    training: Training, sets: Mapping[str, Sequence[Column]], targets: Array, measure: str
) -> Evidence:
    """Return a row for each example; ``targets`` are theirs alone: [n], or [n, K] of several labels."""
    rows, indices_n = training.rows, training.indices_n
    return Evidence(
        views={name: rows.read(indices_n, columns) for name, columns in _plain(sets).items()},
        targets=targets,
        num_classes=len(training.classes),
        folds=row_folds(training.folds, indices_n),
        measure=measure,
    )


def of_cells(training: Training, sets: Mapping[str, Sequence[Column]]) -> Evidence:
    """Return some cells of every picture on the finest map's grid, each with the class that covers most.

    Coarser maps are resized to that grid. Cells where more is ignored than not are left out.
    """
    rows, used, random = training.rows, _plain(sets), np.random.default_rng(training.spec.seed)
    columns = max(used.values(), key=len)
    finest = max(map(side_of, columns))
    samples = Samples(rows, training.indices_n, training.classes, finest)
    owner_m = _owners(rows, training.indices_n)
    each = int(np.clip(_CELLS // len(owner_m), 4, _CELLS_A_PICTURE))
    found: list[Floats] = []
    targets: list[Array] = []
    owners: list[int] = []
    for place, owner in zip(rows.places(training.indices_n), owner_m, strict=True):
        one = np.array([place])
        shares_KC = samples.shares(one)[0].reshape(len(training.classes), -1)
        taught = np.flatnonzero(shares_KC.sum(axis=0) > 0.5)
        taken = np.sort(random.choice(taught, min(each, len(taught)), replace=False))
        maps = [bilinear.resize(x[0], finest, finest) for x in unpacked(columns, rows.read(one, columns))]
        found.append(np.concatenate([x.reshape(len(x), -1)[:, taken] for x in maps]).T)
        targets.append(shares_KC[:, taken].argmax(axis=0))
        owners += [int(owner)] * len(taken)
    x_MD = np.concatenate(found)
    channels = [(column.stop - column.start) // side_of(column) ** 2 for column in columns]
    at = {
        column.name: slice(stop - own, stop)
        for column, own, stop in zip(columns, channels, np.cumsum(channels), strict=True)
    }
    return Evidence(
        views={name: np.hstack([x_MD[:, at[one.name]] for one in some]) for name, some in used.items()},
        targets=np.concatenate(targets),
        num_classes=len(training.classes),
        folds=row_folds(training.folds, np.array(owners)),
        measure="cell_accuracy",
    )


def of_sentences(training: Training, sets: Mapping[str, Sequence[Column]]) -> Evidence:
    """Return every sentence with figures about its place and form [M, D], and whether the oracle takes it."""
    used, owner_n = _plain(sets), training.indices_n
    labelled = sentences.label(training, next(iter(used.values()))[-1])
    places_m = training.rows.places(owner_n)
    return Evidence(
        views={name: labelled.view(columns).read(places_m) for name, columns in used.items()},
        targets=labelled.targets_M[places_m][:, None].astype(np.uint8),
        num_classes=1,
        folds=row_folds(training.folds, _owners(training.rows, owner_n)),
        measure="oracle_sentence_f1",
    )


def of_words(training: Training, columns: Sequence[Column]) -> Evidence:
    """Return the mean of each text's states, and which of common words [n, K] its target holds.

    Words in more than half of the targets tell nothing of one; those in one or two cannot be learnt.
    """
    rows, indices_n = training.rows, training.indices_n
    targets = [set((rows.examples[index].target or "").lower().split()) for index in indices_n]
    counts = Counter(word for words in targets for word in words)
    common = [
        word
        for word, count in counts.most_common()
        if _LEAST_TEXTS <= count <= max(len(targets) // 2, _LEAST_TEXTS)
    ]
    kept = sorted(common[:_WORDS])
    return Evidence(
        views={"last": _mean_states(rows, indices_n, columns)},
        targets=np.array([[word in words for word in kept] for words in targets], dtype=np.uint8),
        num_classes=len(kept),
        folds=row_folds(training.folds, indices_n) if kept else [],
        measure="target_word_f1",
        weak=WEAK,
    )


def _mean_states(rows: Rows, indices_n: Array, columns: Sequence[Column]) -> Floats:
    """Return the mean over each text's tokens of its states, float32 [n, S]."""
    found = []
    for start in range(0, len(indices_n), _AT_ONCE):
        _, states_nTS, real_nT = unpaged(rows.read(rows.places(indices_n[start : start + _AT_ONCE]), columns))
        found.append((states_nTS * real_nT[..., None]).sum(axis=1) / real_nT.sum(axis=1, keepdims=True))
    return np.concatenate(found).astype(np.float32)


def row_folds(folds: Sequence[Fold], owner_M: Array) -> list[Fold]:
    """Return folds of examples as folds of their rows, given which example each row is of."""
    return [
        (np.flatnonzero(np.isin(owner_M, fit)), np.flatnonzero(np.isin(owner_M, validate)))
        for fit, validate in folds
    ]


def best_head(evidence: Evidence) -> Tried | None:
    """Return the layers and lambda with the least log loss over the folds; None without folds."""
    if not evidence.folds:
        return None
    return probe.select(*_posed(evidence), probe.L2_GRID)[0]


def held_out(evidence: Evidence, head: Tried | None = None) -> tuple[Array, Array] | None:
    """Return what the head says of each row that a fold holds out [m, K], and which rows; None without folds.

    It is the convex problem that ``fit`` solves, on the same layer sets:

        min over W, b of  1/N sum -log p(y|x)  +  lambda/2 ||W||^2

    Layers and lambda are those of ``head``, the best one where none is given. The logits' factor is that with
    the least log loss over the folds.
    """
    best = head or best_head(evidence)
    if best is None:
        return None
    problem, views, folds = _posed(evidence)
    settled = probe.settle(problem, views[best.layers], folds, best.l2)
    return settled.logits_mK, settled.indices_m


def _posed(evidence: Evidence) -> tuple[Problem, dict[str, View], list[Fold]]:
    problem = Problem(targets=evidence.targets, num_classes=evidence.num_classes)
    views = {name: View.of(x_MD.__getitem__, np.arange(1)) for name, x_MD in evidence.views.items()}
    return problem, views, [probe.subsample(fold, 0) for fold in evidence.folds]


def _plain(sets: Mapping[str, Sequence[Column]]) -> dict[str, Sequence[Column]]:
    """Return the layer sets there are, less those whose columns have weights: they repeat others."""
    used = chosen_sets("auto", sets)
    return {name: columns for name, columns in used.items() if all(one.weight == 1.0 for one in columns)}


def _owners(rows: Rows, indices_n: Array) -> Array:
    """Return which example each row of some examples is of."""
    return np.repeat(indices_n, rows.starts_N1[indices_n + 1] - rows.starts_N1[indices_n])
