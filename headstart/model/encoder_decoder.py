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
from headstart.core.errors import UserError
from headstart.model import generation
from headstart.model.decoders import NO_TOKEN, Decoder, Source, Writing
from headstart.model.transformers.network import LEFT_OUT


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
            decoder_input_ids=self._before(target_NT),
            use_cache=False,
        ).logits
        total_NT = logits_NTV.logsumexp(dim=2)
        picked_NT = logits_NTV.gather(2, target_NT.clamp(min=0)[:, :, None])[:, :, 0]
        return picked_NT - total_NT, logits_NTV.mean(dim=2) - total_NT

    def _before(self, target_NT: Tensor) -> Tensor:
        """Return what the decoder reads before each target token [N, T]: its start, and those before it.

        Where the model names no start it is the target's own last token: mBART sets the language there.
        """
        start, real_NT = self.module.config.decoder_start_token_id, target_NT != NO_TOKEN
        last_N1 = target_NT.gather(1, real_NT.sum(dim=1, keepdim=True) - 1)
        start_N1 = last_N1 if start is None else torch.full_like(last_N1, start)
        return torch.cat([start_N1, target_NT[:, :-1].clamp(min=0)], dim=1)

    def files(self, writing: Writing) -> dict[str, Any]:
        """Return how the model writes, where the pretrained model is the one that does."""
        return generation.files(self.module, writing) if self.held else {}

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
        return self._above() if self.held else {}

    def _above(self) -> dict[str, Array]:
        below = {id(parameter) for parameter in self.module.get_encoder().parameters()}
        return {
            name: parameter.detach().numpy().copy()
            for name, parameter in self.module.named_parameters(remove_duplicate=not self.held)
            if id(parameter) not in below
        }

    def tensors(self) -> dict[str, Array]:
        """Return the decoder's weights where the pretrained model does not hold them."""
        return {} if self.held else self._above()

    def facts(self) -> dict[str, Any] | None:
        """Return how the decoder was made; None where the pretrained model has it."""
        return None if self.held else {"shared": self.shared}


def warm_started(encoder: Any, ends: Mapping[str, int], shared: bool, seed: int) -> EncoderDecoder:
    """Make an encoder-decoder of an encoder, its layers the decoder's start; ``ends`` are pad, start and end.

    What is new, cross-attention and output, is drawn from the seed; with ``shared`` layers nothing else is
    the decoder's own. Raises UserError for an encoder whose layers Transformers knows in no decoder.
    """
    decoder = _as_decoder(encoder, seed)
    config = EncoderDecoderConfig.from_encoder_decoder_configs(encoder.config, decoder.config)
    config.pad_token_id, config.decoder_start_token_id = ends["pad"], ends["start"]
    config.eos_token_id = ends["end"]
    module: Any = EncoderDecoderModel(config=config, encoder=encoder, decoder=decoder)
    module.generation_config = GenerationConfig(
        pad_token_id=ends["pad"], eos_token_id=ends["end"], decoder_start_token_id=ends["start"]
    )
    if shared:
        _share(encoder, decoder)
    return EncoderDecoder(module.eval(), held=False, shared=shared)


def _as_decoder(encoder: Any, seed: int) -> Any:
    """Return a decoder whose layers have an encoder's weights."""
    known = {name: value for name, value in encoder.config.to_dict().items() if name not in LEFT_OUT}
    decoding = type(encoder.config)(**{**known, "is_decoder": True, "add_cross_attention": True})
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            decoder: Any = AutoModelForCausalLM.from_config(decoding, attn_implementation="eager")
    except ValueError as error:
        raise UserError(
            f"Transformers has no decoder of {decoding.model_type}'s layers",
            "an encoder such as BERT or RoBERTa",
            "give --decoder new",
        ) from error
    decoder.base_model.load_state_dict(encoder.state_dict(), strict=False)
    return decoder


def _share(encoder: Any, decoder: Any) -> None:
    """Let a decoder use the encoder's own parameters wherever it has one of the same name."""
    own = dict(encoder.named_parameters())
    for name, part in decoder.base_model.named_modules():
        for leaf, _ in list(part.named_parameters(recurse=False)):
            full = f"{name}.{leaf}" if name else leaf
            if full in own:
                part.register_parameter(leaf, own[full])
    decoder.tie_weights()


def with_weights(decoder: EncoderDecoder, tensors: Mapping[str, Array]) -> EncoderDecoder:
    """Load the weights that ``tensors`` gave."""
    state = {name: torch.from_numpy(array.copy()) for name, array in tensors.items()}
    decoder.module.load_state_dict(state, strict=False)
    return decoder
