"""Resizing is torch's; its adjoint is its transpose."""

import numpy as np
import pytest
import torch

from headstart.maths import bilinear


@pytest.mark.parametrize("sides", [(1, 1, 5, 7), (2, 3, 8, 9), (7, 7, 28, 28), (5, 4, 3, 2), (8, 8, 8, 8)])
def test_it_is_what_torch_does(sides: tuple[int, int, int, int]) -> None:
    height, width, rows, columns = sides
    maps = np.random.default_rng(0).normal(size=(2, 3, height, width)).astype(np.float32)
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(maps), size=(rows, columns), mode="bilinear", align_corners=False
    )
    np.testing.assert_allclose(bilinear.resize(maps, rows, columns), theirs.numpy(), atol=1e-5)


def test_the_adjoint_is_the_transpose() -> None:
    random = np.random.default_rng(1)
    small, large = random.normal(size=(3, 4)), random.normal(size=(9, 7))
    forward = (bilinear.resize(small, 9, 7) * large).sum()
    assert forward == pytest.approx((small * bilinear.adjoint(large, 3, 4)).sum(), rel=1e-6)


def test_weights_sum_to_one() -> None:
    assert np.allclose(bilinear.matrix(7, 23).sum(axis=1), 1)
