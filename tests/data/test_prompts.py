"""Prefixes and languages: what each family of models is told, by its own codes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headstart.contracts import Pretrained, TextPreprocess
from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch
from headstart.data import tokens
from headstart.data.prompts import prompted
from headstart.fitting import decoders
from headstart.model.decoders import Writing
from headstart.model.trunk import FrozenModel, find, find_model
from tests.model.families import source_of

torch = prepare_torch()

import transformers  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

Folder = Callable[[str], Path]
LEARNT = {
    "summarization": {"prefix": "summarize: ", "max_length": 200},
    "translation_en_to_fr": {"prefix": "translate English to French: "},
}
TEXT = "the value of the array"


def told(folder: Path, *languages: str, prefix: str | None = None, task: str = "translation") -> Pretrained:
    return prompted(find(f"hf:{folder}")[1], task, prefix, languages)


def texts_of(pretrained: Pretrained) -> TextPreprocess:
    assert isinstance(pretrained.preprocess, TextPreprocess)
    return pretrained.preprocess


@pytest.mark.parametrize(
    ("task", "languages", "given", "expected"),
    [
        ("summarization", (), None, "summarize: "),
        ("translation", ("en", "fr"), None, "translate English to French: "),
        ("translation", ("fr", "en"), None, ""),
        ("translation", ("", ""), None, ""),
        ("summarization", (), "tl;dr: ", "tl;dr: "),
        ("summarization", (), "", ""),
    ],
)
def test_the_prefix_is_the_users_or_the_one_of_the_models_training(
    family_folder: Folder, task: str, languages: tuple[str, ...], given: str | None, expected: str
) -> None:
    found = find(f"hf:{family_folder('t5')}")[1]
    model = prompted(
        replace(found, config={**found.config, "task_specific_params": LEARNT}), task, given, languages
    )
    assert texts_of(model).prefix == expected
    prepared = tokens.encode(TEXT, model)
    own = tokens.own_tokenizer(model)
    assert prepared.inputs["input_ids"].tolist() == own(expected + TEXT)["input_ids"]


@pytest.mark.parametrize(
    ("kind", "languages", "own"),
    [
        ("mbart", ("de", "fr"), ("de_DE", "fr_XX")),
        ("mbart50", ("en", "de"), ("en_XX", "de_DE")),
        ("nllb", ("de", "en"), ("deu_Latn", "eng_Latn")),
        ("m2m_100", ("de", "fr"), ("de", "fr")),
    ],
)
def test_languages_are_told_in_the_models_own_codes(
    family_folder: Folder, kind: str, languages: tuple[str, str], own: tuple[str, str]
) -> None:
    folder = family_folder(kind)
    pretrained = told(folder, *languages)
    assert (texts_of(pretrained).languages, texts_of(pretrained).prefix) == (own, "")
    theirs = transformers.AutoTokenizer.from_pretrained(folder, src_lang=own[0], tgt_lang=own[1])
    prepared = tokens.encode(TEXT, pretrained)
    assert prepared.inputs["input_ids"].tolist() == theirs(TEXT)["input_ids"]


@pytest.mark.parametrize("kind", ["mbart", "mbart50", "nllb", "m2m_100"])
def test_what_is_written_begins_with_the_target_language(family_folder: Folder, kind: str) -> None:
    # As Transformers' documentation says: a forced first token, or for the first mBART the decoder's start.
    folder = family_folder(kind)
    sizes = {"image_size": None, "max_length": None}
    found = find_model(f"hf:{folder}", "text-states", sizes, None)
    model = replace(found, pretrained=prompted(found.pretrained, "translation", None, ("en", "de")))
    source, target = texts_of(model.pretrained).languages
    theirs = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder)
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder, src_lang=source, tgt_lang=target)
    code = tokenizer.convert_tokens_to_ids("__de__" if kind == "m2m_100" else target)
    name = "decoder_start_token_id" if kind == "mbart" else "forced_bos_token_id"
    writing = Writing(beams=2, most=8, no_repeat=0)
    expected = theirs.generate(**tokenizer(TEXT, return_tensors="pt"), **{name: code}, **writing.options())
    assert code in expected[0, :2]
    decoder = decoders.own_decoder(model, model.network().module)
    found_NT = decoder.write(source_of(model, [TEXT]), writing)
    assert found_NT.tolist() == expected.tolist()


def test_marian_reads_the_target_language_before_the_text(family_folder: Folder) -> None:
    pretrained = told(family_folder("marian"), "en", "fr")
    assert (texts_of(pretrained).prefix, texts_of(pretrained).languages) == (">>fra<< ", ())
    first = tokens.encode(TEXT, pretrained).inputs["input_ids"][0]
    assert tokens.own_tokenizer(pretrained).convert_ids_to_tokens([first]) == [">>fra<<"]


@pytest.mark.parametrize(("kind", "language"), [("mbart", "sw"), ("nllb", "it"), ("marian", "es")])
def test_a_language_that_the_model_lacks_is_told(family_folder: Folder, kind: str, language: str) -> None:
    with pytest.raises(UserError, match=f"has no {language}; expected one of .*d?e"):
        told(family_folder(kind), "en", language)


def test_a_model_without_tokens_for_languages_is_asked_for_none(family_folder: Folder) -> None:
    for kind in ("bart", "t5", "bert2bert"):
        assert texts_of(told(family_folder(kind), "en", "sw")).languages == ()


def test_a_prefix_for_pictures_is_refused() -> None:
    pictures = find("pack:efficientnet-lite0")[1]
    assert prompted(pictures, "image-classification", None) is pictures
    with pytest.raises(UserError, match="--prefix for pack:efficientnet-lite0"):
        prompted(pictures, "image-classification", "look: ")


def test_a_trunk_that_is_told_otherwise_is_another_function(family_folder: Folder) -> None:
    sizes = {"image_size": None, "max_length": None}
    model: FrozenModel = find_model(f"hf:{family_folder('t5')}", "text-states", sizes, None)
    other = replace(model, pretrained=prompted(model.pretrained, "summarization", "say: "))
    assert other.key != model.key
