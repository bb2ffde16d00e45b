"""Softmax regression as a convex problem, solved by L-BFGS in one pass over the data per step.

    J(W, b) = 1/N sum_i -log softmax(x_i W + b)[y_i]  +  lambda/2 ||W||^2_F

Shape letters: N examples, n examples of one chunk, D features, K classes. Solver: Liu and Nocedal,
"On the limited memory BFGS method for large scale optimization", 1989, through SciPy.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.special import logsumexp

Array = NDArray[Any]
Chunks = Callable[[], Iterable[tuple[Array, Array]]]
"""Called once a pass: yields features [n, D] with their targets, the first axis the examples."""
Loss = Callable[[Array, Array], tuple[float, Array]]
"""From logits [n, K], which it may overwrite, and targets to the summed loss and its gradient [n, K]."""

MAX_ITERATIONS = 1000


@dataclass(frozen=True, slots=True)
class Linear:
    """Logits x W + b: weight [D, K], bias [K]."""

    weight_DK: Array
    bias_K: Array

    def as_float32(self) -> "Linear":
        """Return the layer in single precision, as it is saved."""
        return Linear(self.weight_DK.astype(np.float32), self.bias_K.astype(np.float32))

    def times(self, factor: float) -> "Linear":
        """Return the layer whose logits are ``factor`` times as large."""
        return Linear(self.weight_DK * factor, self.bias_K * factor)

    def logits(self, x_ND: Array) -> Array:
        """Return [N, K]."""
        return np.asarray(x_ND @ self.weight_DK + self.bias_K)


@dataclass(frozen=True, slots=True)
class Scaling:
    """Per-feature standardisation, over the square root of how many vary: ||x||^2 is 1 on average.

    That makes one grid of lambdas fit any number of features. Features that do not vary get gain 0.
    """

    mean_D: Array
    gain_D: Array

    @staticmethod
    def none(num_features: int) -> "Scaling":
        """Leave features as they are."""
        return Scaling(np.zeros(num_features, np.float32), np.ones(num_features, np.float32))

    def apply(self, x_ND: Any) -> Any:
        """Return standardised features float32 [N, D]; sparse ones as they are."""
        if sparse.issparse(x_ND):
            return x_ND
        scaled_ND = np.subtract(x_ND, self.mean_D, dtype=np.float32)
        scaled_ND *= self.gain_D
        return scaled_ND

    def fold(self, head: Linear) -> Linear:
        """Return the head that takes unstandardised features and gives the same logits."""
        weight_DK = head.weight_DK * self.gain_D[:, None].astype(np.float64)
        return Linear(weight_DK, head.bias_K - self.mean_D.astype(np.float64) @ weight_DK)

    def unfold(self, head: Linear) -> Linear:
        """Return the head that takes standardised features and gives the same logits: ``fold`` undone.

        What does not vary is told by the bias alone.
        """
        weight_DK = head.weight_DK.astype(np.float64)
        gain_D1 = self.gain_D[:, None].astype(np.float64)
        scaled_DK = np.divide(weight_DK, gain_D1, out=np.zeros_like(weight_DK), where=gain_D1 > 0)
        return Linear(scaled_DK, head.bias_K + self.mean_D.astype(np.float64) @ weight_DK)


def scaling(chunks: Iterable[Array]) -> Scaling:
    """Measure mean and deviation over chunks [n, D] by Chan's pairwise update (1979), in float64."""
    count, mean_D, squares_D = 0, np.zeros(()), np.zeros(())
    for x_nD in chunks:
        n, part_mean_D = len(x_nD), x_nD.mean(axis=0, dtype=np.float64)
        part_D = np.square(x_nD - part_mean_D.astype(x_nD.dtype)).sum(axis=0, dtype=np.float64)
        apart_D = part_mean_D - mean_D
        squares_D = squares_D + part_D + np.square(apart_D) * (count * n / (count + n))
        mean_D = mean_D + apart_D * (n / (count + n))
        count += n
    deviation_D = np.sqrt(squares_D / max(count, 1))
    varies_D = varying(deviation_D, mean_D)
    gain_D = np.where(varies_D, 1.0 / np.where(varies_D, deviation_D, 1.0), 0.0)
    gain_D /= np.sqrt(max(int(varies_D.sum()), 1))
    return Scaling(mean_D.astype(np.float32), gain_D.astype(np.float32))


def varying(deviation_D: Array, mean_D: Array) -> Array:
    """Return which features vary [D] by more than the noise of float32, about 1e-7 of a number's size.

    A feature is a sum of others, so it has noise of the size of the largest too: a dead one varies by that.
    Made as large as the others, it would be learnt, and its weight would be in the millions.
    """
    own, others = 1e-6 * np.abs(mean_D), 1e-7 * deviation_D.max(initial=0.0)
    return np.asarray(deviation_D > np.maximum(own, others))


def cross_entropy(logits_nK: Array, y_n: Array) -> tuple[float, Array]:
    """Return sum -log softmax(logits)[y] and its gradient, for places of classes [n]."""
    own = (np.arange(len(y_n)), y_n)
    logits_nK -= logits_nK.max(axis=1, keepdims=True)
    own_n = logits_nK[own]
    residual_nK = np.exp(logits_nK, out=logits_nK)
    total_n = residual_nK.sum(axis=1)
    loss = float((np.log(total_n) - own_n).sum())
    residual_nK /= total_n[:, None]
    residual_nK[own] -= 1.0
    return loss, residual_nK


def solve(
    chunks: Chunks,
    shape: tuple[int, int, int],
    l2: float,
    start: Linear | None = None,
    tolerance: float = 1e-8,
    loss: Loss = cross_entropy,
) -> Linear:
    """Minimise J over data of ``shape`` (N, D, K), from zeros or from ``start``.

    Stops when a step lowers J by less than ``tolerance`` of its value. Another convex ``loss`` takes the
    place of softmax's.
    """
    num_examples, num_features, num_classes = shape

    def objective(flat: Array) -> tuple[float, Array]:
        parameters = flat.reshape(num_features + 1, num_classes)
        weight_DK, bias_K = parameters[:-1], parameters[-1]
        total, gradient = 0.0, np.zeros_like(parameters)
        for x_nD, y in chunks():
            part, residual_nK = loss(x_nD @ weight_DK.astype(x_nD.dtype) + bias_K, y)
            total += part
            gradient[:-1] += x_nD.T @ residual_nK.astype(x_nD.dtype)
            gradient[-1] += residual_nK.sum(axis=0)
        gradient /= num_examples
        gradient[:-1] += l2 * weight_DK
        return total / num_examples + l2 / 2 * float(np.square(weight_DK).sum()), gradient.ravel()

    first = np.zeros((num_features + 1, num_classes))
    if start is not None:
        first = np.vstack([start.weight_DK, start.bias_K])
    options = {"maxiter": MAX_ITERATIONS, "ftol": tolerance, "gtol": 1e-7}
    found = minimize(objective, first.ravel(), jac=True, method="L-BFGS-B", options=options).x
    parameters = found.reshape(num_features + 1, num_classes)
    return Linear(parameters[:-1], parameters[-1])


@dataclass(frozen=True, slots=True)
class Reduced:
    """The same problem in at most N coordinates: Z = X Q with orthonormal Q [D, N] spanning X's rows.

    The minimiser of J lies in the span of the examples, so nothing is lost, and a problem with many
    features and few examples becomes small. X = Z Q^T with Z the Cholesky factor of X X^T.
    """

    z_NR: Array
    x_ND: Array
    factor_NN: Array | None

    def project(self, x_nD: Array) -> Array:
        """Return other examples' coordinates [n, R]."""
        if self.factor_NN is None:
            return x_nD
        return np.asarray(
            solve_triangular(self.factor_NN, _dense(self.x_ND @ x_nD.T), lower=True, check_finite=False).T
        )

    def expand(self, head: Linear) -> Linear:
        """Return the head over the D features: W = X^T L^-T V."""
        if self.factor_NN is None:
            return head
        dual_NK = solve_triangular(self.factor_NN, head.weight_DK, lower=True, trans="T", check_finite=False)
        return Linear(self.x_ND.T.astype(np.float64) @ dual_NK, head.bias_K)


def reduce(x_ND: Array) -> Reduced:
    """Rotate standardised features into at most N coordinates."""
    num_examples, num_features = x_ND.shape
    if num_features <= num_examples:
        return Reduced(x_ND, x_ND, None)
    gram_NN = _dense(x_ND @ x_ND.T).astype(np.float64)
    factor_NN = _factor(gram_NN)
    return Reduced(factor_NN.astype(np.float32), x_ND, factor_NN)


def _factor(gram_NN: Array) -> Array:
    """Return the Cholesky factor of a Gram matrix, its diagonal raised by as little as that takes.

    Repeated pictures make it singular; float32 products carry errors of about 1e-6, of many examples more.
    """
    mean = float(np.trace(gram_NN)) / len(gram_NN)
    for share in (1e-5, 1e-4, 1e-3):
        raised_NN = gram_NN.copy()
        raised_NN[np.diag_indices(len(gram_NN))] += share * mean
        try:
            return np.asarray(cholesky(raised_NN, lower=True, overwrite_a=True, check_finite=False))
        except LinAlgError as error:
            singular = error
    raise singular


def _dense(product: Any) -> Array:
    return np.asarray(product.toarray() if sparse.issparse(product) else product)


def probabilities(logits_NK: Array) -> Array:
    """Return softmax probabilities float64 [N, K]."""
    wide_NK = logits_NK.astype(np.float64)
    return np.asarray(np.exp(wide_NK - logsumexp(wide_NK, axis=1, keepdims=True)))
