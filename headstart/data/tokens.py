"""A text as tokens of a model's own tokenizer."""

from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from headstart.contracts import Prepared, Pretrained, TextPreprocess
from headstart.core.errors import BadExample, UserError
from headstart.core.frameworks import prepare_torch

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_ONE_AT_A_TIME = Lock()
"""How Transformers' tokenizers cut, and which language they are in, is a state that all calls share."""


def encode(text: str, pretrained: Pretrained, notes: tuple[str, ...] = ()) -> Prepared:
    """Cut a text into at most ``max_length`` tokens: ids and mask, int64 [T]. Raises BadExample."""
    preprocess = cast(TextPreprocess, pretrained.preprocess)
    if not text.strip():
        raise BadExample("empty text")
    if not preprocess.tokenizer:
        ids, overflowing = _by_transformers(preprocess.prefix + text, pretrained)
    else:
        encoding = tokenizer_of(pretrained).encode(preprocess.prefix + text)
        ids, overflowing = encoding.ids, bool(encoding.overflowing)
    if not ids:
        raise BadExample("no token is left of the text")
    cut = (f"cut to {preprocess.max_length} tokens",) if overflowing else ()
    ids_T = np.asarray(ids, dtype=np.int64)
    inputs = {"input_ids": ids_T, "attention_mask": np.ones_like(ids_T)}
    return Prepared(inputs=inputs, notes=(*notes, *cut), length=len(ids_T))


def _by_transformers(text: str, pretrained: Pretrained) -> tuple[list[int], bool]:
    longest = cast(TextPreprocess, pretrained.preprocess).max_length
    with _ONE_AT_A_TIME:
        tokenizer = own_tokenizer(pretrained)
        ids = list(tokenizer(text, verbose=False)["input_ids"])
        if len(ids) <= longest:
            return ids, False
        return list(tokenizer(text, truncation=True, max_length=longest)["input_ids"]), True


def tokenizer_of(pretrained: Pretrained) -> "Tokenizer":
    """Return a model's fast tokenizer, which cuts texts at ``max_length`` tokens."""
    preprocess = cast(TextPreprocess, pretrained.preprocess)
    return _tokenizer(pretrained.assets[preprocess.tokenizer], preprocess.max_length)


def whole_tokenizer_of(pretrained: Pretrained) -> "Tokenizer":
    """Return a model's fast tokenizer, which cuts no text."""
    preprocess = cast(TextPreprocess, pretrained.preprocess)
    return _tokenizer(pretrained.assets[preprocess.tokenizer], None)


def own_tokenizer(pretrained: Pretrained) -> Any:
    """Return the tokenizer as Transformers reads it, between the preprocess's languages."""
    preprocess = cast(TextPreprocess, pretrained.preprocess)
    return _transformers(next(iter(pretrained.assets.values())).parent, preprocess.languages)


@cache
def _tokenizer(path: Path, max_length: int | None) -> "Tokenizer":
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    if max_length is None:
        tokenizer.no_truncation()
    else:
        tokenizer.enable_truncation(max_length)
    tokenizer.no_padding()
    return tokenizer


@cache
def _transformers(folder: Path, languages: tuple[str, ...]) -> Any:
    prepare_torch()
    from transformers import AutoTokenizer

    between = dict(zip(("src_lang", "tgt_lang"), languages, strict=False))
    try:
        return AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, **between
        )
    except ImportError as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"the tokenizer of {folder} needs a library that is not here ({reason})",
            "sentencepiece, for many models",
            "run: pip install headstart[seq2seq]",
        ) from error
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"Transformers cannot read the tokenizer of {folder} ({reason})",
            "the tokenizer's files beside the model's",
            "load the tokenizer with Transformers and save_pretrained it there",
        ) from error
