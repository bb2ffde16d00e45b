"""The convex head: softmax regression on cached features, its lambda and layers chosen on validation data.

    min over W, b of  L(W; D) + lambda R(W):   1/N sum -log p(y|x)  +  lambda/2 ||W||^2

Which blocks the head sees is a choice like lambda (Head2Toe, arXiv 2201.03529, sees all of them;
the last block alone is the textbook's). Both are chosen by mean log loss on validation folds.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from headstart.contracts import Array
from headstart.core.progress import progress
from headstart.core.threads import one_blas_thread
from headstart.maths import softmax
from headstart.model.features import Features
from headstart.model.head import Head
from headstart.model.taps import Column

L2_GRID = (1e-1, 1e-2, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5)
_SELECTION_EXAMPLES = 2000
_IN_MEMORY_BYTES = 128 << 20

Fold = tuple[Array, Array]
"""Indices to fit on, indices to validate on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """One candidate's mean figures over the validation folds."""

    layers: str
    l2: float
    log_loss: float
    accuracy: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Features with their targets [N] in K classes."""

    features: Features
    targets_N: Array
    num_classes: int

    def chunks(self, indices_n: Array, columns: Sequence[Column]) -> Iterator[tuple[Array, Array]]:
        """Yield features with targets in pieces of bounded memory."""
        width = sum(column.stop - column.start for column in columns)
        step = max(1, _IN_MEMORY_BYTES // 4 // (4 * width))
        for start in range(0, len(indices_n), step):
            part = indices_n[start : start + step]
            yield self.features.read(part, columns), self.targets_N[part]


def select(
    problem: Problem, candidates: Mapping[str, Sequence[Column]], folds: Sequence[Fold], grid: Sequence[float]
) -> list[Tried]:
    """Try every layer set with every lambda on the folds; best first, by log loss."""
    tried: list[Tried] = []
    with one_blas_thread(), progress(len(candidates) * len(folds) * len(grid), "Choosing layers and lambda", "fits") as advance:
        for name, columns in candidates.items():
            scores = []
            for fit, validate in folds:
                scores.append(_path(problem, columns, (fit, validate), grid))
                advance(len(grid))
            for l2, (log_loss, accuracy) in zip(grid, np.mean(scores, axis=0), strict=True):
                tried.append(Tried(layers=name, l2=l2, log_loss=float(log_loss), accuracy=float(accuracy)))
    return sorted(tried, key=lambda one: (one.log_loss, -one.l2))


def _path(
    problem: Problem, columns: Sequence[Column], fold: Fold, grid: Sequence[float]
) -> list[tuple[float, float]]:
    """Return (log loss, accuracy) on the fold for each lambda, from the largest down, each from the last."""
    fit, validate = fold
    x_nD = problem.features.read(fit, columns)
    scaling = softmax.scaling([x_nD])
    reduced = softmax.reduce(scaling.apply(x_nD))
    held_out = reduced.project(scaling.apply(problem.features.read(validate, columns)))
    y_n, truth_m = problem.targets_N[fit], problem.targets_N[validate]
    shape = (len(fit), reduced.z_NR.shape[1], problem.num_classes)
    head, scores = None, []
    for l2 in grid:
        head = softmax.solve(lambda: [(reduced.z_NR, y_n)], shape, l2, head, tolerance=1e-6)
        p_mK = softmax.probabilities(head.logits(held_out))
        loss = -np.log(np.maximum(p_mK[np.arange(len(truth_m)), truth_m], 1e-15)).mean()
        scores.append((float(loss), float((p_mK.argmax(axis=1) == truth_m).mean())))
    return scores


def fit_linear(problem: Problem, indices_n: Array, columns: Sequence[Column], l2: float) -> Head:
    """Solve the convex problem on all the given examples; memory stays flat as they grow."""
    width = sum(column.stop - column.start for column in columns)
    scaling = softmax.scaling(x for x, _ in problem.chunks(indices_n, columns))
    shape = (len(indices_n), width, problem.num_classes)
    if len(indices_n) * width * 4 <= _IN_MEMORY_BYTES:
        reduced = softmax.reduce(scaling.apply(problem.features.read(indices_n, columns)))
        y_N = problem.targets_N[indices_n]
        small = (len(indices_n), reduced.z_NR.shape[1], problem.num_classes)
        with one_blas_thread():
            solved = reduced.expand(softmax.solve(lambda: [(reduced.z_NR, y_N)], small, l2))
    else:
        with progress(softmax.MAX_ITERATIONS, "Solving the head", "passes") as advance:

            def passes() -> Iterator[tuple[Array, Array]]:
                advance(1)
                for x_nD, y_n in problem.chunks(indices_n, columns):
                    yield scaling.apply(x_nD), y_n

            solved = softmax.solve(passes, shape, l2, tolerance=1e-6)
    return Head.of(columns, [scaling.fold(solved)])


def subsample(fold: Fold, seed: int) -> Fold:
    """Keep at most 2,000 examples to fit on and 1,000 to validate on: choosing needs no more."""
    random = np.random.default_rng(seed)
    fit, validate = fold
    if len(fit) > _SELECTION_EXAMPLES:
        fit = np.sort(random.choice(fit, _SELECTION_EXAMPLES, replace=False))
    if len(validate) > _SELECTION_EXAMPLES // 2:
        validate = np.sort(random.choice(validate, _SELECTION_EXAMPLES // 2, replace=False))
    return fit, validate
