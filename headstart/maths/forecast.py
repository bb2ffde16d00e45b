"""What training is expected to reach, for each of several models: several estimates brought to one scale.

Each estimate e is standardised over the models and brought to the mean and the spread of the ``ANCHOR``,
which is a figure of the very kind that is forecast. What was known of a model before, its ``PRIOR``, counts
as n_0 examples do (as in a conjugate model: the more examples, the less it counts). Their weighted mean is
what a head reaches on as many examples as the anchor's had; with g times as many, what is missing to 1
shrinks by a power law:

    m_b = mean_A + sd_A ( n sum_e w_e z_eb + n_0 z_prior,b ) / ( n + n_0 ),   f_b = 1 - ( 1 - m_b ) g^-GAIN

The interval is f_b -/+ 1.96 sqrt( f_b (1 - f_b) / n + SPREAD^2 + (f_b - m_b)^2 / 4 ): what n examples leave
open, how far forecasts lay from what ``fit`` then reached beyond that, and that the gain may be half as much
or half as much again. No single estimate deserves trust (see docs/how-to.md); those from the same examples
share their chance, so they count as these once. ``python -m benchmarks.choose`` measures all of it on sets
of pictures: other data may be less kind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.core.records import Looked

Array = NDArray[Any]

ANCHOR = "probe"
PRIOR = "prior"
WEIGHTS: Mapping[str, float] = {ANCHOR: 1.0, "knn": 1.0}
"""How much each estimate from examples counts; one that is not named is shown all the same."""
PRIOR_EXAMPLES = 75
"""How many examples the prior counts as. Like the weights, what leaves the least squared error on the sets of
``benchmarks/choose.py``, which finds the same whichever one of the eight is left out, but for two."""
GAIN = 0.2
SPREAD = 0.02


@dataclass(frozen=True, slots=True)
class Forecast:
    """A figure between 0 and 1 with its 95% interval."""

    value: float
    low: float
    high: float


def forecasts(
    estimates: Mapping[str, Sequence[float | None]],
    examples: Sequence[int],
    growth: float = 1.0,
    weights: Mapping[str, float] = WEIGHTS,
    prior_examples: float = PRIOR_EXAMPLES,
) -> list[Forecast]:
    """Return a forecast for each model from its estimates by name, the anchor's among them.

    So many ``examples`` were looked at with each; training is to have ``growth`` times as many as the
    anchor's had.

    A model without one of the others counts as average there. An estimate that is the same for all cannot
    tell them apart and is left out. Raises ValueError where a model lacks the anchor's.
    """
    if any(value is None for value in estimates[ANCHOR]):
        raise ValueError(f"found a model without {ANCHOR}; expected one for each")
    anchor_B = np.array(estimates[ANCHOR], dtype=np.float64)
    examples_B = np.array(examples, dtype=np.float64)
    total_B, weight_B = np.zeros(len(anchor_B)), np.zeros(len(anchor_B))
    whole = sum(weights.values())
    shares = {name: examples_B * weight / whole for name, weight in weights.items()}
    for name, counts_B in {**shares, PRIOR: np.full(len(anchor_B), float(prior_examples))}.items():
        z_B = standardised(estimates.get(name, ()))
        if z_B is not None:
            total_B += counts_B * (anchor_B.mean() + anchor_B.std() * z_B)
            weight_B += counts_B
    known = weight_B.any()
    means_B = np.clip(total_B / weight_B if known else anchor_B, 0.0, 1.0)
    values_B = np.clip(1 - (1 - means_B) * growth**-GAIN, 0.0, 1.0)
    chance_B = values_B * (1 - values_B) / np.maximum(examples_B, 1)
    variance_B = chance_B + SPREAD**2 + (values_B - means_B) ** 2 / 4
    half_B = 1.96 * np.sqrt(variance_B)
    return [
        Forecast(float(value), float(max(value - half, 0.0)), float(min(value + half, 1.0)))
        for value, half in zip(values_B, half_B, strict=True)
    ]


def levelled(looks: Sequence[Sequence[Looked]]) -> dict[str, list[float | None]]:
    """Return each estimate of all models as of the last look, given the looks at each, the first at all.

    What a further look moved on average in the models that had it, it is taken to have moved in the others.
    """
    names = looks[0][0].estimates
    return {name: _levelled([[each.estimates[name] for each in one] for one in looks]) for name in names}


def _levelled(values: Sequence[Sequence[float | None]]) -> list[float | None]:
    """Return one estimate's last values, given those of each model's looks."""
    found = [one[0] for one in values]
    for turn in range(1, max(map(len, values))):
        pairs = [(one[turn - 1], one[turn]) for one in values if len(one) > turn]
        moves = [new - old for old, new in pairs if new is not None and old is not None]
        moved = float(np.mean(moves)) if moves else 0.0
        found = [
            one[turn] if len(one) > turn else None if old is None else old + moved
            for one, old in zip(values, found, strict=True)
        ]
    return found


def standardised(values: Sequence[float | None]) -> Array | None:
    """Return values less their mean over their deviation, 0 for what is missing; None where none differ."""
    known = [value for value in values if value is not None]
    if not known or not np.ptp(known) > 0:
        return None
    mean, deviation = np.mean(known), np.std(known)
    return np.array([0.0 if value is None else (value - mean) / deviation for value in values])


def pareto(scores: Sequence[float], costs: Sequence[float | None]) -> list[bool]:
    """Say of each model whether no other is at least as good and as cheap, and better in one of them.

    A model whose cost is not known is on the front only where none has a higher score.
    """

    def beats(a: int, b: int) -> bool:
        mine, other = costs[a], costs[b]
        cheaper = other is None or (mine is not None and mine <= other)
        strictly = scores[a] > scores[b] or (mine is not None and (other is None or mine < other))
        return scores[a] >= scores[b] and cheaper and strictly

    everyone = range(len(scores))
    return [not any(beats(a, b) for a in everyone if a != b) for b in everyone]
