"""How pretrained models write: their own settings read, and written so that Transformers writes the same."""

from typing import Any

from headstart.contracts import Pretrained
from headstart.core.frameworks import prepare_torch
from headstart.model.decoders import Writing
from headstart.model.transformers_folder import GENERATION

_OVERRULED = ("max_length", "min_length", "transformers_version")


def restore(module: Any, pretrained: Pretrained) -> None:
    """Give a model the settings that lie beside its weights, where there are some."""
    prepare_torch()
    from transformers import GenerationConfig

    if GENERATION in pretrained.assets:
        module.generation_config = GenerationConfig.from_pretrained(pretrained.assets[GENERATION].parent)


def begin_with(module: Any, language: str, tokenizer: Any) -> None:
    """Let a model write in a language: its code comes first, or is what the decoder starts from.

    Where the tokenizer ends a target with the language's code, the labels are wrapped around so that the
    decoder starts from it (mBART; Liu et al., arXiv 2001.08210); elsewhere it is the first token written.
    """
    code = tokenizer.convert_tokens_to_ids(language)
    if tokenizer(text_target="a")["input_ids"][-1] == code:
        module.config.decoder_start_token_id = module.generation_config.decoder_start_token_id = code
    else:
        module.generation_config.forced_bos_token_id = code


def files(module: Any, writing: Writing) -> dict[str, Any]:
    """Return the file by which Transformers' ``generate`` writes as here."""
    said = module.generation_config.to_diff_dict()
    kept = {name: value for name, value in said.items() if name not in _OVERRULED}
    return {GENERATION: {**kept, **writing.options()}}
