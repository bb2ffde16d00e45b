"""Transformers' encoder-decoders above the freeze line: the encoder's states are given, the decoder trains.

A pretrained one (T5, BART, Pegasus, Marian ...) has its decoder; an encoder alone is made into one by taking
its layers for the decoder's too, with new cross-attention (Rothe et al., arXiv 1907.12461: BERT2BERT, and
RoBERTa-shared where encoder and decoder go on sharing the layers).
"""

from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, EncoderDecoderConfig, EncoderDecoderModel, GenerationConfig
from transformers.modeling_outputs import BaseModelOutput

from headstart.contracts import Array
from headstart.model.decoders import Decoder, Source, Writing


@final
class EncoderDecoder(Decoder):
    """The decoder of an encoder-decoder; ``held`` says that the pretrained model has it.

    What the encoder uses is frozen, shared embeddings too: its states were computed with it.
    """

    def __init__(self, module: Any, held: bool, shared: bool = False) -> None:
        self.module, self.held, self.shared = module, held, shared
        for parameter in module.get_encoder().parameters():
            parameter.requires_grad_(False)

    def log_probabilities(self, source: Source, target_NT: Tensor) -> tuple[Tensor, Tensor]:
        """Return each target token's log-probability [N, T], and the mean over the vocabulary."""
        logits_NTV = self.module(
            encoder_outputs=BaseModelOutput(last_hidden_state=source.states_NSC),
            attention_mask=source.mask_NS,
            decoder_input_ids=self.module.prepare_decoder_input_ids_from_labels(target_NT),
            use_cache=False,
        ).logits
        total_NT = logits_NTV.logsumexp(dim=2)
        picked_NT = logits_NTV.gather(2, target_NT[:, :, None])[:, :, 0]
        return picked_NT - total_NT, logits_NTV.mean(dim=2) - total_NT

    def write(self, source: Source, writing: Writing) -> Tensor:
        """Return token ids [N, T] by beam search."""
        found: Tensor = self.module.generate(
            encoder_outputs=BaseModelOutput(last_hidden_state=source.states_NSC),
            attention_mask=source.mask_NS,
            **writing.options(),
        )
        return found

    def moved(self) -> dict[str, Array]:
        """Return the decoder's weights where the pretrained model holds them, under each of their names."""
        return self._trained() if self.held else {}

    def _trained(self) -> dict[str, Array]:
        return {
            name: parameter.detach().numpy().copy()
            for name, parameter in self.module.named_parameters(remove_duplicate=not self.held)
            if parameter.requires_grad
        }

    def tensors(self) -> dict[str, Array]:
        """Return the decoder's weights where the pretrained model does not hold them."""
        return {} if self.held else self._trained()

    def facts(self) -> dict[str, Any] | None:
        """Return how the decoder was made; None where the pretrained model has it."""
        return None if self.held else {"shared": self.shared}


def warm_started(encoder: Any, ends: Mapping[str, int], shared: bool) -> EncoderDecoder:
    """Make an encoder-decoder of an encoder, its layers the decoder's start; ``ends`` are pad, start and end.

    With ``shared`` layers only cross-attention and output are the decoder's own.
    """
    described = encoder.config.to_dict()
    known = {
        name: value for name, value in described.items() if name not in ("model_type", "dtype", "torch_dtype")
    }
    decoding = type(encoder.config)(**{**known, "is_decoder": True, "add_cross_attention": True})
    decoder: Any = AutoModelForCausalLM.from_config(decoding, attn_implementation="eager")
    base = getattr(decoder, decoder.base_model_prefix)
    base.load_state_dict(encoder.state_dict(), strict=False)
    config = EncoderDecoderConfig.from_encoder_decoder_configs(encoder.config, decoding)
    config.pad_token_id, config.decoder_start_token_id = ends["pad"], ends["start"]
    config.eos_token_id = ends["end"]
    module: Any = EncoderDecoderModel(config=config, encoder=encoder, decoder=decoder)
    module.generation_config = GenerationConfig(
        pad_token_id=ends["pad"], eos_token_id=ends["end"], decoder_start_token_id=ends["start"]
    )
    if shared:
        own = dict(encoder.named_parameters())
        for name, module_of in base.named_modules():
            for leaf, _ in list(module_of.named_parameters(recurse=False)):
                full = f"{name}.{leaf}" if name else leaf
                if full in own:
                    module_of.register_parameter(leaf, own[full])
        decoder.tie_weights()
    return EncoderDecoder(module.eval(), held=False, shared=shared)


def with_weights(decoder: EncoderDecoder, tensors: Mapping[str, Array]) -> EncoderDecoder:
    """Load the weights that ``tensors`` gave."""
    state = {name: torch.from_numpy(array.copy()) for name, array in tensors.items()}
    decoder.module.load_state_dict(state, strict=False)
    return decoder
