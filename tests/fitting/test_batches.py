"""Batches counted in tokens."""

import numpy as np
import pytest

from headstart.fitting.batches import token_batches


@pytest.mark.parametrize("tokens", [1, 100, 1_000, 10**6])
def test_each_example_once_and_no_batch_too_large(tokens: int) -> None:
    random = np.random.default_rng(0)
    lengths, indices = random.integers(1, 90, 700), np.arange(2_000, 2_700)
    batches = token_batches(lengths, indices, tokens, (0, 0))
    assert sorted(np.concatenate(batches)) == indices.tolist()
    for batch in batches:
        longest = lengths[batch - 2_000].max()
        assert longest * len(batch) <= tokens or len(batch) == 1


def test_little_is_padding() -> None:
    lengths, indices = np.random.default_rng(0).integers(5, 200, 5_000), np.arange(5_000)
    batches = token_batches(lengths, indices, 4_000, (0, 0))
    padded = sum(lengths[batch].max() * len(batch) for batch in batches)
    assert padded / lengths.sum() < 1.1
    assert len(batches) < 1.2 * lengths.sum() / 4_000


def test_the_order_is_a_function_of_the_key() -> None:
    lengths, indices = np.random.default_rng(0).integers(1, 90, 300), np.arange(300)
    first, again, other = (token_batches(lengths, indices, 500, key) for key in ((0, 1), (0, 1), (0, 2)))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=False))
