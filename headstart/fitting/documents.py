"""An extractive head as it trains together with the encoder below it: a document is all its sentences.

    min over theta of  1/M sum over sentences of  log(1 + exp(-s_i z_i))

with s_i = 1 where the oracle takes a sentence, else -1, and z_i what the layer says of it. As BertSumExt (Liu
and Lapata, arXiv 1908.08345, section 3), but that each sentence is encoded by itself.

Shape letters: n documents, m sentences of theirs, S figures about a sentence, D = d + S.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, final

import numpy as np

from headstart.contracts import Above, Array, Augmentation, Training
from headstart.core.frameworks import prepare_torch
from headstart.fitting import sentences
from headstart.model.extract import SentenceHead, likeness

if TYPE_CHECKING:
    from torch import Tensor


@final
class SentencesAbove(Above):
    """A logistic layer on sentences; what is in no weight, the summary's length and cut, stays the head's.

    A sentence's likeness to its document is measured anew as the encoder moves; no gradient goes through it.
    """

    def __init__(self, training: Training, head: SentenceHead, begins: bool) -> None:
        torch = prepare_torch()
        self.rows, self.begun = training.rows, head
        self.labelled = sentences.label(training, head.columns[-1])
        with torch.random.fork_rng(devices=[]):  # what is drawn is overwritten
            self.module: Any = torch.nn.Linear(len(head.weight_D), 1)
        weight_D, bias = (0 * head.weight_D, 0.0) if begins else (head.weight_D, head.bias)
        with torch.no_grad():
            self.module.weight.copy_(torch.from_numpy(weight_D)[None])
            self.module.bias.fill_(bias)

    def losses(
        self,
        seen: Mapping[str, Any],
        inputs: Mapping[str, Any],
        places_n: Array,
        augmentations: Sequence[Augmentation] | None,
    ) -> "tuple[Tensor, Array]":
        """Return each document's log loss, summed over its sentences, and how many it has."""
        torch = prepare_torch()
        counts_n = np.diff(self.rows.starts_N1)[places_n]
        places_m = self.rows.places(places_n)
        x_mD = torch.cat(
            [*(seen[one.name] for one in self.begun.columns), self._surface(seen, places_m, counts_n)], 1
        )
        logits_m = self.module(x_mD).float()[:, 0]
        y_m = torch.from_numpy(self.labelled.targets_M[places_m]).float()
        losses_m = torch.nn.functional.binary_cross_entropy_with_logits(logits_m, y_m, reduction="none")
        losses_n = torch.stack([one.sum() for one in losses_m.split(counts_n.tolist())])
        return losses_n, counts_n.astype(np.float64)

    def _surface(self, seen: Mapping[str, Any], places_m: Array, counts_n: Array) -> "Tensor":
        """Return the figures about each sentence [m, S], the last of them from what is seen now."""
        torch = prepare_torch()
        last_md = seen[self.begun.columns[-1].name].detach().float().numpy()
        parts = np.split(last_md, np.cumsum(counts_n)[:-1])
        figures_mS = self.labelled.surface_MS[places_m].copy()
        figures_mS[:, -1] = np.concatenate([likeness(one) for one in parts])
        surface_mS: Tensor = torch.from_numpy(figures_mS)
        return surface_mS

    def settle(self, held_out: Iterable[tuple[Mapping[str, Any], Array]]) -> Mapping[str, float]:
        """Choose nothing: the best sentences are so at any temperature."""
        return {}

    def head(self) -> SentenceHead:
        """Return the layer as it stands."""
        weight_1D, bias_1 = (one.detach().numpy().copy() for one in self.module.parameters())
        return replace(self.begun, weight_D=weight_1D[0], bias=float(bias_1[0]))
