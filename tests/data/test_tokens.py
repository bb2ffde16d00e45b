"""Long texts as tokens: the same ones as if all of the text had been read, and quickly."""

import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers

from headstart.contracts import Example, Pretrained
from headstart.core import plugins
from headstart.core.errors import BadExample
from headstart.data import tokens
from headstart.data.sentences import sentences
from headstart.model.trunk import find_model
from headstart.tasks.summarization import MOST_SENTENCES, Summarization

ROOT = Path(__file__).resolve().parents[2]
WORDS = (ROOT / "README.md").read_text(encoding="utf-8").split()
LONG = 100_000


def words(count: int, seed: int = 0) -> list[str]:
    return random.Random(seed).choices(WORDS, k=count)


@pytest.fixture(scope="session")
def wordpiece() -> Pretrained:
    """MiniLM, 128 tokens."""
    sizes = {"image_size": None, "max_length": 128}
    return find_model("pack:minilm-l6", "text", sizes, None).pretrained


def trained(folder: Path, model: Any, trainer: Any, before: Any, like: Pretrained) -> Pretrained:
    """Return a model with another tokenizer, trained on the README."""
    made = tokenizers.Tokenizer(model)
    made.pre_tokenizer = before
    made.train_from_iterator([" ".join(WORDS)], trainer)
    made.save(str(folder / "tokenizer.json"))
    return replace(like, assets={"tokenizer.json": folder / "tokenizer.json"})


@pytest.fixture(scope="session")
def byte_pairs(tmp_path_factory: pytest.TempPathFactory, wordpiece: Pretrained) -> Pretrained:
    """A tokenizer as GPT-2's."""
    before = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=800, show_progress=False)
    return trained(tmp_path_factory.mktemp("b"), tokenizers.models.BPE(), trainer, before, wordpiece)


@pytest.fixture(scope="session")
def unigram(tmp_path_factory: pytest.TempPathFactory, wordpiece: Pretrained) -> Pretrained:
    """A tokenizer as XLM-R's."""
    before = tokenizers.pre_tokenizers.Metaspace()
    trainer = tokenizers.trainers.UnigramTrainer(vocab_size=400, show_progress=False, unk_token="<unk>")
    return trained(tmp_path_factory.mktemp("u"), tokenizers.models.Unigram(), trainer, before, wordpiece)


TEXTS: dict[str, Callable[[], str]] = {
    "words": lambda: " ".join(words(5_000)),
    "lines": lambda: "\n".join(words(5_000, 1)),
    "long words": lambda: " ".join("".join(words(30, seed)) for seed in range(300)),
    "one word": lambda: "x" * 30_000,
    "one word, then others": lambda: "x" * 30_000 + " " + " ".join(words(500)),
    "gaps": lambda: (" " * 500).join(words(300)),
    "no spaces": lambda: "今天天气很好我们去公园" * 3_000,
    "as long as fits": lambda: " ".join(words(30)),
}


@pytest.mark.parametrize("kind", ["wordpiece", "byte_pairs", "unigram"])
@pytest.mark.parametrize("text", TEXTS)
def test_a_long_text_has_the_tokens_of_all_of_it(
    kind: str, text: str, request: pytest.FixtureRequest
) -> None:
    pretrained, written = request.getfixturevalue(kind), TEXTS[text]()
    whole = tokens.tokenizer_of(pretrained).encode(written)
    found = tokens.encode(written, pretrained, ("before",))
    np.testing.assert_array_equal(found.inputs["input_ids"], whole.ids)
    assert found.length == len(whole.ids) == found.inputs["attention_mask"].sum()
    assert found.notes == (("before", "cut to 128 tokens") if whole.overflowing else ("before",))


@pytest.mark.parametrize("apart", [" ", ". ", ".\n", "\n\n", "。"])
def test_a_hundred_thousand_words_are_read_quickly(wordpiece: Pretrained, apart: str) -> None:
    text = apart.join(words(LONG))
    tokens.encode("warm", wordpiece)
    started = time.perf_counter()
    assert tokens.encode(text, wordpiece).length == 128
    assert time.perf_counter() - started < 0.2
    sentences(text)
    assert time.perf_counter() - started < 3


def test_of_a_long_document_the_first_sentences_are_read_and_that_is_counted() -> None:
    text = ". ".join(word.capitalize() for word in words(LONG))
    example = Example("d", "", Path("d"), text=text)
    started = time.perf_counter()
    found = Summarization().parts(example, False, plugins.load("source", "pack").find("minilm-l6"))
    assert time.perf_counter() - started < 1
    assert len(found.units) == MOST_SENTENCES
    assert found.notes == (f"only the first {MOST_SENTENCES} sentences of the document read",)
    assert [one.text for one in found.units] == sentences(text)[:MOST_SENTENCES]


def test_one_token_and_none(wordpiece: Pretrained, byte_pairs: Pretrained) -> None:
    assert tokens.encode("a", wordpiece).length == 3
    assert tokens.encode("a", byte_pairs).length == 1
    for empty in ("", " \n\t "):
        with pytest.raises(BadExample, match="empty text"):
            tokens.encode(empty, wordpiece)
