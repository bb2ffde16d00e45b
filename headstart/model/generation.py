"""How pretrained models write: their own settings read, and written so that Transformers writes the same."""

from typing import Any

from headstart.contracts import Pretrained
from headstart.core.frameworks import prepare_torch
from headstart.model.decoders import Writing
from headstart.model.transformers.folder import GENERATION

_OVERRULED = ("max_length", "min_length", "transformers_version")


def restore(module: Any, pretrained: Pretrained) -> None:
    """Give a model the settings that lie beside its weights, where there are some."""
    prepare_torch()
    from transformers import GenerationConfig

    if GENERATION in pretrained.assets:
        module.generation_config = GenerationConfig.from_pretrained(pretrained.assets[GENERATION].parent)


def begin_with_language(module: Any, tokenizer: Any) -> None:
    """Let a model write in its tokenizer's target language, whose token is at an end of every target.

    At the first place it is what is written first; at the last one, behind the end's mark, it is what the
    decoder starts from (mBART; Liu et al., arXiv 2001.08210).
    """
    ids = tokenizer(text_target="a")["input_ids"]
    if ids[-1] == tokenizer.eos_token_id:
        module.generation_config.forced_bos_token_id = ids[0]
    else:
        module.config.decoder_start_token_id = module.generation_config.decoder_start_token_id = ids[-1]


def files(module: Any, writing: Writing) -> dict[str, Any]:
    """Return the file by which Transformers' ``generate`` writes as here."""
    said = module.generation_config.to_diff_dict()
    kept = {name: value for name, value in said.items() if name not in _OVERRULED}
    return {GENERATION: {**kept, **writing.options()}}
