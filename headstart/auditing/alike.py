"""Which inputs are alike, joined pair by pair into sets, with what is the same as any of them."""

from collections import defaultdict
from collections.abc import Iterable

from headstart.contracts import Cluster, Likeness
from headstart.maths.buckets import Joined


class Alike:
    """Sets of places that are alike; of ``twins``, the same to the byte, the first stands for all."""

    def __init__(self, count: int, twins: Iterable[Cluster]) -> None:
        self._joined = Joined(count)
        self._copies = {cluster.places[0]: cluster.places for cluster in twins}
        self._others = {place for copies in self._copies.values() for place in copies[1:]}
        self._told: list[tuple[int, str, int]] = []

    def standing(self, places: Iterable[int]) -> list[int]:
        """Return the places less those for which another stands."""
        return [place for place in places if place not in self._others]

    def know(self, one: int, other: int) -> bool:
        """Say whether two are in one set already."""
        return self._joined.root(one) == self._joined.root(other)

    def join(self, one: int, other: int, likeness: Likeness) -> None:
        """Put two into one set."""
        if not self.know(one, other):
            self._joined.join(one, other, likeness.value)
            if likeness.how:
                self._told.append((min(one, other), likeness.how, max(one, other)))

    def join_all(self, clusters: Iterable[Cluster]) -> None:
        """Put in what was found before."""
        for cluster in clusters:
            first, *rest = self.standing(cluster.places)
            for place in rest:
                self.join(first, place, Likeness(cluster.likeness))
            self._told += cluster.told

    def clusters(self) -> list[Cluster]:
        """Return the sets, in order of their first places."""
        told: dict[int, list[tuple[int, str, int]]] = defaultdict(list)
        for one in self._told:
            told[self._joined.root(one[0])].append(one)
        return [
            Cluster(
                tuple(copy for place in members for copy in self._copies.get(place, (place,))),
                likeness,
                tuple(told[self._joined.root(members[0])]),
            )
            for members, likeness in self._joined.sets()
        ]
