"""What channels count, against leaving each of them out: of a linear loss, the first order is all."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from headstart.fitting.attention import attention

torch = pytest.importorskip("torch")
MASK = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0]])
INPUTS = {"attention_mask": MASK}


def drawn(*shape: int) -> Any:
    return torch.from_numpy(np.random.default_rng(len(shape)).normal(size=shape))


def loss(outputs: Mapping[str, Any]) -> Any:
    """A loss of all blocks that is linear in each, and deaf to what is padding."""
    maps, states = outputs["maps"], outputs["states"]
    return (maps * drawn(2, 5, 3, 3)).sum() + (states * MASK[:, :, None] * drawn(2, 4, 6)[..., :6]).sum()


def without(outputs: Mapping[str, Any], block: str, channel: int) -> dict[str, Any]:
    """Return the outputs, a channel of a block being zero."""
    emptied = outputs[block].detach().clone()
    emptied[(slice(None), channel) if block == "maps" else (..., channel)] = 0
    return {**outputs, block: emptied}


def test_it_is_the_softmax_of_what_the_loss_grows_by() -> None:
    outputs = {"maps": drawn(2, 5, 3, 3).add(1).requires_grad_(), "states": drawn(2, 4, 6).requires_grad_()}
    found = attention([(INPUTS, outputs, loss(outputs)), (INPUTS, outputs, loss(outputs))])
    for block, channels in (("maps", 5), ("states", 6)):
        grown = np.array(
            [float((loss(without(outputs, block, c)) - loss(outputs)).detach()) for c in range(channels)]
        )
        scores = np.exp((grown - grown.mean()) / grown.std() / 5)
        np.testing.assert_allclose(found[block].numpy(), channels * scores / scores.sum(), rtol=1e-9)
        assert int(found[block].argmax()) == int(grown.argmax())


def test_blocks_that_no_gradient_reaches_are_left_out() -> None:
    outputs = {"maps": drawn(2, 5, 3, 3).requires_grad_(), "below": drawn(2, 5, 3, 3)}
    outputs["beside"] = drawn(2, 3, 4).requires_grad_()
    assert set(attention([({}, outputs, outputs["maps"].sum())])) == {"maps"}


def test_channels_that_nobody_would_miss_count_the_same() -> None:
    outputs = {"maps": torch.zeros(2, 4, 3, 3).requires_grad_()}
    found = attention([({}, outputs, outputs["maps"].sum())])
    np.testing.assert_allclose(found["maps"].numpy(), np.ones(4))
