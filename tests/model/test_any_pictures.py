"""Modules that say nothing of themselves: their blocks against what is known of them."""

from typing import Any

import pytest

from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch
from headstart.fitting.blocks import blocks_of
from headstart.model.any_pictures import any_network
from headstart.model.architectures import chain

torch = prepare_torch()

import timm  # noqa: E402
import torchvision  # noqa: E402
from torch import nn  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")


def drawn(make: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        return make().eval()


def pixels(size: int = 64, pictures: int = 2) -> Any:
    return torch.randn(pictures, 3, size, size, generator=torch.Generator().manual_seed(9))


def outputs(network: Any, x_NCHW: Any) -> dict[str, Any]:
    with torch.inference_mode():
        return dict(zip(network.blocks, network.outputs(x_NCHW), strict=True))


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5", "convnext_atto"])
def test_blocks_are_where_torchvision_and_timm_have_them(name: str) -> None:
    if name == "convnext_atto":
        module = drawn(lambda: timm.create_model(name))
        maps = module.forward_intermediates(pixels())[1]
        expected = {f"stages.{place}": one for place, one in enumerate(maps)}
    elif name == "shufflenet_v2_x0_5":
        module = drawn(lambda: torchvision.models.get_model(name, weights=None))
        stem = module.maxpool(module.conv1(pixels()))
        second = module.stage2(stem)
        expected = {"conv1.0": stem, "stage2.3": second, "stage3.7": module.stage3(second)}
    else:
        module = drawn(lambda: torchvision.models.get_model(name, weights=None))
        known = chain(f"torchvision/{name}")
        known.module.load_state_dict(module.state_dict())
        known.module.eval()
        expected = {one: value for one, value in outputs(known, pixels()).items() if "." in one}
    found = outputs(any_network(name, module, 64), pixels())
    shared = [one for one in expected if one in found]
    assert len(shared) > len(expected) // 2
    for one in shared:
        torch.testing.assert_close(found[one], expected[one], rtol=1e-5, atol=1e-5)


def test_tokens_become_maps_and_the_first_token_a_vector() -> None:
    module = drawn(lambda: timm.create_model("test_vit", img_size=64))
    found = outputs(any_network("vit", module, 64), pixels())
    last, maps = module.forward_intermediates(pixels())
    for place, one in enumerate(maps[:-1]):
        torch.testing.assert_close(found[f"blocks.{place}"], one, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found["head.input"], module.forward_head(last, pre_logits=True))


class Functions(nn.Module):
    """Activations, pooling and a sum that are no modules; one layer that is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.twice = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 1, 1)
        self.left, self.right = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, 1, 1)
        self.unused, self.tells = nn.Conv2d(8, 8, 1), nn.Linear(8, 3)

    def forward(self, x: Any) -> Any:
        x = torch.relu(self.first(x))
        x = torch.relu(self.twice(x))
        x = torch.relu(self.twice(x))
        x = torch.relu(self.left(x) + self.right(x))
        return {"logits": self.tells(x.mean((2, 3)))}


def test_what_is_no_module_is_seen_where_it_is_taken() -> None:
    module = drawn(Functions)
    network = any_network("functions", module, 32)
    assert network.blocks == ("first", "twice", "twice#1", "left", "right", "tells.input")
    found = outputs(network, pixels(32))
    x1 = torch.relu(module.first(pixels(32)))
    x2 = torch.relu(module.twice(x1))
    x3 = torch.relu(module.twice(x2))
    x4 = torch.relu(module.left(x3) + module.right(x3))
    expected = {
        "first": x1,
        "twice": x2,
        "twice#1": x3,
        "left": module.left(x3),
        "tells.input": x4.mean((2, 3)),
    }
    for name, one in expected.items():
        torch.testing.assert_close(found[name], one)
    # Alone as in a batch, and watched without a trace.
    torch.testing.assert_close(outputs(network, pixels(32)[:1])["tells.input"], found["tells.input"][:1])
    assert not any(one._forward_hooks or one._forward_pre_hooks for one in module.modules())


def test_each_weight_belongs_to_the_block_that_uses_it_first() -> None:
    module = drawn(Functions)
    network = any_network("functions", module, 32)

    class Trunk(nn.Module):
        inner = module

        def outputs(self, x: Any) -> dict[str, Any]:
            return dict(zip(network.blocks, network.outputs(x), strict=True))

    found = {one.name: one.parameters for one in blocks_of(Trunk(), {"x": pixels(32).numpy()})}
    assert found == {
        "first": ("first.weight", "first.bias"),
        "twice": ("twice.weight", "twice.bias"),
        "left": ("left.weight", "left.bias"),
        "right": ("right.weight", "right.bias"),
    }


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 4)), "gives no maps"),
        (nn.Identity, "gives no maps"),
        (lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3)), "cannot be run at 32 px"),
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 64), nn.ReLU()), "cannot be run at 32 px"),
        (lambda: nn.LSTM(3, 4), "cannot be run at 32 px"),
    ],
)
def test_what_is_no_model_of_pictures_is_refused(make: Any, told: str) -> None:
    with pytest.raises(UserError, match=told):
        any_network("x", make(), 32)
