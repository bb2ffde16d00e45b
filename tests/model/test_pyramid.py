"""The decoder of maps: any sides, the same answer in any batch, rebuilt from what is kept."""

import json
from pathlib import Path

import numpy as np
import pytest

from headstart.contracts import Column, Example, Kept
from headstart.data.tiles import Tile, Whole
from headstart.model.fpn import FpnHead
from headstart.model.maps import unpacked

torch = pytest.importorskip("torch")
CHANNELS, SIDES, CLASSES = (5, 7, 6, 3), (8, 4, 4, 1), 3
WIDTHS = [count * side**2 for count, side in zip(CHANNELS, SIDES, strict=True)]
STOPS = np.cumsum(WIDTHS)
COLUMNS = [
    Column(f"{side}x{side}/{place}", int(stop) - width, int(stop))
    for place, (side, width, stop) in enumerate(zip(SIDES, WIDTHS, STOPS, strict=True))
]
PICTURES = [[Example(str(number), "", Path())] for number in range(6)]


@pytest.fixture
def head() -> FpnHead:
    from headstart.model.pyramid import Pyramid, Shape

    shape = Shape(channels=CHANNELS, sides=SIDES, width=16, classes=CLASSES, finer=2, dropout=0.1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = Pyramid(shape).eval()
    module.scale([torch.full((n,), 2.0) for n in CHANNELS], [torch.full((n,), 0.5) for n in CHANNELS])
    return FpnHead(columns=tuple(COLUMNS), module=module)


def seen(count: int = 6) -> np.ndarray:
    return np.random.default_rng(0).normal(2, 2, size=(count, STOPS[-1])).astype(np.float32)


def test_the_answer_is_finer_than_the_finest_map(head: FpnHead) -> None:
    said = head.outputs(seen(), PICTURES)
    assert [one.logits_uKGG.shape for one in said] == [(1, CLASSES, 16, 16)] * 6
    assert all(one.parts == [None] for one in said)
    assert said[0].logits_uKGG.std(axis=(2, 3)).min() > 0


def test_a_batch_of_one_is_a_batch_of_many(head: FpnHead) -> None:
    together = np.concatenate([one.logits_uKGG for one in head.outputs(seen(), PICTURES)])
    alone = np.concatenate([head.outputs(seen()[n : n + 1], PICTURES[:1])[0].logits_uKGG for n in range(6)])
    np.testing.assert_array_equal(together, alone)
    maps = [torch.from_numpy(one) for one in unpacked(COLUMNS, seen())]
    with torch.inference_mode():
        np.testing.assert_allclose(head.module(maps).numpy(), together, atol=1e-5)


def test_the_units_of_a_picture_stay_together(head: FpnHead) -> None:
    whole = Whole(lambda: b"", lambda content: pytest.fail("decoded"))
    parts = [Tile((left, 0, left + 8, 8), whole) for left in (0, 4, 8)]
    tiles = [Example("tiles", "", Path(), part=part) for part in parts]
    first, second, third = head.outputs(seen(), [PICTURES[0], tiles, [*PICTURES[1], *PICTURES[2]]])
    assert second.parts == parts
    every = np.concatenate([one.logits_uKGG for one in head.outputs(seen(), PICTURES)])
    for said, places in ((first, [0]), (second, [1, 2, 3]), (third, [4, 5])):
        np.testing.assert_array_equal(said.logits_uKGG, every[places])


def test_every_map_matters_and_is_standardised(head: FpnHead) -> None:
    before = head.outputs(seen(), PICTURES)[0].logits_uKGG
    for column in COLUMNS:
        changed = seen()
        changed[:, column.start : column.stop] += 1
        assert np.abs(head.outputs(changed, PICTURES)[0].logits_uKGG - before).max() > 1e-3
    raw = [torch.from_numpy((one - 2) * 0.5) for one in unpacked(COLUMNS, seen())]
    head.module.scale([torch.zeros(n) for n in CHANNELS], [torch.ones(n) for n in CHANNELS])
    with torch.inference_mode():
        np.testing.assert_allclose(head.module(raw).numpy()[:1], before, atol=1e-5)


def test_a_head_is_rebuilt_from_what_is_kept(head: FpnHead) -> None:
    facts = json.loads(json.dumps(head.facts()))
    again = FpnHead.restore(COLUMNS, Kept(tensors=head.tensors(), facts=facts, frozen=None))  # type: ignore[arg-type]
    first, second = (one.outputs(seen(), PICTURES) for one in (head, again))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.logits_uKGG, b.logits_uKGG)
    assert (
        again.parameters()
        == head.parameters()
        == sum(one.size for name, one in head.tensors().items() if not name.startswith(("mean_", "gain_")))
    )
