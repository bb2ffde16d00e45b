"""The convex head: softmax regression on cached features, its lambda and layers chosen on validation data.

    min over W, b of  L(W; D) + lambda R(W):   1/N sum -log p(y|x)  +  lambda/2 ||W||^2

Which blocks the head sees is a choice like lambda (Head2Toe, arXiv 2201.03529, sees all of them;
the last block alone is the textbook's). Both are chosen by mean log loss on validation folds, each
candidate's logits multiplied by the factor that suits it best there (``maths.temperature``).
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from headstart.contracts import Array, Column, Fold, Rows
from headstart.core.errors import UserError
from headstart.core.progress import progress
from headstart.core.threads import one_blas_thread
from headstart.maths import logistic, softmax, temperature
from headstart.maths.softmax import Loss

L2_GRID = (1e-1, 1e-2, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5)
_SELECTION_EXAMPLES = 1200
_IN_MEMORY_BYTES = 32 << 20
_MANY_CLASSES = 100
_FINALISTS = 4
_SPANNED = 3_000
"""Of so many examples at most the Gram matrix is factorised: 72 MB, a second."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """One candidate's mean figures over the validation folds it was tried on.

    Where an example may have several labels, both are means over labels as well.
    """

    layers: str
    l2: float
    log_loss: float
    accuracy: float
    folds: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """What is to be told of the examples from their features.

    Targets are places among K classes [N]; or, where an example may have any number of labels, 0 and 1
    [N, K]. ``ranks`` says that only the order of the outputs matters: then no factor is sought.
    """

    targets: Array
    num_classes: int
    ranks: bool = False

    @property
    def several(self) -> bool:
        """Say whether an example may have any number of labels."""
        return self.targets.ndim == 2

    @property
    def loss(self) -> Loss:
        """What the head minimises."""
        return logistic.cross_entropy if self.several else softmax.cross_entropy

    def factor(self, logits_nK: Array, indices_n: Array) -> float:
        """Return what the logits of some examples are best multiplied by."""
        if self.ranks:
            return 1.0
        return temperature.factor(logits_nK, self.targets[indices_n], self.loss)

    def figures(self, logits_nK: Array, indices_n: Array) -> tuple[float, float]:
        """Return the mean log loss of some examples, and the share of decisions that are right."""
        truth = self.targets[indices_n]
        if self.several:
            p_nK = logistic.probabilities(logits_nK)
            right = (p_nK >= logistic.DEFAULT_THRESHOLD) == truth
            return float(logistic.losses(p_nK, truth).mean()), float(right.mean())
        p_nK = softmax.probabilities(logits_nK)
        loss = -np.log(np.maximum(p_nK[np.arange(len(truth)), truth], 1e-15)).mean()
        return float(loss), float((p_nK.argmax(axis=1) == truth).mean())


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """One representation of the examples: ``read`` gives [n, D] of some, dense or sparse float32.

    ``row_bytes`` is what an example takes in memory, about; ``gain_D`` what features are multiplied by
    when they have been standardised, 1 where there is none.
    """

    read: Callable[[Array], Any]
    width: int
    row_bytes: int
    gain_D: Array | None = None

    @staticmethod
    def of(read: Callable[[Array], Any], some_n: Array) -> "View":
        """Return what ``read`` gives, measured on some examples."""
        x_nD = read(some_n)
        size = 8 * x_nD.nnz if sparse.issparse(x_nD) else x_nD.nbytes
        return View(read=read, width=x_nD.shape[1], row_bytes=max(1, -(-size // x_nD.shape[0])))

    @staticmethod
    def of_columns(rows: Rows, columns: Sequence[Column]) -> "View":
        """Return what a head sees that looks at some columns of the features."""
        return View.with_more(lambda indices_n: rows.read(indices_n, columns), columns, 0)

    @staticmethod
    def with_more(read: Callable[[Array], Any], columns: Sequence[Column], more: int) -> "View":
        """Return a view of some columns of the features and, after them, as many other figures."""
        widths = [column.stop - column.start for column in columns]
        weight_D = np.repeat([*(column.weight for column in columns), 1.0], [*widths, more])
        gain_D = np.sqrt(weight_D / weight_D.mean()).astype(np.float32)
        return View(read=read, width=len(gain_D), row_bytes=4 * len(gain_D), gain_D=gain_D)

    def pieces(self, indices_n: Array) -> Iterator[Array]:
        """Yield the indices in pieces whose features take bounded memory."""
        step = max(1, _IN_MEMORY_BYTES // 4 // self.row_bytes)
        for start in range(0, len(indices_n), step):
            yield indices_n[start : start + step]


def chosen_sets(wanted: str, sets: Mapping[str, Sequence[Column]]) -> dict[str, Sequence[Column]]:
    """Return the layer sets to choose among: the wanted one, or all there are. Raises UserError."""
    there = {name: columns for name, columns in sets.items() if columns}
    if wanted == "auto":
        return there
    if wanted not in there:
        raise UserError(
            f"--layers {wanted} of a model without them", f"one of {', '.join(there)}", "choose one"
        )
    return {wanted: there[wanted]}


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
    """Return (log loss, accuracy) on the fold for each lambda, each at its best factor."""
    if not grid:
        return []
    return [
        problem.figures(logits_mK * problem.factor(logits_mK, fold[1]), fold[1])
        for logits_mK in _held_out(problem, view, fold, grid)
    ]


def _held_out(problem: Problem, view: View, fold: Fold, grid: Sequence[float]) -> Iterator[Array]:
    """Yield the logits [m, K] of what a fold validates on, for each lambda, each solved from the last."""
    fit, validate = fold
    x_nD = view.read(fit)
    scaling = _scaling(view, [x_nD])
    reduced = softmax.reduce(scaling.apply(x_nD))
    held_out = reduced.project(scaling.apply(view.read(validate)))
    y = problem.targets[fit]
    shape = (len(fit), reduced.z_NR.shape[1], problem.num_classes)
    head = None
    for l2 in grid:
        head = softmax.solve(lambda: [(reduced.z_NR, y)], shape, l2, head, 1e-6, problem.loss)
        yield head.logits(held_out)


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """What to multiply logits by, from which probability on labels are given, and what both were chosen on.

    ``logits_mK`` are those of ``indices_m``, by heads that did not see them, times the factor.
    """

    factor: float
    threshold: float
    indices_m: Array
    logits_mK: Array


def settle(problem: Problem, view: View, folds: Sequence[Fold], l2: float) -> Settled:
    """Return the factor and the threshold that are best over all that the folds validate on."""
    held_out = np.concatenate([fold[1] for fold in folds])
    with one_blas_thread():
        logits_MK = np.concatenate([next(_held_out(problem, view, fold, (l2,))) for fold in folds])
    factor = problem.factor(logits_MK, held_out)
    scaled_MK, threshold = logits_MK * factor, logistic.DEFAULT_THRESHOLD
    if problem.several:
        threshold = logistic.threshold(logistic.probabilities(scaled_MK), problem.targets[held_out])
    return Settled(factor=factor, threshold=threshold, indices_m=held_out, logits_mK=scaled_MK)


def _scaling(view: View, chunks: Iterable[Array]) -> softmax.Scaling:
    """Standardise dense features; sparse ones are scaled already, and would not stay sparse."""
    first, *rest = itertools.islice(chunks := iter(chunks), 1)
    if sparse.issparse(first):
        return softmax.Scaling.none(first.shape[1])
    found = softmax.scaling(itertools.chain([first], rest, chunks))
    return found if view.gain_D is None else softmax.Scaling(found.mean_D, found.gain_D * view.gain_D)


def solve(problem: Problem, view: View, indices_n: Array, l2: float) -> softmax.Linear:
    """Solve the convex problem on all the given examples; memory stays flat as they grow."""
    if len(indices_n) * view.row_bytes <= _IN_MEMORY_BYTES:
        x_nD = view.read(indices_n)
        scaling = _scaling(view, [x_nD])
        return scaling.fold(_solve_in_memory(problem, scaling.apply(x_nD), indices_n, l2))
    scaling = _scaling(view, (view.read(part) for part in view.pieces(indices_n)))
    few = indices_n[:: -(-len(indices_n) // _SELECTION_EXAMPLES)]
    start = _solve_in_memory(problem, scaling.apply(view.read(few)), few, l2)
    shape = (len(indices_n), view.width, problem.num_classes)
    # Chunks times a few classes are small products; with many classes more threads pay.
    threads = nullcontext() if problem.num_classes >= _MANY_CLASSES else one_blas_thread()
    with threads, progress(softmax.MAX_ITERATIONS, "Solving the head, at most", "passes") as advance:

        def passes() -> Iterator[tuple[Array, Array]]:
            advance(1)
            for part in view.pieces(indices_n):
                yield scaling.apply(view.read(part)), problem.targets[part]

        return scaling.fold(softmax.solve(passes, shape, l2, start, 1e-6, problem.loss))


def _solve_in_memory(problem: Problem, x_nD: Any, indices_n: Array, l2: float) -> softmax.Linear:
    """Solve on scaled features that fit in memory, in the coordinates of their span where that pays."""
    spanned = len(indices_n) <= _SPANNED
    reduced = softmax.reduce(x_nD) if spanned else softmax.Reduced(x_nD, x_nD, None)
    y = problem.targets[indices_n]
    shape = (len(indices_n), reduced.z_NR.shape[1], problem.num_classes)
    with one_blas_thread():
        return reduced.expand(softmax.solve(lambda: [(reduced.z_NR, y)], shape, l2, loss=problem.loss))


def subsample(fold: Fold, seed: int) -> Fold:
    """Keep at most 1,200 examples to fit on and 600 to validate on: choosing needs no more."""
    random = np.random.default_rng(seed)
    fit, validate = fold
    if len(fit) > _SELECTION_EXAMPLES:
        fit = np.sort(random.choice(fit, _SELECTION_EXAMPLES, replace=False))
    if len(validate) > _SELECTION_EXAMPLES // 2:
        validate = np.sort(random.choice(validate, _SELECTION_EXAMPLES // 2, replace=False))
    return fit, validate
