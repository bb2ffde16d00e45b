"""What each example adds to the sums that every metric of a classifier is a function of.

Shape letters: N examples, K classes, B resamples, M statistics, E calibration bins.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from headstart.maths.intervals import Array

Integers = NDArray[np.int64]

BINS = 15
"""Equal-width bins of confidence for the calibration error, as in Guo et al. (arXiv:1706.04599)."""

SMALLEST_PROBABILITY = 1e-15
"""Probabilities are clipped here before the logarithm: one certain mistake costs 34.5, not infinity."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums of statistics [B, M] under their names: which column holds what, in one place."""

    sums_BM: Array
    num_classes: int

    def _block(self, first: int, width: int) -> Array:
        return self.sums_BM[:, first : first + width]

    @property
    def hits_BK(self) -> Array:
        """Examples of each class that were predicted as it."""
        return self._block(0, self.num_classes)

    @property
    def true_BK(self) -> Array:
        """Examples of each class."""
        return self._block(self.num_classes, self.num_classes)

    @property
    def predicted_BK(self) -> Array:
        """Examples predicted as each class."""
        return self._block(2 * self.num_classes, self.num_classes)

    @property
    def bin_hits_BE(self) -> Array:
        """Right predictions in each bin of confidence."""
        return self._block(3 * self.num_classes, BINS)

    @property
    def bin_confidence_BE(self) -> Array:
        """Summed confidence of each bin."""
        return self._block(3 * self.num_classes + BINS, BINS)

    @property
    def bin_count_BE(self) -> Array:
        """Examples in each bin."""
        return self._block(3 * self.num_classes + 2 * BINS, BINS)

    @property
    def loss_B(self) -> Array:
        """Summed negative log-likelihood, nats."""
        return self.sums_BM[:, -2]

    @property
    def brier_B(self) -> Array:
        """Summed squared distances between the probabilities and the truth."""
        return self.sums_BM[:, -1]

    @property
    def count_B(self) -> Array:
        """Examples."""
        return np.asarray(self.bin_count_BE.sum(axis=1))


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What scoring needs of a model's probabilities, however many classes there are: five numbers an example.

    The right class's place and the most probable one's (the first of equals), int64 [N]; the
    probabilities of the latter (``confidence_N``) and the former (``likelihood_N``), float64 [N]; and the
    squared distance of all probabilities from the truth (``brier_N``), float64 [N].
    """

    targets_N: Integers
    predicted_N: Integers
    confidence_N: Array
    likelihood_N: Array
    brier_N: Array
    num_classes: int

    @staticmethod
    def of(kept_N5: Array, num_classes: int) -> "Verdicts":
        """Return what ``kept`` was made of."""
        (targets_N, predicted_N), (confidence_N, likelihood_N, brier_N) = (
            kept_N5[:, :2].T.astype(np.int64),
            kept_N5[:, 2:].T,
        )
        return Verdicts(targets_N, predicted_N, confidence_N, likelihood_N, brier_N, num_classes)

    @property
    def kept(self) -> Array:
        """The numbers side by side, float64 [N, 5]."""
        return np.column_stack(
            [self.targets_N, self.predicted_N, self.confidence_N, self.likelihood_N, self.brier_N]
        )


def verdicts(probabilities_NK: NDArray[Any], targets_N: NDArray[Any]) -> Verdicts:
    """Judge probabilities. Raises ValueError where the shapes, targets or probabilities make no sense."""
    targets_N = checked(probabilities_NK, targets_N)
    rows_N, predicted_N = np.arange(len(targets_N)), probabilities_NK.argmax(axis=1)
    apart_NK = probabilities_NK.astype(np.float64)
    apart_NK[rows_N, targets_N] -= 1.0
    return Verdicts(
        targets_N=targets_N,
        predicted_N=predicted_N,
        confidence_N=probabilities_NK[rows_N, predicted_N].astype(np.float64),
        likelihood_N=probabilities_NK[rows_N, targets_N].astype(np.float64),
        brier_N=np.square(apart_NK, out=apart_NK).sum(axis=1),
        num_classes=probabilities_NK.shape[1],
    )


def statistics(said: Verdicts) -> sparse.csr_array:
    """Return the per-example statistics that ``Sums`` names, sparse float64 [N, M].

    Built in its final form, eight entries a row: one million examples take 96 MB.
    """
    num_examples, num_classes = len(said.targets_N), said.num_classes
    bin_N = np.clip(np.searchsorted(bin_edges(), said.confidence_N, side="left") - 1, 0, BINS - 1)
    bin_N += 3 * num_classes
    width = 3 * num_classes + 3 * BINS + 2
    columns, entries = np.empty((num_examples, 8), np.int32), np.ones((num_examples, 8))
    columns[:, 0], entries[:, 0] = said.targets_N, said.predicted_N == said.targets_N
    columns[:, 1], columns[:, 2] = said.targets_N + num_classes, said.predicted_N + 2 * num_classes
    columns[:, 3], entries[:, 3] = bin_N, entries[:, 0]
    columns[:, 4], entries[:, 4] = bin_N + BINS, said.confidence_N
    columns[:, 5] = bin_N + 2 * BINS
    columns[:, 6], entries[:, 6] = width - 2, -np.log(np.maximum(said.likelihood_N, SMALLEST_PROBABILITY))
    columns[:, 7], entries[:, 7] = width - 1, said.brier_N
    first_entry = np.arange(0, 8 * num_examples + 1, 8, dtype=np.int32 if num_examples < 2**28 else np.int64)
    return sparse.csr_array((entries.reshape(-1), columns.reshape(-1), first_entry), (num_examples, width))


def bin_edges() -> Array:
    """Return the edges of the bins of confidence, each bin open below and closed above, [E + 1]."""
    return np.linspace(0.0, 1.0, BINS + 1)


def checked(probabilities_NK: NDArray[Any], targets_N: NDArray[Any]) -> Integers:
    """Return the targets as int64. Raises ValueError where they or the probabilities make no sense."""
    if probabilities_NK.ndim != 2 or targets_N.shape != probabilities_NK.shape[:1]:
        raise ValueError(
            f"found probabilities {probabilities_NK.shape} and targets {targets_N.shape}; "
            "expected [N, K] and [N]; pass one row of probabilities and one target per example"
        )
    if len(targets_N) and (targets_N.min() < 0 or targets_N.max() >= probabilities_NK.shape[1]):
        raise ValueError(
            f"found targets from {targets_N.min()} to {targets_N.max()}; "
            f"expected 0 to {probabilities_NK.shape[1] - 1}; targets index the probabilities' columns"
        )
    if not np.isfinite(probabilities_NK.sum()):
        raise ValueError("found probabilities that are not finite; expected 0 to 1; check the model's output")
    return targets_N.astype(np.int64, copy=False)
