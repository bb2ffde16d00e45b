"""Examples that may have several labels, dealt into parts that hold each label in proportion.

Iterative stratification: Sechidis, Tsoumakas and Vlahavas, "On the stratification of multi-label data",
ECML PKDD 2011, algorithm 1. Ties are broken by order instead of by chance.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence


def deal(names: Sequence[Sequence[str]], shares: Sequence[float]) -> list[int]:
    """Return the part of each example, given the labels of each, in the order in which they are dealt.

    ``shares`` are what each part is to have of the examples, and of each label's. The rarest label is
    dealt first, each of its examples to the part that lacks most of it.
    """
    holders: dict[str, list[int]] = defaultdict(list)
    for place, given in enumerate(names):
        for name in given:
            holders[name].append(place)
    lacking = {name: [share * len(places) for share in shares] for name, places in holders.items()}
    room = [share * len(names) for share in shares]
    part_of: dict[int, int] = {}

    def put(place: int, wanted: Sequence[float]) -> None:
        part = max(range(len(shares)), key=lambda one: (wanted[one], room[one], -one))
        part_of[place] = part
        room[part] -= 1
        for name in names[place]:
            lacking[name][part] -= 1
            left[name] -= 1

    left = Counter({name: len(places) for name, places in holders.items()})
    while left := +left:
        rarest = min(left, key=lambda name: (left[name], name))
        for place in holders[rarest]:
            if place not in part_of:
                put(place, lacking[rarest])
    for place in range(len(names)):
        if place not in part_of:
            put(place, room)
    return [part_of[place] for place in range(len(names))]
