"""Some of the examples, each class in proportion: a function of the seed and the keys alone."""

from collections import defaultdict
from collections.abc import Sequence

from headstart.contracts import Example
from headstart.data.split import rank

_LEAST = 4


def sample(examples: Sequence[Example], most: int, seed: int) -> list[Example]:
    """Return at most so many of the examples, in their own order, at least four of each class that has them.

    Classes are held in proportion beyond that. Where an example has no class, it is one like any other.
    """
    by_class: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        by_class[example.label].append(example)
    most = max(most, _LEAST * len(by_class))
    if len(examples) <= most:
        return list(examples)
    ranked = list[tuple[tuple[bool, float], str]]()
    for members in by_class.values():
        members.sort(key=lambda one: rank(seed, one.key))
        # Sorted by how far along its class each one is, any beginning of the list is in proportion.
        shares = [(place >= _LEAST, (place + 0.5) / len(members)) for place in range(len(members))]
        ranked += zip(shares, (one.key for one in members), strict=True)
    kept = {key for _, key in sorted(ranked)[:most]}
    return [example for example in examples if example.key in kept]
