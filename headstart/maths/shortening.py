"""Which run of a sentence's words to keep: a log-linear model of words, and the run of the best expected F1.

    min over w of  1/N sum -log p(kept_i | x_i)  +  lambda/2 |w|^2

x_i are binary features of a word and its neighbours, kept_i says whether the reference has the word:
compression as a choice of words (Knight and Marcu, AAAI 2000), kept in one piece. Convex. With keep
probabilities q, a run of L words has expected F1 of about 2 sum q / (L + R) for a reference of R words.
Shape letters: N words of all sentences, V features, W words of one sentence.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize

Floats = NDArray[np.float64]
Words = Sequence[str]

_LEAST = 3
_EDGE = 8


@dataclass(frozen=True)
class Shortener:
    """Weights [V] of the features in ``names``; ``words`` is R, the length that a summary should have."""

    names: tuple[str, ...]
    weights_V: NDArray[np.float32]
    words: float

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.names)}

    def keep(self, words: Words) -> Floats:
        """Return how likely each word is kept, float64 [W]."""
        logits_W = _matrix(_features(words), self._places) @ self.weights_V.astype(np.float64)
        return np.asarray(1 / (1 + np.exp(-logits_W)))

    def span(self, words: Words) -> tuple[int, int]:
        """Return the first word to keep and one past the last: at least one."""
        if len(words) < 2:
            return 0, len(words)
        sums = np.concatenate([[0.0], self.keep(words).cumsum()])
        length = np.arange(len(words) + 1)[None, :] - np.arange(len(words))[:, None]
        expected = (sums[None, :] - sums[:-1, None]) / (np.maximum(length, 1) + self.words)
        begin, end = np.unravel_index(int(np.where(length > 0, expected, -1.0).argmax()), length.shape)
        return int(begin), int(end)


def learn(sentences: Sequence[Words], kept: Sequence[Sequence[bool]], l2: float, words: float) -> Shortener:
    """Solve for the weights on sentences and which of their words the references have."""
    rows = [row for sentence in sentences for row in _features(sentence)]
    counts = Counter(name for row in rows for name in row)
    names = tuple(sorted(name for name, count in counts.items() if count >= _LEAST))
    x_NV = _matrix(rows, {name: place for place, name in enumerate(names)})
    signs_N = np.array([1.0 if one else -1.0 for sentence in kept for one in sentence])

    def objective(weights_V: Floats) -> tuple[float, Floats]:
        margins_N = signs_N * (x_NV @ weights_V)
        loss = float(np.logaddexp(0.0, -margins_N).mean())
        slopes_N = -signs_N / (1 + np.exp(np.minimum(margins_N, 500.0))) / len(signs_N)
        return loss + l2 / 2 * float(weights_V @ weights_V), x_NV.T @ slopes_N + l2 * weights_V

    options = {"maxiter": 100, "ftol": 1e-6}
    found = minimize(objective, np.zeros(len(names)), jac=True, method="L-BFGS-B", options=options)
    return Shortener(names, found.x.astype(np.float32), words)


def _features(words: Words) -> list[list[str]]:
    """Return the features of each word."""
    folded = ["", "", *(word.casefold() for word in words), "", ""]
    rows = []
    for place, word in enumerate(words):
        far, before, own, after, beyond = folded[place : place + 5]
        bare = own.strip(".,;:()[]\"'")
        rows.append(
            [
                *(f"0={bare}", f"-1={before}", f"+1={after}", f"-2={far}", f"+2={beyond}"),
                *(f"-2-1={far} {before}", f"-10={before} {bare}", f"01={bare} {after}"),
                f"end={bare[-3:]}",
                f"form={word[:1].isupper():d}{word[-1:] if not word[-1:].isalnum() else ''}{len(bare) > 3:d}",
                f"from={min(place, _EDGE)}",
                f"to={min(len(words) - place, _EDGE)}",
                f"all={min(len(words), 4 * _EDGE) // 4}",
                "",
            ]
        )
    return rows


def _matrix(rows: Sequence[Sequence[str]], known: dict[str, int]) -> sparse.csr_array:
    places = [[known[name] for name in row if name in known] for row in rows]
    indptr = np.cumsum([0, *map(len, places)])
    indices = np.array([place for row in places for place in row], dtype=np.int64)
    return sparse.csr_array((np.ones(len(indices)), indices, indptr), shape=(len(rows), len(known)))
