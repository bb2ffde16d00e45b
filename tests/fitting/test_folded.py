"""Folded normalisation: the same outputs and gradients as unfolded; what cannot be folded is left alone."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from headstart.fitting.folded import Folded, fold


class Net(nn.Module):
    """Three convolutions with normalisation; the way from the second to its norm is what a test says."""

    def __init__(self, way: str = "straight", bias: bool = False, affine: bool = True) -> None:
        super().__init__()
        self.way = way
        sizes = [(3, 6, 1), (6, 6, 6), (6, 6, 1)]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1, groups=g, bias=bias) for a, b, g in sizes)
        self.norms = nn.ModuleList(nn.BatchNorm2d(6, affine=affine) for _ in sizes)
        for norm in self.norms:
            for one in norm.state_dict().values():
                if one.is_floating_point():
                    one.uniform_(0.5, 2.0)
        if way == "shared":
            self.convs[2] = self.convs[1]

    def outputs(self, x: Tensor) -> dict[str, Tensor]:
        found = {}
        for place, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            made = conv(x)
            if place == 1 and self.way == "given":
                found["raw"] = made
            if place == 1 and self.way == "added":
                x = made + norm(made)
            elif place == 1 and self.way == "changed":
                x = norm(made * 2)
            else:
                x = norm(made).relu()
            found[str(place)] = x
        return found


def inputs() -> Mapping[str, Tensor]:
    return {"x": torch.randn(4, 3, 9, 9, generator=torch.Generator().manual_seed(0))}


def gradients(net: Any, mode: Folded | None) -> dict[str, Tensor]:
    net.zero_grad()
    if mode is None:
        outputs = net.outputs(*inputs().values())
    else:
        with mode:
            outputs = net.outputs(*inputs().values())
    torch.stack([(one**3).mean() for one in outputs.values()]).sum().backward()
    return {name: one.grad.clone() for name, one in net.named_parameters()}


@pytest.mark.parametrize(("bias", "affine"), [(False, True), (True, True), (True, False)])
def test_gradients_are_those_of_the_network_as_it_is(bias: bool, affine: bool) -> None:
    torch.manual_seed(1)
    net = Net(bias=bias, affine=affine).eval()
    mode = fold(net, inputs())
    assert mode is not None
    assert len(mode.norms) == 3
    with torch.no_grad():
        for one in net.parameters():  # as after a step: what was found holds for other weights
            one.mul_(1.3)
    expected = gradients(net, None)
    for name, one in gradients(net, mode).items():
        torch.testing.assert_close(one, expected[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("way", "folds"), [("given", 2), ("added", 2), ("changed", 2), ("shared", 1)])
def test_what_goes_elsewhere_too_is_left_alone(way: str, folds: int) -> None:
    torch.manual_seed(1)
    net = Net(way).eval()
    mode = fold(net, inputs())
    assert mode is not None
    assert len(mode.norms) == folds


def test_what_gathers_statistics_is_left_alone() -> None:
    assert fold(Net().train(), inputs()) is None


def test_what_lies_between_is_not_kept() -> None:
    torch.manual_seed(1)
    net = Net().eval()
    mode = fold(net, inputs())
    assert mode is not None

    def kept(run: Any) -> int:
        seen: dict[int, int] = {}

        def note(one: Tensor) -> Tensor:
            if one.ndim == 4 and one.shape[0] == 4:
                seen[one.untyped_storage().data_ptr()] = one.untyped_storage().nbytes()
            return one

        with torch.autograd.graph.saved_tensors_hooks(note, lambda one: one):
            held = run()  # held, so that no memory is used twice
        assert held
        return sum(seen.values())

    def folded() -> Any:
        with mode:
            return net.outputs(*inputs().values())

    map_bytes = 4 * 6 * 9 * 9 * 4
    assert kept(lambda: net.outputs(*inputs().values())) - kept(folded) == 3 * map_bytes
