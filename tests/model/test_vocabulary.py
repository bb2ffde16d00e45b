"""Vocabularies: what is encoded comes back, or is said not to."""

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from headstart.model import vocabulary

TEXTS = ["Un élève naïf mangeait l'œuf.", "Qt5 bindings for C++", "tools for x86-64 (development files)"]


def uncased() -> Tokenizer:
    """Word pieces that know neither capitals nor accents, as BERT's."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer.train_from_iterator(TEXTS, trainers.WordPieceTrainer(vocab_size=300, special_tokens=special))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def test_subwords_that_are_learnt_write_any_text() -> None:
    words = vocabulary.learn(TEXTS, 400)
    for text in (*TEXTS, "Ω ≈ 3.14 日本語 \U0001f600", "x"):
        ids, cut = words.encode(text, 200)
        assert ids[-1] == words.end
        assert not cut
        assert words.decode([words.start, *ids, words.pad, words.pad], "") == text
    again = vocabulary.of_bytes(words.to_bytes())
    assert again.encode(TEXTS[0], 99) == words.encode(TEXTS[0], 99)
    assert again.facts() == words.facts()


def test_long_targets_are_cut_and_said_to_be() -> None:
    words = vocabulary.learn(TEXTS, 400)
    whole, _ = words.encode(TEXTS[0], 200)
    ids, cut = words.encode(TEXTS[0], 5)
    assert cut
    assert ids == [*whole[:4], words.end]
    assert words.encode(TEXTS[0], len(whole)) == (whole, False)


def test_a_tokenizer_without_accents_does_not_cover_french() -> None:
    tokenizer = uncased()
    assert vocabulary.coverage(tokenizer, TEXTS[1:]) == (1.0, False)
    assert vocabulary.coverage(tokenizer, TEXTS[:1]) == (0.0, True)


def test_the_encoders_subwords_take_their_form_from_the_source() -> None:
    words = vocabulary.of_encoder(uncased(), cased=False)
    assert words is not None
    assert (words.start, words.end) == (2, 3)
    ids, _ = words.encode("C++ bindings for Qt5", 50)
    assert words.decode([words.start, *ids], "Qt5 has bindings (C++).") == "C++ bindings for Qt5"
    assert words.to_bytes() == b""


def test_a_tokenizer_without_beginning_and_end_is_no_vocabulary() -> None:
    tokenizer = uncased()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A", special_tokens=[])
    assert vocabulary.of_encoder(tokenizer, cased=True) is None


@pytest.mark.parametrize(
    ("text", "source", "expected"),
    [
        ("c + + library", "A C++ library.", "C++ library"),
        ("x86 - 64 tools , fast", "for x86-64, with", "x86-64 tools, fast"),
        ("gnome", "GNOME and gnome", "GNOME"),
        ("new words stay", "", "new words stay"),
        ("", "anything", ""),
    ],
)
def test_words_look_as_in_the_source(text: str, source: str, expected: str) -> None:
    assert vocabulary.as_in(text, source) == expected
