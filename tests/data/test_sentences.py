"""Sentences in several languages and forms."""

import pytest

from headstart.data.sentences import LONGEST_WORDS, sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),
        ("Dr. Smith met J. R. Jones, e.g. in Rome. They spoke.", None),
        ("It costs 3.5 euros. Version 2.0 is out.", ["It costs 3.5 euros.", "Version 2.0 is out."]),
        ("A wrapped line that is long enough to have been\nwrapped. Next.", None),
        ("Title of it\n\nThe text. More.", ["Title of it", "The text.", "More."]),
        ("Features:\n - one thing\n - another\n", ["Features:", "- one thing", "- another"]),
        ("今日は晴れです。明日は雨でしょう！", ["今日は晴れです。", "明日は雨でしょう！"]),
        ("यह पहला है। यह दूसरा है।", ["यह पहला है।", "यह दूसरा है।"]),
        ("¿Qué tal? Bien. Etc. y más.", ["¿Qué tal?", "Bien.", "Etc. y más."]),
        ("Wait... what? Yes… No.", ["Wait... what?", "Yes…", "No."]),
        ("", []),
        (" \n\n ... \n --- ", []),
    ],
)
def test_sentences(text: str, expected: list[str] | None) -> None:
    found = sentences(text)
    assert found == expected if expected is not None else len(found) == 2


def test_no_word_is_lost() -> None:
    text = "First line here.\nSecond one, quite long it is, and wrapped at the\nend. • an item\n\nLast"
    assert " ".join(sentences(text)).split() == text.split()


def test_text_without_full_stops_is_cut_and_read_quickly() -> None:
    found = sentences("word " * 100_000)
    assert len(found) == -(-100_000 // LONGEST_WORDS)
    assert max(len(one.split()) for one in found) == LONGEST_WORDS
