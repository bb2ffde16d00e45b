"""One vector of a text as Sentence-Transformers makes it: ways of pooling side by side, dense layers above.

Reimers and Gurevych, "Sentence-BERT" (arXiv 1908.10084), section 3. Shape letters: N texts, T tokens, C
channels of a state, P ways of pooling.
"""

from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor, nn

from headstart.model.pooling import over_tokens


@final
class SentenceVector(nn.Module):
    """Pools the last states in each of its ways, then runs the dense layers."""

    def __init__(self, described: Mapping[str, Any]) -> None:
        super().__init__()
        self.ways = tuple(described["pooling"])
        layers = [nn.Linear(one["in"], one["out"], bias=one["bias"]) for one in described["dense"]]
        self.layers = nn.ModuleList(layers)
        kinds = [getattr(nn, one["activation"]) for one in described["dense"]]
        self.activations = nn.ModuleList([kind() for kind in kinds])

    def forward(self, states_NTC: Tensor, mask_NT: Tensor) -> Tensor:
        """Return vectors [N, P * C], or as wide as the last dense layer."""
        x_ND = torch.cat([_pooled(states_NTC, mask_NT, way) for way in self.ways], dim=1)
        for layer, activation in zip(self.layers, self.activations, strict=True):
            x_ND = activation(layer(x_ND))
        return x_ND


def _pooled(states_NTC: Tensor, mask_NT: Tensor, way: str) -> Tensor:
    """Return [N, C]; padding is on the right."""
    real_NT1 = mask_NT.unsqueeze(-1).to(states_NTC.dtype)
    if way == "max":
        lowest = torch.finfo(states_NTC.dtype).min
        return states_NTC.masked_fill(real_NT1 == 0, lowest).amax(dim=1)
    if way == "mean_sqrt_len_tokens":
        return (states_NTC * real_NT1).sum(dim=1) / real_NT1.sum(dim=1).sqrt()
    if way == "weightedmean":  # by the token's place, counted from one
        weights_NT1 = real_NT1.cumsum(dim=1) * real_NT1
        return (states_NTC * weights_NT1).sum(dim=1) / weights_NT1.sum(dim=1)
    return over_tokens(states_NTC, mask_NT, {"cls": "first", "lasttoken": "last"}.get(way, way))
