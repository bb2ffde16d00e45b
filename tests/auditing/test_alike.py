"""Sets of what is alike: copies come along, and what one is to another is told."""

from headstart.auditing.alike import Alike
from headstart.contracts import Cluster, Likeness


def test_copies_come_along_and_the_least_likeness_counts() -> None:
    alike = Alike(9, [Cluster((1, 4, 7))])
    assert alike.standing(range(9)) == [0, 1, 2, 3, 5, 6, 8]
    alike.join(1, 2, Likeness(0.9))
    alike.join(2, 5, Likeness(0.8, "a mirror image of"))
    alike.join(1, 5, Likeness(0.1, "never told"))
    alike.join(3, 8, Likeness(1.0))
    assert alike.know(1, 5)
    assert not alike.know(1, 3)
    assert alike.clusters() == [
        Cluster((1, 4, 7, 2, 5), 0.8, ((2, "a mirror image of", 5),)),
        Cluster((3, 8), 1.0),
    ]


def test_what_was_found_before_is_kept() -> None:
    alike = Alike(9, [Cluster((1, 4))])
    alike.join_all([Cluster((1, 4, 2), 0.9, ((1, "a mirror image of", 2),)), Cluster((5, 6), 0.95)])
    alike.join(2, 6, Likeness(0.97, "another cut of"))
    assert alike.clusters() == [
        Cluster((1, 4, 2, 5, 6), 0.9, ((1, "a mirror image of", 2), (2, "another cut of", 6)))
    ]
