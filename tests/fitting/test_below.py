"""Below the freeze line: blocks, what crosses the line, adapters, recomputing, augmentations and mixtures."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load

from headstart.contracts import Augmentation
from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch
from headstart.data.augmentation import KINDS, draw, of_grid, of_picture
from headstart.fitting import line, lora, strategies
from headstart.fitting.blocks import blocks_of, depths, recompute
from headstart.fitting.dropout import DropoutOfWords
from headstart.fitting.inputs import Mix
from headstart.model.trunk import find_model

torch = prepare_torch()
pytestmark = pytest.mark.usefixtures("one_thread")
SIZES = {"image_size": None, "max_length": None, "tiles": None}
Folder = Callable[[str], Path]


def trunk_of(base: str, modality: str) -> tuple[Any, dict[str, Any]]:
    model = find_model(base, modality, SIZES | ({"image_size": 64} if modality == "picture" else {}), None)
    sample = {
        name: np.random.default_rng(0).integers(1, 200, array.shape).astype(array.dtype)
        if name in ("pixels",)
        else array
        for name, array in model.modality.sample(model.pretrained.preprocess).items()
    }
    return model.new_trunk(), sample


@pytest.fixture(params=["bert", "roberta", "gpt2", "distilbert", "pack:efficientnet-lite0"])
def trunk(request: pytest.FixtureRequest, family_folder: Folder) -> tuple[Any, dict[str, Any]]:
    if ":" in request.param:
        return trunk_of(request.param, "picture")
    return trunk_of(f"hf:{family_folder(request.param)}", "text")


def test_each_weight_belongs_to_the_first_block_that_uses_it(trunk: tuple[Any, dict[str, Any]]) -> None:
    """By the slow way: a block's weights are those that change its output, and no earlier one."""
    module, sample = trunk
    inputs = [torch.from_numpy(one) for one in sample.values()]
    blocks = blocks_of(module, sample)
    assert len(blocks) >= 2
    with torch.no_grad():
        before = module.outputs(*inputs)
        for block in (blocks[0], blocks[-1]):
            weight = dict(module.inner.named_parameters())[block.parameters[-1]]
            kept = weight.clone()
            weight.add_(0.5 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)) + 0.1)
            after = module.outputs(*inputs)
            weight.copy_(kept)
            changed = [name for name in before if not torch.equal(before[name], after[name])]
            assert changed
            assert changed[0] == block.name
    assert depths(blocks)[blocks[-1].parameters[0]] == 1


def test_what_crosses_the_line_stands_for_everything_below(trunk: tuple[Any, dict[str, Any]]) -> None:
    module, sample = trunk
    blocks = blocks_of(module, sample)
    inputs = {name: torch.from_numpy(array) for name, array in sample.items()}
    lengths = (
        inputs["attention_mask"].sum(1).numpy() if "attention_mask" in inputs else np.zeros(2, dtype=int)
    )

    def read(places_n: Any) -> dict[str, Any]:
        return {name: one[places_n] for name, one in inputs.items()}

    kept = line.drawn(module, blocks[:-1], np.arange(2), read, lengths)
    assert kept is not None
    expected = module.parts(*inputs.values())
    _, outputs, taps = kept.through(np.array([1, 0]))
    assert list(outputs)[-1] == list(module.outputs(*inputs.values()))[-1]
    for tap, part in zip(module.taps, expected, strict=True):
        torch.testing.assert_close(taps[tap.name], part[[1, 0]], rtol=1e-4, atol=1e-5)
    kept.close()
    loss = sum(one.square().sum() for one in taps.values())
    loss.backward()
    named = dict(module.inner.named_parameters())
    assert all(named[name].grad is None for block in blocks[1:-1] for name in block.parameters)
    assert any(named[name].grad is not None for name in blocks[-1].parameters)


def test_recomputed_gradients_are_the_same(trunk: tuple[Any, dict[str, Any]]) -> None:
    module, sample = trunk
    inputs = [torch.from_numpy(one) for one in sample.values()]
    for one in module.modules():
        one.training = not isinstance(one, torch.nn.BatchNorm2d)

    def gradients() -> dict[str, Any]:
        module.zero_grad()
        with torch.random.fork_rng(devices=[]), DropoutOfWords():
            torch.manual_seed(0)
            loss = sum(one.square().sum() for one in module.outputs(*inputs).values())
            loss.backward()
        return {n: p.grad.clone() for n, p in module.inner.named_parameters() if p.grad is not None}

    before = gradients()
    recompute(blocks_of(module, sample))
    after = gradients()
    assert set(before) == set(after)
    for name, one in before.items():
        torch.testing.assert_close(after[name], one, rtol=1e-4, atol=1e-4 * float(one.abs().max() + 1e-9))


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_adapters_are_merged_and_pefts_own(family_folder: Folder, tmp_path: Path) -> None:
    """What was trained is in the weights; the files, loaded by PEFT on the model as it was, give the same."""
    from peft import PeftModel

    module, sample = trunk_of(f"hf:{family_folder('bert')}", "text")
    inputs = [torch.from_numpy(one) for one in sample.values()]
    blocks = blocks_of(module, sample)
    names = list(module.inner.state_dict())
    adapted = strategies.open_up(strategies.parse("lora"), module, blocks, seed=0)
    assert adapted is not None
    trained = {name for name, one in module.inner.named_parameters() if one.requires_grad}
    assert trained
    assert all(".lora_" in name for name in trained)
    with torch.no_grad():
        for name, one in module.inner.named_parameters():
            if "lora_B" in name:
                one.normal_(std=0.1, generator=torch.Generator().manual_seed(1))
        expected = module(*inputs)
        for name, content in adapted.files().items():
            (tmp_path / Path(name).name).write_bytes(content)
        adapted.merge()
        assert list(module.inner.state_dict()) == names
        torch.testing.assert_close(module(*inputs), expected, rtol=1e-4, atol=1e-5)
        again, _ = trunk_of(f"hf:{family_folder('bert')}", "text")
        PeftModel.from_pretrained(again.inner, str(tmp_path))
        torch.testing.assert_close(again(*inputs), expected, rtol=1e-4, atol=1e-5)
    assert load((tmp_path / "adapter_model.safetensors").read_bytes())


def test_strategies_by_name() -> None:
    assert (strategies.parse("last-3").last, strategies.parse("head").moves) == (3, "nothing")
    for wrong in ("last", "last-0", "last-x", "lorra"):
        with pytest.raises(UserError, match="--strategy"):
            strategies.parse(wrong)


def test_more_blocks_than_there_are(family_folder: Folder) -> None:
    module, sample = trunk_of(f"hf:{family_folder('bert')}", "text")
    blocks = blocks_of(module, sample)
    with pytest.raises(UserError, match=rf"last-9 of a model with {len(blocks)} blocks"):
        strategies.open_up(strategies.parse("last-9"), module, blocks, 0)


def test_nothing_to_adapt() -> None:
    class Bare:
        inner = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3))

    with pytest.raises(UserError, match="linear layers"):
        lora.adapt(Bare(), [], 0)


WHOLE = Augmentation(
    left=0.0, top=0.0, width=1.0, height=1.0, mirrored=False, brightness=1.0, contrast=1.0, saturation=1.0
)


@pytest.mark.parametrize("kind", KINDS)
def test_an_augmentation_is_a_pure_function_of_its_key(kind: str) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (40, 40, 3)).astype(np.uint8)
    seen = {of_picture(picture, draw(kind, (0, epoch, 5))).tobytes() for epoch in range(6)}
    again = {of_picture(picture, draw(kind, (0, epoch, 5))).tobytes() for epoch in range(6)}
    assert seen == again
    assert len(seen) >= 2
    assert (of_picture(picture, WHOLE) == picture).all()


def test_a_mask_gets_the_same_view_as_its_picture() -> None:
    """A picture whose colour tells the class: after any change colour and class still agree."""
    classes = np.zeros((64, 64), dtype=np.int64)
    classes[8:40, 16:60] = 1
    picture = np.repeat((classes * 200).astype(np.uint8)[:, :, None], 3, axis=2)
    for epoch in range(20):
        change = draw("crop", (0, epoch, 1))
        told, seen = (
            of_grid(classes, change),
            of_picture(picture, change)[:, :, 0] > 100,
        )
        assert (told == seen).mean() > 0.96, change


def test_mixtures_are_drawn_by_example_and_weigh_what_is_seen() -> None:
    places, key = np.arange(12), (0, 3)
    dark, bright = (
        torch.zeros(12, 20, 20, 3, dtype=torch.uint8),
        torch.full((12, 20, 20, 3), 200, dtype=torch.uint8),
    )
    mix = Mix(0.4, 1.0, np.arange(100, 150))
    pictures, share_n = mix.mixed(dark, bright, places, key)
    torch.testing.assert_close(pictures.mean((1, 2, 3)), 200 * (1 - share_n), rtol=1e-3, atol=0.5)
    for part in (places[:5], places[5:]):  # however a batch is cut
        alone, shares = mix.mixed(dark[: len(part)], bright[: len(part)], part, key)
        assert torch.equal(alone, pictures[part])
        assert torch.equal(shares, share_n[part])
    assert (mix.partners(places, key) == mix.partners(places[::-1], key)[::-1]).all()
    assert set(mix.partners(places, key)) <= set(range(100, 150))


def test_threads_do_not_change_a_view() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)
    shown = [draw("standard", (0, 0, place)) for place in range(24)]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda change: of_picture(picture, change).tobytes(), shown))
    assert together == [of_picture(picture, change).tobytes() for change in shown]
