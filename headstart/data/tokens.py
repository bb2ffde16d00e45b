"""A text as tokens of a model's own tokenizer."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from headstart.contracts import Prepared, Pretrained, TextPreprocess
from headstart.core.errors import BadExample

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def encode(text: str, pretrained: Pretrained, notes: tuple[str, ...] = ()) -> Prepared:
    """Cut a text into at most ``max_length`` tokens: ids and mask, int64 [T]. Raises BadExample."""
    preprocess = cast(TextPreprocess, pretrained.preprocess)
    if not text.strip():
        raise BadExample("empty text")
    encoding = _tokenizer(pretrained.assets[preprocess.tokenizer], preprocess.max_length).encode(text)
    if not encoding.ids:
        raise BadExample("no token is left of the text")
    cut = (f"cut to {preprocess.max_length} tokens",) if encoding.overflowing else ()
    ids = np.asarray(encoding.ids, dtype=np.int64)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    return Prepared(inputs=inputs, notes=(*notes, *cut), length=len(ids))


@cache
def _tokenizer(path: Path, max_length: int) -> "Tokenizer":
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(max_length)
    tokenizer.no_padding()
    return tokenizer
