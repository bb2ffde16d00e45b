"""alpha R(theta) as it is minimised with the loss: of the weights, and of what the blocks make of a batch."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from headstart.contracts import Penalty, Seen, Weights
from headstart.core import plugins
from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch
from headstart.specs import FitSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

_REAL = "attention_mask"


class Penalised:
    """A penalty of a trunk and what is new above it; ``start`` is where the trunk's weights began, by name.

    ``frozen`` builds the trunk as it was; it is called where the penalty compares outputs. ``attention`` is
    how much the channels of each block count [C], by name; where it says nothing, all count the same.
    """

    def __init__(
        self,
        asked: tuple[Penalty, float],
        trunk: Any,
        new: "nn.Module",
        start: "Mapping[str, Tensor]",
        frozen: Callable[[], Any],
    ) -> None:
        (self.penalty, self.alpha), self.trunk, self.new = asked, trunk, new
        self.start, self.frozen = start, frozen
        self.attention: Mapping[str, Tensor] = {}

    def of_weights(self) -> "Tensor | None":
        """Return alpha R of the weights that train, None where this penalty has no such part."""
        named = {name: one for name, one in self.trunk.inner.named_parameters() if one.requires_grad}
        known = {id(one) for one in named.values()}
        above = [one for one in self.new.parameters() if one.requires_grad and id(one) not in known]
        added = [one for name, one in named.items() if name not in self.start]
        weights = Weights(
            pretrained={name: one for name, one in named.items() if name in self.start},
            start=self.start,
            new=[*added, *above],
        )
        found = self.penalty.of_weights(weights)
        return None if found is None else self.alpha * found

    def of_outputs(self, outputs: "Mapping[str, Tensor]", inputs: "Mapping[str, Tensor]") -> "Tensor | None":
        """Return alpha R of a batch, its mean over examples, None where this penalty has no such part."""
        torch = prepare_torch()

        def started() -> list[Seen]:
            with torch.no_grad():
                frozen = self._frozen.outputs(*inputs.values())
                return self._seen({name: frozen[name] for name in outputs}, inputs)

        found = self.penalty.of_outputs(self._seen(outputs, inputs), started)
        return None if found is None else self.alpha * found

    @cached_property
    def _frozen(self) -> Any:
        return self.frozen()

    def _seen(self, outputs: "Mapping[str, Tensor]", inputs: "Mapping[str, Tensor]") -> list[Seen]:
        """Return outputs as the penalty sees them."""
        found = []
        for name, output in outputs.items():
            values, count_n = positions(output, inputs)
            attention_C = self.attention.get(name, values.new_ones(values.shape[2]))
            found.append(Seen(values_nPC=values, count_n=count_n, attention_C=attention_C))
        return found


def of_head(spec: FitSpec, module: "nn.Module") -> "Tensor | None":
    """Return alpha R of a head that trains alone, above what stays frozen. Raises UserError."""
    asked = penalty_of(spec)
    if asked is None:
        return None
    penalty, alpha = asked
    new = [one for one in module.parameters() if one.requires_grad]
    found = None if penalty.needs_start else penalty.of_weights(Weights(pretrained={}, start={}, new=new))
    if found is None:
        raise UserError(
            f"--penalty {penalty.name} for a head alone",
            "l1 or l2, or a --strategy that trains below the head",
            "choose one",
        )
    return alpha * found


def penalty_of(spec: FitSpec) -> tuple[Penalty, float] | None:
    """Return the penalty that is asked for, and alpha. Raises UserError for one without meaning here."""
    if spec.penalty is None:
        if spec.alpha is not None:
            raise UserError("--alpha without --penalty", "a penalty to weigh", "give --penalty l2-sp")
        return None
    found: Penalty = plugins.load("penalty", spec.penalty)
    if found.needs_start and spec.random_init:
        raise UserError(
            f"--penalty {found.name} with --random-init",
            "pretrained weights to measure from",
            "leave one of them out",
        )
    return found, found.alpha if spec.alpha is None else spec.alpha


def positions(output: "Tensor", inputs: "Mapping[str, Tensor]") -> "tuple[Tensor, Tensor]":
    """Return an output as positions by channels [n, P, C], and how many of them are real [n].

    It is a map [n, C, H, W], a vector [n, C] or states [n, T, C], which are 0 where a text has no token.
    """
    values = output.flatten(2).transpose(1, 2) if output.ndim == 4 else output
    values = values[:, None] if values.ndim == 2 else values
    if output.ndim == 3 and _REAL in inputs:
        real_nT = inputs[_REAL].to(values.dtype)
        return values * real_nT[:, :, None], real_nT.sum(1)
    return values, values.new_full((len(values),), values.shape[1])
