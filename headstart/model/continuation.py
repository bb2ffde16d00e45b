"""A model that goes on from what it has read: the source, the end's mark, then what is to be written.

Radford et al., "Language Models are Unsupervised Multitask Learners" (2019), section 3.6, wrote summaries so.
Shape letters: N texts, S source tokens, T target tokens, L tokens of both, V the vocabulary.
"""

from typing import Any, final

import torch
from torch import Tensor

from headstart.contracts import Array
from headstart.model import generation
from headstart.model.decoders import NO_TOKEN, Decoder, Source, Writing


@final
class Continuation(Decoder):
    """A decoder-only model; of the source it takes nothing but the ids."""

    def __init__(self, module: Any, end: int) -> None:
        self.module, self.end = module, end

    def log_probabilities(self, source: Source, target_NT: Tensor) -> tuple[Tensor, Tensor]:
        """Return each target token's log-probability [N, T], and the mean over the vocabulary."""
        prompts = self._prompts(source)
        targets = [ids_T[ids_T != NO_TOKEN] for ids_T in target_NT]
        both = [torch.cat(pair) for pair in zip(prompts, targets, strict=True)]
        lengths_N = torch.tensor([len(ids) for ids in both])
        ids_NL = torch.nn.utils.rnn.pad_sequence(both, batch_first=True, padding_value=self.end)
        mask_NL = (torch.arange(ids_NL.shape[1]) < lengths_N[:, None]).long()
        logits_NLV = self.module(input_ids=ids_NL, attention_mask=mask_NL, use_cache=False).logits
        # A token is predicted where the one before it is read.
        first_N = torch.tensor([len(ids) - 1 for ids in prompts])
        places_NT = (first_N[:, None] + torch.arange(target_NT.shape[1])).clamp(max=ids_NL.shape[1] - 1)
        logits_NTV = logits_NLV[torch.arange(len(both))[:, None], places_NT]
        total_NT = logits_NTV.logsumexp(dim=2)
        picked_NT = logits_NTV.gather(2, target_NT.clamp(min=0)[:, :, None])[:, :, 0]
        return picked_NT - total_NT, logits_NTV.mean(dim=2) - total_NT

    def write(self, source: Source, writing: Writing) -> Tensor:
        """Return token ids [N, T] of what comes after each source, by beam search."""
        prompts = self._prompts(source)
        longest = max(map(len, prompts))
        ids_NS = torch.full((len(prompts), longest), self.end)
        mask_NS = torch.zeros_like(ids_NS)
        for row, ids in enumerate(prompts):  # at the right, so that all are continued from the same place
            ids_NS[row, longest - len(ids) :] = ids
            mask_NS[row, longest - len(ids) :] = 1
        found: Tensor = self.module.generate(input_ids=ids_NS, attention_mask=mask_NS, **writing.options())
        return found[:, longest:]

    def _prompts(self, source: Source) -> list[Tensor]:
        """Return each source's tokens and the end's mark behind them, which some tokenizers set already."""
        end = torch.tensor([self.end])
        found = [ids_S[mask_S.bool()] for ids_S, mask_S in zip(source.ids_NS, source.mask_NS, strict=True)]
        return [ids if ids[-1] == self.end else torch.cat([ids, end]) for ids in found]

    def moved(self) -> dict[str, Array]:
        """Return all weights, under each of their names."""
        named = self.module.named_parameters(remove_duplicate=False)
        return {name: parameter.detach().numpy().copy() for name, parameter in named}

    def tensors(self) -> dict[str, Array]:
        """Return nothing: the pretrained model holds them all."""
        return {}

    def facts(self) -> None:
        """Return that the pretrained model is the decoder."""

    def files(self, writing: Writing) -> dict[str, Any]:
        """Return how the model writes."""
        return generation.files(self.module, writing)
