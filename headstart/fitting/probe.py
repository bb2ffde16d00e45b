"""The convex head: softmax regression on cached features, its lambda and layers chosen on validation data.

    min over W, b of  L(W; D) + lambda R(W):   1/N sum -log p(y|x)  +  lambda/2 ||W||^2

Which blocks the head sees is a choice like lambda (Head2Toe, arXiv 2201.03529, sees all of them;
the last block alone is the textbook's). Both are chosen by mean log loss on validation folds.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from headstart.contracts import Array, Column, Fold, Rows
from headstart.core.progress import progress
from headstart.core.threads import one_blas_thread
from headstart.maths import softmax

L2_GRID = (1e-1, 1e-2, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5)
_SELECTION_EXAMPLES = 1200
_IN_MEMORY_BYTES = 32 << 20
_MANY_CLASSES = 100
_FINALISTS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """One candidate's mean figures over the validation folds it was tried on."""

    layers: str
    l2: float
    log_loss: float
    accuracy: float
    folds: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Examples with their features, their targets [N] in K classes."""

    rows: Rows
    targets_N: Array
    num_classes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """One representation of the examples: ``read`` gives [n, D] of some, dense or sparse float32."""

    read: Callable[[Array], Any]
    width: int

    @staticmethod
    def of_columns(rows: Rows, columns: Sequence[Column]) -> "View":
        """Return what a head sees that looks at some columns of the features."""
        width = sum(column.stop - column.start for column in columns)
        return View(read=lambda indices_n: rows.read(indices_n, columns), width=width)

    def pieces(self, indices_n: Array) -> Iterator[Array]:
        """Yield the indices in pieces whose dense features take bounded memory."""
        step = max(1, _IN_MEMORY_BYTES // 4 // (4 * self.width))
        for start in range(0, len(indices_n), step):
            yield indices_n[start : start + step]


def select(
    problem: Problem, views: Mapping[str, View], folds: Sequence[Fold], grid: Sequence[float]
) -> list[Tried]:
    """Try every view with every lambda on the first fold, the best few on all; best first, by log loss.

    Successive halving (Jamieson and Talwalkar, arXiv 1502.07943) in two rounds.
    """
    scores: dict[tuple[str, float], list[tuple[float, float]]] = {
        (name, l2): [] for name in views for l2 in grid
    }
    entered = set(scores)
    count = len(scores) + (len(folds) - 1) * min(_FINALISTS, len(scores))
    with one_blas_thread(), progress(count, "Choosing layers and lambda", "fits") as advance:
        for fold in folds:
            for name, view in views.items():
                lambdas = [l2 for l2 in grid if (name, l2) in entered]
                for l2, score in zip(lambdas, _path(problem, view, fold, lambdas), strict=True):
                    scores[name, l2].append(score)
                if lambdas:
                    advance(len(lambdas))
            entered = set(
                sorted(entered, key=lambda pair: (np.mean(scores[pair], axis=0)[0], pair))[:_FINALISTS]
            )
    tried = [_tried(pair, found) for pair, found in scores.items()]
    return sorted(tried, key=lambda one: (-one.folds, one.log_loss, -one.l2))


def _tried(pair: tuple[str, float], found: Sequence[tuple[float, float]]) -> Tried:
    log_loss, accuracy = np.mean(found, axis=0)
    return Tried(
        layers=pair[0], l2=pair[1], log_loss=float(log_loss), accuracy=float(accuracy), folds=len(found)
    )


def _path(problem: Problem, view: View, fold: Fold, grid: Sequence[float]) -> list[tuple[float, float]]:
    """Return (log loss, accuracy) on the fold for each lambda, from the largest down, each from the last."""
    if not grid:
        return []
    fit, validate = fold
    scaling = _scaling([view.read(fit)])
    reduced = softmax.reduce(scaling.apply(view.read(fit)))
    held_out = reduced.project(scaling.apply(view.read(validate)))
    y_n, truth_m = problem.targets_N[fit], problem.targets_N[validate]
    shape = (len(fit), reduced.z_NR.shape[1], problem.num_classes)
    head, scores = None, []
    for l2 in grid:
        head = softmax.solve(lambda: [(reduced.z_NR, y_n)], shape, l2, head, tolerance=1e-6)
        p_mK = softmax.probabilities(head.logits(held_out))
        loss = -np.log(np.maximum(p_mK[np.arange(len(truth_m)), truth_m], 1e-15)).mean()
        scores.append((float(loss), float((p_mK.argmax(axis=1) == truth_m).mean())))
    return scores


def _scaling(chunks: Iterable[Array]) -> softmax.Scaling:
    """Standardise dense features; sparse ones are scaled already, and would not stay sparse."""
    first, *rest = itertools.islice(chunks := iter(chunks), 1)
    if sparse.issparse(first):
        return softmax.Scaling.none(first.shape[1])
    return softmax.scaling(itertools.chain([first], rest, chunks))


def solve(problem: Problem, view: View, indices_n: Array, l2: float) -> softmax.Linear:
    """Solve the convex problem on all the given examples; memory stays flat as they grow."""
    scaling = _scaling(view.read(part) for part in view.pieces(indices_n))
    if len(indices_n) * view.width * 4 <= _IN_MEMORY_BYTES:
        return scaling.fold(_solve_in_memory(problem, view, scaling, indices_n, l2))
    few = indices_n[:: -(-len(indices_n) // _SELECTION_EXAMPLES)]
    start = _solve_in_memory(problem, view, scaling, few, l2 * len(indices_n) / len(few))
    shape = (len(indices_n), view.width, problem.num_classes)
    # Chunks times a few classes are small products; with many classes more threads pay.
    threads = nullcontext() if problem.num_classes >= _MANY_CLASSES else one_blas_thread()
    with threads, progress(softmax.MAX_ITERATIONS, "Solving the head, at most", "passes") as advance:

        def passes() -> Iterator[tuple[Array, Array]]:
            advance(1)
            for part in view.pieces(indices_n):
                yield scaling.apply(view.read(part)), problem.targets_N[part]

        return scaling.fold(softmax.solve(passes, shape, l2, start, tolerance=1e-6))


def _solve_in_memory(
    problem: Problem, view: View, scaling: softmax.Scaling, indices_n: Array, l2: float
) -> softmax.Linear:
    """Solve on examples that fit in memory, in the coordinates of the scaled features."""
    reduced = softmax.reduce(scaling.apply(view.read(indices_n)))
    y_n = problem.targets_N[indices_n]
    shape = (len(indices_n), reduced.z_NR.shape[1], problem.num_classes)
    with one_blas_thread():
        return reduced.expand(softmax.solve(lambda: [(reduced.z_NR, y_n)], shape, l2))


def subsample(fold: Fold, seed: int) -> Fold:
    """Keep at most 1,200 examples to fit on and 600 to validate on: choosing needs no more."""
    random = np.random.default_rng(seed)
    fit, validate = fold
    if len(fit) > _SELECTION_EXAMPLES:
        fit = np.sort(random.choice(fit, _SELECTION_EXAMPLES, replace=False))
    if len(validate) > _SELECTION_EXAMPLES // 2:
        validate = np.sort(random.choice(validate, _SELECTION_EXAMPLES // 2, replace=False))
    return fit, validate
