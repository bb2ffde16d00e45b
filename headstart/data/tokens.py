"""A text as tokens of a model's own tokenizer."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from headstart.contracts import Prepared, Pretrained, TextPreprocess
from headstart.core.errors import BadExample, UserError
from headstart.core.files import read_bounded
from headstart.core.foreign import foreign, reason_of
from headstart.core.frameworks import prepare_torch

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_ONE_AT_A_TIME = Lock()
"""How Transformers' tokenizers cut, and which language they are in, is a state that all calls share."""
_Count = Callable[[str], tuple[list[int], int]]
"""From a text to the ids that are kept, and how many more tokens there are."""
_CHARACTERS, _SPARE = 16, 64
_LARGEST = 256 << 20


def encode(text: str, pretrained: Pretrained, notes: tuple[str, ...] = ()) -> Prepared:
    """Cut a text into at most ``max_length`` tokens: ids and mask, int64 [T]. Raises BadExample.

    Of a long text no more is looked at than it takes to fill them.
    """
    preprocess = cast(TextPreprocess, pretrained.preprocess)
    if not text.strip():
        raise BadExample("empty text")
    whole, longest = preprocess.prefix + text, preprocess.max_length
    count = _fast(pretrained) if preprocess.tokenizer else _by_transformers(pretrained)
    size, enough = longest * _CHARACTERS, max(_SPARE, longest // 2)
    ids, more = count(whole[: _edge(whole, size)])
    while size < len(whole) and more < enough:
        size *= 4
        ids, more = count(whole[: _edge(whole, size)])
    if not ids:
        raise BadExample("no token is left of the text")
    _refuse_unknown(ids, pretrained)
    cut = (f"cut to {longest} tokens",) if more else ()
    ids_T = np.asarray(ids, dtype=np.int64)
    inputs = {"input_ids": ids_T, "attention_mask": np.ones_like(ids_T)}
    return Prepared(inputs=inputs, notes=(*notes, *cut), length=len(ids_T))


def _refuse_unknown(ids: list[int], pretrained: Pretrained) -> None:
    """Raise UserError for a token that the model has no embedding of."""
    inside = pretrained.config.get("encoder")
    rows = (inside if isinstance(inside, dict) else pretrained.config).get("vocab_size")
    if isinstance(rows, int) and max(ids) >= rows:
        raise UserError(
            f"the tokenizer of {pretrained.base} gives token {max(ids)}, but the model embeds {rows}",
            "a tokenizer and a model that belong together",
            "get both from one place",
        )


def _edge(text: str, size: int) -> int:
    """Return where to cut: at the last space before ``size``, or there in a script without spaces."""
    if size >= len(text):
        return len(text)
    return max(text.rfind(mark, size // 2, size) for mark in " \n") + 1 or size


def _fast(pretrained: Pretrained) -> _Count:
    def count(text: str) -> tuple[list[int], int]:
        encoding = tokenizer_of(pretrained).encode(text)
        return encoding.ids, sum(len(one.ids) for one in encoding.overflowing)

    return count


def _by_transformers(pretrained: Pretrained) -> _Count:
    longest = cast(TextPreprocess, pretrained.preprocess).max_length

    def count(text: str) -> tuple[list[int], int]:
        with _ONE_AT_A_TIME:
            tokenizer = own_tokenizer(pretrained)
            ids = list(tokenizer(text, verbose=False)["input_ids"])
            if len(ids) <= longest:
                return ids, 0
            return list(tokenizer(text, truncation=True, max_length=longest)["input_ids"]), len(ids) - longest

    return count


def tokenizer_of(pretrained: Pretrained) -> "Tokenizer":
    """Return a model's fast tokenizer, which cuts texts at ``max_length`` tokens."""
    preprocess = cast(TextPreprocess, pretrained.preprocess)
    return _tokenizer(pretrained.assets[preprocess.tokenizer], preprocess.max_length)


def whole_tokenizer_of(pretrained: Pretrained) -> "Tokenizer":
    """Return a model's fast tokenizer, which cuts no text."""
    preprocess = cast(TextPreprocess, pretrained.preprocess)
    if preprocess.tokenizer:
        return _tokenizer(pretrained.assets[preprocess.tokenizer], None)
    return _tokenizer_within(own_tokenizer(pretrained), pretrained.base)


def own_tokenizer(pretrained: Pretrained) -> Any:
    """Return the tokenizer as Transformers reads it, between the preprocess's languages."""
    preprocess = cast(TextPreprocess, pretrained.preprocess)
    return _transformers(next(iter(pretrained.assets.values())).parent, preprocess.languages)


def _tokenizer_within(own: Any, base: str) -> "Tokenizer":
    """Return the fast tokenizer inside Transformers' own. Raises UserError where that is slow."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    if not isinstance(own, PreTrainedTokenizerFast):
        raise UserError(
            f"{base} has no tokenizer.json", "a fast tokenizer, for a new decoder", "save_pretrained it anew"
        )
    tokenizer = Tokenizer.from_str(own.backend_tokenizer.to_str())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@cache
def _tokenizer(path: Path, max_length: int | None) -> "Tokenizer":
    from tokenizers import Tokenizer

    def refusal(error: BaseException) -> UserError:
        found = f"{path} is no tokenizer ({reason_of(error)})"
        return UserError(found, "a tokenizer.json as Transformers saves it", "get it again")

    with foreign(refusal):  # the library's own class of errors is plain Exception
        tokenizer = Tokenizer.from_str(read_bounded(path, _LARGEST).decode())
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
            "run: pip install sentencepiece sacremoses",
        ) from error
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"Transformers cannot read the tokenizer of {folder} ({reason})",
            "the tokenizer's files beside the model's",
            "load the tokenizer with Transformers and save_pretrained it there",
        ) from error
