"""Vectors of blocks by every modality, against slow means over what they were made of.

A new modality needs a case here, and nothing else.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from headstart.contracts import Array, Column, Floats, Inputs, Modality
from headstart.core import plugins
from headstart.evaluation import vectors

UNITS = (2, 1, 3)
"""How many units each of three examples has."""
LENGTHS = (20, 5, 33, 16, 1, 40)
MAPS = (("colours", 4, 3), ("stage.3", 4, 5), ("stage.5", 2, 7))


@dataclass(frozen=True)
class Case:
    """What a trunk gives of six units [6, ...], its taps' shapes, and each block's vectors by example."""

    shapes: Mapping[str, tuple[int, ...]]
    features: Array
    inputs: Sequence[Inputs]
    expected: Sequence[Sequence[Array]]


def mean(vectors_: Sequence[Array]) -> Array:
    total = np.zeros(len(vectors_[0]))
    for one in vectors_:
        total += one
    return total / len(vectors_)


def by_example(units: Sequence[Any]) -> list[list[Any]]:
    stops = np.cumsum(UNITS)
    return [list(units[stop - count : stop]) for stop, count in zip(stops, UNITS, strict=True)]


def pooled(shapes: Mapping[str, int], wanted: Sequence[str]) -> Case:
    """Vectors side by side, of which some are means of blocks: an example's is the mean of its units'."""
    random = np.random.default_rng(0)
    taps = {name: random.normal(size=(6, width)) + 3 for name, width in shapes.items()}
    return Case(
        shapes={name: (width,) for name, width in shapes.items()},
        features=np.hstack(list(taps.values())).astype(np.float32),
        inputs=[{}] * 6,
        expected=[[mean(one) for one in by_example(taps[name])] for name in wanted],
    )


def maps() -> Case:
    """Maps of several sides, first the colours: a unit's vector is the mean of a map's cells."""
    random = np.random.default_rng(1)
    made = {f"{side}x{side}/{name}": (side, width) for name, side, width in MAPS}
    taps = {name: random.normal(size=(6, width, side, side)) + 2 for name, (side, width) in made.items()}
    cells = {
        name: [mean([one[:, y, x] for y in range(len(one[0])) for x in range(len(one[0]))]) for one in map_]
        for name, map_ in taps.items()
    }
    return Case(
        shapes={name: (width * side**2,) for name, (side, width) in made.items()},
        features=np.hstack([map_.reshape(6, -1) for map_ in taps.values()]).astype(np.float32),
        inputs=[{}] * 6,
        expected=[[mean(one) for one in by_example(cells[name])] for name in list(made)[1:]],
    )


def tokens(width: int, blocks: int) -> Case:
    """States of texts that were padded to the longest: each real token of an example counts alike."""
    random = np.random.default_rng(2)
    states = random.normal(size=(6, max(LENGTHS), width)) + np.arange(6)[:, None, None]
    inputs = [{"input_ids": random.integers(0, 9, length)} for length in LENGTHS]
    real = [list(one[:length]) for one, length in zip(states, LENGTHS, strict=True)]
    own = [mean([state for unit in one for state in unit]) for one in by_example(real)]
    return Case({"layer.5": (8, width)}, states.astype(np.float32), inputs, [own] * blocks)


CASES: Mapping[str, Callable[[], Case]] = {
    "picture": lambda: pooled({"pixels": 12, "mean/a": 3, "mean/b": 4, "grid/a": 12}, ("mean/a", "mean/b")),
    "text": lambda: pooled({"mean/0": 3, "mean/1": 3, "mean/2": 5}, ("mean/0", "mean/1", "mean/2")),
    "picture-maps": maps,
    "text-states": lambda: tokens(4, 1),
    "text-tokens": lambda: tokens(1, 0),
}


@dataclass(frozen=True)
class Made:
    """A case as rows of features, how many rows each example has, and what is to be found."""

    modality: Modality
    columns: Sequence[Column]
    rows_MD: Floats
    counts_n: Array
    case: Case

    def seen(self, block: Sequence[Column]) -> Floats:
        """Return a block's columns side by side."""
        return np.hstack([self.rows_MD[:, one.start : one.stop] for one in block])


@pytest.fixture(params=plugins.names("modality"))
def made(request: pytest.FixtureRequest) -> Made:
    modality: Modality = plugins.load("modality", request.param)
    case = CASES[request.param]()
    own = modality.rows(case.features, case.inputs)
    counts = [sum(map(len, one)) for one in by_example(own)]
    return Made(modality, modality.columns(case.shapes), np.concatenate(own), np.array(counts), case)


def test_vectors_are_means_over_all_that_is_real_of_an_example(made: Made) -> None:
    blocks = made.modality.blocks(made.columns)
    assert len(blocks) == len(made.case.expected)
    for block, expected in zip(blocks, made.case.expected, strict=True):
        assert set(block) <= set(made.columns)
        found = vectors.of_rows(made.modality, made.seen(block), block, made.counts_n)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, np.stack(expected), rtol=1e-5, atol=1e-5)


def test_a_row_says_the_same_alone_and_among_others(made: Made) -> None:
    for block in made.modality.blocks(made.columns):
        together, weight_R = made.modality.vectors(made.seen(block), block)
        assert len(together) == len(weight_R) == len(made.rows_MD)
        assert (weight_R > 0).all()
        for place in range(len(made.rows_MD)):
            alone, own = made.modality.vectors(made.seen(block)[place : place + 1], block)
            np.testing.assert_array_equal(alone[0], together[place])
            assert own[0] == weight_R[place]
