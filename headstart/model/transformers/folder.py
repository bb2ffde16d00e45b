"""A text model in a folder as Transformers writes it, described without a framework."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

from headstart.contracts import Pretrained, TextPreprocess
from headstart.core.errors import UserError
from headstart.core.files import digest_bytes, digest_file, read_json
from headstart.model import shards
from headstart.model.transformers import sentence_folder
from headstart.model.transformers.sentence_folder import SENTENCE
from headstart.model.weights import as_safetensors

_ENCODER_DECODERS = frozenset({"t5", "mt5", "bart", "mbart", "pegasus", "marian", "m2m_100", "led"})
_DECODERS = frozenset({"gpt2", "gpt_neo", "gptj", "opt", "llama", "qwen2", "mistral"})
_CONTINUE = ("LMHeadModel", "ForCausalLM")
_OFFSET_POSITIONS = frozenset(
    {"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet", "roberta-prelayernorm", "longformer"}
)
ENCODERS_ALONE = frozenset({"t5", "mt5", "umt5"})
"""Encoder-decoders whose encoder Transformers also saves without its decoder."""
_RELATIVE_POSITIONS = frozenset({"t5", "mt5", "umt5", "longt5", "switch_transformers"})
_LONGEST, _ANY_LENGTH = 512, 1_000_000
_FAST = "tokenizer.json"
_VOCABULARIES = (
    *(_FAST, "vocab.json", "vocab.txt", "spiece.model", "sentencepiece.bpe.model"),
    *("source.spm", "target.spm", "target_vocab.json", "merges.txt"),
)
_ABOUT_THEM = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
GENERATION = "generation_config.json"
SAVED = "a model folder that Transformers saved"
"""What is expected of a folder, as errors say it."""


def describe(base: str, folder: Path, weights: Path, licence: str, revision: str) -> Pretrained:
    """Describe the text model in a folder; its weights need not be there. Raises UserError."""
    around, folder = folder, sentence_folder.transformer_of(folder)
    config = read_json(folder / "config.json", SAVED)
    kind, writes = str(config.get("model_type")), _writes(config)
    assets = {
        name: folder / name
        for name in (*_VOCABULARIES, *_ABOUT_THEM, GENERATION)
        if (folder / name).is_file()
    }
    # Only Transformers itself knows what the tokenizers of encoder-decoders do with targets and languages,
    # and how to read the files of older ones.
    own = writes == "above" or _FAST not in assets
    read = [name for name in (*_VOCABULARIES, *_ABOUT_THEM) if name in assets] if own else [_FAST]
    if not assets.keys() & set(_VOCABULARIES):
        raise UserError(
            f"{folder}, a model of type {kind!r}, has no {_FAST}",
            "a text model as Transformers saves it, with its tokenizer",
            "load model and tokenizer with Transformers and save_pretrained both there",
        )
    if weights.is_file():
        weights = as_safetensors(weights)
        shards.check(weights)
    digests = [digest_file(assets[name]) for name in read]
    sentence = sentence_folder.read(base, around)
    preprocess = TextPreprocess(
        tokenizer="" if own else _FAST,
        tokenizer_digest=digests[0] if len(digests) == 1 else digest_bytes(*map(str.encode, digests)),
        max_length=_max_length(folder, config),
        longest=_positions(config, "encoder"),
        pooling=sentence.pooling or ("last" if kind in _DECODERS or writes == "on" else "mean"),
        prefix=sentence.prefix,
    )
    config |= {SENTENCE: sentence.vector} if sentence.vector else {}
    held = (shards.digest(weights) if weights.is_file() else "", *map(digest_file, sentence.files.values()))
    return Pretrained(
        base=base,
        architecture=f"transformers/{kind}",
        licence=licence,
        revision=revision,
        weights=weights,
        weights_digest=digest_bytes(
            *(one.encode() for one in held), json.dumps(config, sort_keys=True).encode()
        ),
        preprocess=preprocess,
        writes=writes,
        config=config,
        assets={**assets, **sentence.files},
    )


def _writes(config: Mapping[str, Any]) -> Literal["", "above", "on"]:
    """Return how a model writes: going on where it was saved with an output layer for that."""
    saved_as = [str(name) for name in config.get("architectures") or ()]
    if any(name.endswith(_CONTINUE) for name in saved_as):
        return "on"
    if config.get("model_type") in ENCODERS_ALONE and any(name.endswith("EncoderModel") for name in saved_as):
        return ""
    return (
        "above" if config.get("model_type") in _ENCODER_DECODERS or config.get("is_encoder_decoder") else ""
    )


def longest_target(pretrained: Pretrained) -> int:
    """Return how many tokens the positions of a model allow for what it writes."""
    return _positions(pretrained.config, "decoder")


def own_files(pretrained: Pretrained) -> dict[str, Any]:
    """Return the files with which Transformers loads the saved weights, which are float32, and the tokenizer.

    The tokenizer cuts texts where they were cut here, and goes between the same languages.
    """
    files: dict[str, Any] = {"config.json": {**own_config(pretrained), "dtype": "float32"}}
    about = _ABOUT_THEM[0]
    if about in pretrained.assets:
        texts = cast(TextPreprocess, pretrained.preprocess)
        between = dict(zip(("src_lang", "tgt_lang"), texts.languages, strict=False))
        said = read_json(pretrained.assets[about], SAVED)
        files[about] = {**said, "model_max_length": texts.max_length, **between}
    return files


def own_config(pretrained: Pretrained) -> dict[str, Any]:
    """Return a model's configuration as Transformers knows it, in float32."""
    return {name: one for name, one in in_float32(pretrained.config).items() if name != SENTENCE}


def in_float32(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with no other precision anywhere in it."""
    return {
        name: in_float32(value) if isinstance(value, dict) else "float32" if name == "dtype" else value
        for name, value in config.items()
        if name != "torch_dtype"
    }


def licence_of(folder: Path) -> str:
    """Return the licence that the model card states."""
    card = folder / "README.md"
    stated = (
        re.search(r"^license:\s*[\"']?([^\s\"']+)", card.read_text(errors="replace"), re.MULTILINE)
        if card.is_file()
        else None
    )
    return stated.group(1) if stated else "not stated"


def _positions(config: Mapping[str, Any], part: str) -> int:
    """Return how many tokens the positions of a model allow, or those of its encoder or decoder."""
    inside = config.get(part)
    if isinstance(inside, dict):  # a model made of two
        return _positions(inside, part)
    if config.get("model_type") in _RELATIVE_POSITIONS:
        return _ANY_LENGTH
    names = (f"max_{part}_position_embeddings", "max_position_embeddings", "n_positions")
    positions = next((int(config[name]) for name in names if config.get(name)), _LONGEST)
    if config.get("model_type") in _OFFSET_POSITIONS:  # they count from behind the padding id on
        padding = config.get("pad_token_id")
        return positions - 1 - (1 if padding is None else int(padding))
    return positions


def _max_length(folder: Path, config: Mapping[str, Any]) -> int:
    """Return how many tokens the model was trained on at a time, 512 where it does not say."""
    stated = None
    for name, key in (
        ("sentence_bert_config.json", "max_seq_length"),
        ("tokenizer_config.json", "model_max_length"),
    ):
        file = folder / name
        stated = stated or (read_json(file, SAVED).get(key) if file.is_file() else None)
    # A tokenizer without a limit states 10 to the 30.
    return int(min(stated or _LONGEST, _LONGEST, _positions(config, "encoder")))
