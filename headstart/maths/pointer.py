"""Where in a sentence the part worth keeping begins and ends: two log-linear pointers over its words.

    min over s, e of  1/N sum -log softmax_i(x_i s)[i*] - log softmax_j(z_j e)[j*]  +  lambda/2 |s, e|^2

x_i and z_j are binary features of the words on both sides of a gap between words (pointers as in
Vinyals et al., arXiv 1506.03134; compression as a choice of words: Knight and Marcu, AAAI 2000). Convex.
Shape letters: N sentences, G gaps of all of them, V features.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize

Floats = NDArray[np.float64]
Words = Sequence[str]
Span = tuple[int, int]
"""The first word and one past the last."""

_LEAST = 3
_EDGE = 8


@dataclass(frozen=True, slots=True)
class Pointer:
    """Weights [2, V] of the features in ``names``: of a beginning, of an end."""

    names: tuple[str, ...]
    weights_2V: NDArray[np.float32]

    def span(self, words: Words) -> Span:
        """Return the likeliest part of a sentence, at least one word."""
        if len(words) < 2:
            return 0, len(words)
        known = {name: place for place, name in enumerate(self.names)}
        logits = [
            _matrix([_gap(words, gap) for gap in gaps], known) @ weights.astype(np.float64)
            for gaps, weights in zip(_gaps(len(words)), self.weights_2V, strict=True)
        ]
        joint = logits[0][:, None] + logits[1][None, :]
        joint[np.tril_indices(len(words), -1)] = -np.inf
        begin, last = np.unravel_index(int(joint.argmax()), joint.shape)
        return int(begin), int(last) + 1


def learn(sentences: Sequence[Words], spans: Sequence[Span], l2: float) -> Pointer:
    """Solve for both pointers on sentences and the part of each that should be kept."""
    counts: Counter[str] = Counter()
    for words in sentences:
        counts.update(name for gap in range(len(words) + 1) for name in _gap(words, gap))
    names = tuple(sorted(name for name, count in counts.items() if count >= _LEAST))
    known = {name: place for place, name in enumerate(names)}
    weights = []
    for side in (0, 1):
        rows = [_gap(words, gap) for words in sentences for gap in _gaps(len(words))[side]]
        sizes = np.array([len(words) for words in sentences])
        targets = np.array([span[side] - side for span in spans]) + np.cumsum(sizes) - sizes
        weights.append(_solve(_matrix(rows, known), sizes, targets, l2))
    return Pointer(names, np.stack(weights).astype(np.float32))


def _gaps(num_words: int) -> tuple[range, range]:
    """Return the gaps before which a part may begin, and those at which it may end."""
    return range(num_words), range(1, num_words + 1)


def _gap(words: Words, gap: int) -> list[str]:
    """Return the features of the gap before word ``gap``."""
    near = [words[place].casefold() if 0 <= place < len(words) else "" for place in range(gap - 2, gap + 2)]
    far, before, after, beyond = near
    mark, opener = before[-1:], after[:1]
    next_case = "A" if words[gap : gap + 1] and words[gap][:1].isupper() else "a"
    return [
        *(f"{offset}={word}" for offset, word in zip((-2, -1, 1, 2), near, strict=True)),
        *(f"-2-1={far} {before}", f"-1+1={before} {after}", f"+1+2={after} {beyond}"),
        f"mark={mark if not mark.isalnum() else ''}",
        f"opener={opener if not opener.isalnum() else ''}{next_case}",
        f"from={min(gap, _EDGE)}",
        f"to={min(len(words) - gap, _EDGE)}",
    ]


def _matrix(rows: Sequence[Sequence[str]], known: dict[str, int]) -> sparse.csr_array:
    places = [[known[name] for name in row if name in known] for row in rows]
    indptr = np.cumsum([0, *map(len, places)])
    indices = np.array([place for row in places for place in row], dtype=np.int64)
    shape = (len(rows), len(known))
    return sparse.csr_array((np.ones(len(indices)), indices, indptr), shape=shape)


def _solve(
    x_GV: sparse.csr_array, sizes_N: NDArray[np.int64], targets_N: NDArray[np.int64], l2: float
) -> Floats:
    """Minimise one pointer's loss; ``targets_N`` are the right gaps' rows."""
    starts_N = np.cumsum(sizes_N) - sizes_N

    def objective(weights_V: Floats) -> tuple[float, Floats]:
        logits_G = x_GV @ weights_V
        logits_G -= np.repeat(np.maximum.reduceat(logits_G, starts_N), sizes_N)
        exp_G = np.exp(logits_G)
        total_N = np.add.reduceat(exp_G, starts_N)
        loss = float((np.log(total_N) - logits_G[targets_N]).mean())
        residual_G = exp_G / np.repeat(total_N, sizes_N)
        residual_G[targets_N] -= 1.0
        gradient_V = x_GV.T @ residual_G / len(sizes_N) + l2 * weights_V
        return loss + l2 / 2 * float(weights_V @ weights_V), gradient_V

    first = np.zeros(x_GV.shape[1])
    found = minimize(objective, first, jac=True, method="L-BFGS-B", options={"maxiter": 200, "ftol": 1e-6})
    return np.asarray(found.x)
