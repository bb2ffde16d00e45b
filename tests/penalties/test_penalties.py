"""Every penalty against a slow reference in plain NumPy, and what each must not do."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from headstart.contracts import Array, Penalty, Seen, Weights
from headstart.core import plugins
from headstart.core.frameworks import prepare_torch

torch = prepare_torch()
RANDOM = np.random.default_rng(0)
START = {"a.weight": RANDOM.normal(size=(3, 4)), "a.bias": RANDOM.normal(size=3)}
NOW = {name: array + RANDOM.normal(size=array.shape) for name, array in START.items()}
NEW = [RANDOM.normal(size=(2, 3)), RANDOM.normal(size=2)]
REAL_N = [4, 2]  # positions of two examples that are no padding


def weights() -> Weights:
    def tensors(arrays: dict[str, Array]) -> dict[str, torch.Tensor]:
        return {name: torch.from_numpy(array).requires_grad_() for name, array in arrays.items()}

    return Weights(pretrained=tensors(NOW), start=tensors(START), new=[torch.from_numpy(one) for one in NEW])


def outputs(seed: int) -> list[Seen]:
    """Two blocks' outputs of two examples: 4 positions of 5 and 3 channels, zero where nothing is."""
    random, found = np.random.default_rng(seed), []
    for channels in (5, 3):
        values = random.normal(size=(2, 4, channels))
        values[1, 2:] = 0
        found.append(
            Seen(
                values_nPC=torch.from_numpy(values),
                count_n=torch.tensor(REAL_N, dtype=torch.float64),
                attention_C=torch.from_numpy(attention(channels)),
            )
        )
    return found


def attention(channels: int) -> Array:
    return np.arange(channels) + 0.5


def squares(arrays: Sequence[Array]) -> float:
    return sum(float(number) ** 2 for array in arrays for number in array.ravel())


def slow_delta() -> float:
    total = 0.0
    for now, was in zip(outputs(1), outputs(2), strict=True):
        for example, real in enumerate(REAL_N):
            for channel in range(now.values_nPC.shape[2]):
                apart = [
                    float(now.values_nPC[example, p, channel] - was.values_nPC[example, p, channel]) ** 2
                    for p in range(real)
                ]
                counts = float(attention(now.values_nPC.shape[2])[channel])
                total += counts * sum(apart) / real / 2  # the mean over two examples
    return total


def slow_bss() -> float:
    features = [
        [float(outputs(1)[-1].values_nPC[n, :, c].sum()) / REAL_N[n] for c in range(3)] for n in range(2)
    ]
    gram = np.array(features) @ np.array(features).T
    return float(
        np.linalg.eigvalsh(gram)[0]
    )  # the smallest eigenvalue is the smallest singular value squared


EXPECTED = {
    "l2": squares([NOW["a.weight"], NEW[0]]) / 2,
    "l1": sum(abs(float(one)) for array in (NOW["a.weight"], NEW[0]) for one in array.ravel()),
    "l2-sp": squares([NOW[name] - START[name] for name in NOW]) / 2 + squares(NEW) / 2,
    "delta": slow_delta() + squares(NEW) / 2,
    "bss": slow_bss(),
}


def value(penalty: Penalty) -> float:
    parts = penalty.of_weights(weights()), penalty.of_outputs(outputs(1), lambda: outputs(2))
    return sum(float(one.detach()) for one in parts if one is not None)


def test_every_penalty_is_here() -> None:
    assert set(EXPECTED) == set(plugins.names("penalty"))


@pytest.mark.parametrize("name", EXPECTED)
def test_it_is_what_the_paper_says(name: str) -> None:
    assert value(plugins.load("penalty", name)) == pytest.approx(EXPECTED[name], rel=1e-9)


@pytest.mark.parametrize("name", EXPECTED)
def test_its_gradient_is_finite_at_the_start(name: str) -> None:
    """Where nothing has moved yet a norm would have no gradient."""
    still = {key: torch.from_numpy(array).requires_grad_() for key, array in START.items()}
    held = Weights(pretrained=still, start={k: v.detach().clone() for k, v in still.items()}, new=[])
    penalty: Penalty = plugins.load("penalty", name)
    found = penalty.of_weights(held)
    if found is not None and found.requires_grad:
        found.backward()
        assert all(one.grad is None or bool(torch.isfinite(one.grad).all()) for one in still.values())
    now = [replace(one, values_nPC=one.values_nPC.requires_grad_()) for one in outputs(1)]
    seen = penalty.of_outputs(now, lambda: outputs(1))
    if seen is not None:
        seen.backward()
        gradients = [one.values_nPC.grad for one in now if one.values_nPC.grad is not None]
        assert gradients
        assert all(bool(torch.isfinite(one).all()) for one in gradients)
