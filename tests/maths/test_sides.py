"""Which side of a corpus a text belongs to: real sentences, and what is never clear."""

import pytest

from headstart.maths.sides import odds, trigram_counts
from tests.auditing.bad_data import real_pairs


def test_sentences_are_told_apart_without_a_list_of_languages() -> None:
    pairs = real_pairs()
    english = trigram_counts(row["en"] for row in pairs)
    french = trigram_counts(row["fr"] for row in pairs)
    right = [(odds(row["en"], french, english), odds(row["fr"], english, french)) for row in pairs]
    wrong = [(odds(row["fr"], french, english), odds(row["en"], english, french)) for row in pairs]
    assert sum(value > 0 for some in right for value in some) == 0
    # What stands on the wrong side is counted there as well, in ``there``: most of it is still clear.
    assert sum(value > 0 for some in wrong for value in some) > 0.8 * 2 * len(pairs)


@pytest.mark.parametrize("text", ["", "ok", "1234 5678 90", "%s %d {}", "one two"])
def test_short_texts_are_never_clear(text: str) -> None:
    counts = trigram_counts(["some words that stand here", "and some more of them"])
    others = trigram_counts(["d'autres mots qui sont ici", "et encore quelques-uns"])
    assert odds(text, counts, others) == odds(text, others, counts) == 0.0
