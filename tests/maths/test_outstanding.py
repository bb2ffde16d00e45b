"""Neighbours against all pairs, and pairs that stand out among look-alikes."""

import numpy as np

from headstart.maths import outstanding


def directions(seed: int, count: int, width: int = 32) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(count, width))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def near(x: np.ndarray, spread: float, seed: int) -> np.ndarray:
    y = x + spread * directions(seed, len(x), x.shape[1])
    return (y / np.linalg.norm(y, axis=1, keepdims=True)).astype(np.float32)


def found(x: np.ndarray) -> set[tuple[int, int]]:
    return {(int(a), int(b)) for a, b in outstanding.outstanding(x)}


def test_neighbours_are_those_of_all_pairs() -> None:
    x = directions(0, 300)
    places, cosines = outstanding.neighbours(x, 7)
    every = x @ x.T
    np.fill_diagonal(every, -2)
    expected = np.sort(every, axis=1)[:, ::-1][:, :7]
    np.testing.assert_allclose(cosines, expected, atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(every, places, axis=1), expected, atol=1e-6)


def test_of_many_what_is_near_is_found_in_few_cells() -> None:
    x = directions(1, 3_000)
    copies = near(x[:200], 0.3, 2)
    expected = {(place, 3_000 + place) for place in range(200)}
    assert len(expected - found(np.concatenate([x, copies]))) <= 2
    places, cosines = outstanding.neighbours(x, 3)
    assert (places >= 0).all()
    assert (places != np.arange(3_000)[:, None]).all()
    assert (np.diff(cosines, axis=1) <= 0).all()


def test_look_alikes_do_not_stand_out_and_a_copy_among_them_does() -> None:
    crowd = near(np.repeat(directions(3, 1, 128), 60, axis=0), 0.3, 4)
    assert found(crowd) == set()
    others = directions(5, 200, 128)
    copy = near(crowd[:1], 0.05, 6)
    assert found(np.concatenate([crowd, others, copy])) == {(0, 260)}


def test_a_group_of_copies_stands_out_together() -> None:
    x = directions(7, 100)
    group = near(np.repeat(x[:1], 6, axis=0), 0.1, 8)
    assert found(np.concatenate([x, group])) >= {(0, 100 + place) for place in range(6)}


def test_few_have_no_neighbours_to_stand_out_from() -> None:
    for count in range(3):
        assert found(directions(9, count)) == set()
