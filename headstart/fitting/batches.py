"""Batches of examples of like length, counted in tokens: little is spent on padding."""

from collections.abc import Sequence

import numpy as np

from headstart.contracts import Array
from headstart.fitting.loop import shuffled

_WINDOW = 64


def token_batches(lengths_n: Array, indices_n: Array, tokens: int, key: tuple[int, ...]) -> list[Array]:
    """Return batches of at most ``tokens`` tokens, padding counted: a pure function of the key.

    Within windows of some batches examples go by length, so that the order stays random and batches even.
    """
    order = shuffled(np.arange(len(indices_n)), key)
    mean = max(1, int(tokens // max(float(lengths_n.mean()), 1.0)))
    batches: list[Array] = []
    for start in range(0, len(order), _WINDOW * mean):
        window = order[start : start + _WINDOW * mean]
        batches += _filled(window[np.argsort(lengths_n[window], kind="stable")], lengths_n, tokens)
    return [indices_n[batches[place]] for place in shuffled(np.arange(len(batches)), (*key, 1))]


def _filled(order: Array, lengths_n: Array, tokens: int) -> Sequence[Array]:
    """Cut an order of rising lengths where a batch is full; a text longer than that is a batch alone."""
    batches, begin = list[Array](), 0
    for place in range(len(order)):
        if place > begin and int(lengths_n[order[place]]) * (place + 1 - begin) > tokens:
            batches.append(order[begin:place])
            begin = place
    return [*batches, order[begin:]]
