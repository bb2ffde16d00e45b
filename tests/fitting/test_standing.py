"""Weights put aside come back bit for bit, whatever trains on meanwhile."""

import torch

from headstart.fitting.standing import Aside


def test_weights_put_aside_come_back() -> None:
    tensors = {
        "across": torch.randn(3, 5).T,  # not contiguous
        "count": torch.tensor(7),
        "none": torch.empty(0, 3),
        "flags": torch.tensor([True, False]),
    }
    expected = {name: one.clone() for name, one in tensors.items()}
    aside = Aside(tensors)
    for one in tensors.values():
        one.zero_()
    for _ in range(2):  # a checkpoint reads them too
        found = aside.read()
        assert found.keys() == expected.keys()
        for name, one in expected.items():
            assert found[name].dtype == one.dtype
            assert found[name].shape == one.shape
            assert torch.equal(found[name], one)
