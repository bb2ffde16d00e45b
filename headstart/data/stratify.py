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


def deal_roles(names: Sequence[Sequence[str]], shares: Sequence[float]) -> list[int]:
    """Deal sets of examples, given the labels of all in each; the first part, to train on, lacks none.

    A label that it would lack, it gets back from where most of it is. A part that would be empty, the last
    ones first, gets the smallest set that another can spare; it stays empty where none can.
    """
    dealt = deal(names, shares)
    holders: dict[str, list[int]] = defaultdict(list)
    for place, some in enumerate(names):
        for name in dict.fromkeys(some):
            holders[name].append(place)
    for name in sorted(holders):
        if all(dealt[place] for place in holders[name]):
            dealt[max(holders[name], key=lambda place: names[place].count(name))] = 0

    def spare(place: int) -> bool:
        part = dealt[place]
        taught = (sum(dealt[one] == 0 for one in holders[name]) > 1 for name in names[place])
        return dealt.count(part) > 1 and (part > 0 or all(taught))

    for part in range(len(shares) - 1, 0, -1):
        if part not in dealt:
            spares = filter(spare, range(len(names)))
            smallest = min(spares, key=lambda place: len(names[place]), default=None)
            if smallest is not None:
                dealt[smallest] = part
    return dealt
