"""A text encoder in a folder as Transformers writes it: described without a framework, then built."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from safetensors.numpy import load_file

from headstart.contracts import Array, Network, Pretrained, TextPreprocess
from headstart.core.errors import UserError
from headstart.core.files import digest_bytes, digest_file
from headstart.core.frameworks import prepare_torch

if TYPE_CHECKING:
    from torch import Tensor

_DECODERS = frozenset({"gpt2", "gpt_neo", "gptj", "opt", "llama", "qwen2", "mistral"})
_ENCODER_DECODERS = frozenset({"t5", "mt5", "bart", "mbart", "pegasus", "marian", "m2m_100", "led"})
_LONGEST = 512


def describe(base: str, folder: Path, licence: str, revision: str) -> Pretrained:
    """Describe the encoder in a folder. Raises UserError where a file is missing or it is no encoder."""
    config = _json(folder / "config.json")
    kind = str(config.get("model_type"))
    if kind in _ENCODER_DECODERS:
        raise UserError(
            f"{base} is an encoder-decoder ({kind})", "a text encoder", "choose for instance pack:minilm-l6"
        )
    weights, tokenizer = folder / "model.safetensors", folder / "tokenizer.json"
    for file in (weights, tokenizer):
        if not file.is_file():
            raise UserError(
                f"{folder} has no {file.name}", "a model saved by Transformers 4.3 or newer", "save it again"
            )
    preprocess = TextPreprocess(
        tokenizer="tokenizer.json",
        tokenizer_digest=digest_file(tokenizer),
        max_length=_max_length(folder, config),
        longest=_positions(config),
        pooling=_pooling(folder, kind),
    )
    return Pretrained(
        base=base,
        architecture=f"transformers/{kind}",
        licence=licence,
        revision=revision,
        weights=weights,
        weights_digest=digest_bytes(
            digest_file(weights).encode(), json.dumps(config, sort_keys=True).encode()
        ),
        preprocess=preprocess,
        config=config,
        assets={"tokenizer.json": tokenizer},
    )


def licence_of(folder: Path) -> str:
    """Return the licence that the model card states."""
    card = folder / "README.md"
    stated = (
        re.search(r"^license:\s*(\S+)", card.read_text(errors="replace"), re.MULTILINE)
        if card.is_file()
        else None
    )
    return stated.group(1) if stated else "not stated"


@final
class EncoderNetwork(Network):
    """A Transformers encoder: its blocks are the embeddings and the layers."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        prepare_torch()
        from transformers import AutoConfig, AutoModel

        build: Any = AutoModel.from_config  # untyped in Transformers

        known = {name: value for name, value in config.items() if name != "model_type"}
        model = build(
            # Eager attention exports to every engine; no code from a repository is ever run.
            AutoConfig.for_model(config["model_type"], **known),
            attn_implementation="eager",
            trust_remote_code=False,
        )
        if getattr(model, "pooler", None) is not None:
            model.pooler = None  # it sits above every block, and many checkpoints lack it
        self.module = model
        self.blocks = ("embeddings", *(f"layer.{index}" for index in range(model.config.num_hidden_layers)))

    def outputs(self, *inputs: "Tensor") -> "Sequence[Tensor]":
        """Return every block's states [N, T, C] for token ids and mask [N, T]."""
        input_ids_NT, attention_mask_NT = inputs
        found = self.module(
            input_ids=input_ids_NT, attention_mask=attention_mask_NT, output_hidden_states=True
        )
        return tuple(found.hidden_states)


def encoder_state(pretrained: Pretrained) -> dict[str, Array]:
    """Return the encoder's weights under its own names, whatever head the file was saved with."""
    module: Any = EncoderNetwork(pretrained.config).module
    prefix = f"{module.base_model_prefix}."
    wanted = set(module.state_dict())
    loaded = load_file(pretrained.weights)
    named = {name.removeprefix(prefix): array for name, array in loaded.items()}
    return {name: array for name, array in named.items() if name in wanted}


def _pooling(folder: Path, kind: str) -> str:
    """Return how the model's own sentence vectors are made: the mean unless it says otherwise."""
    own = folder / "1_Pooling" / "config.json"
    if own.is_file() and _json(own).get("pooling_mode_cls_token"):
        return "first"
    return "last" if kind in _DECODERS else "mean"


def _positions(config: Mapping[str, Any]) -> int:
    positions = int(config.get("max_position_embeddings") or config.get("n_positions") or _LONGEST)
    # RoBERTa's family counts positions from the padding id on.
    return (
        positions - 2
        if config.get("model_type") in {"roberta", "xlm-roberta", "camembert", "mpnet"}
        else positions
    )


def _max_length(folder: Path, config: Mapping[str, Any]) -> int:
    own = folder / "sentence_bert_config.json"
    stated = _json(own).get("max_seq_length") if own.is_file() else None
    return min(int(stated or _LONGEST), _positions(config))


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read", "a model folder that Transformers saved", "check the folder"
        ) from error
    if not isinstance(content, dict):
        raise UserError(
            f"{path} holds no JSON object", "a model folder that Transformers saved", "check the folder"
        )
    return content
