"""Taking the best sentences, and cutting them."""

import numpy as np
import pytest

from headstart.maths.selection import Budget, select
from headstart.maths.shortening import Shortener, learn

SENTENCES = ["a b c d", "x a b c", "p q r s", "t u v w"]


def test_the_best_come_in_the_documents_order() -> None:
    assert select(np.array([0.1, 0.2, 0.9, 0.8]), SENTENCES, 2) == (2, 3)
    assert select(np.array([0.1, 0.2, 0.8, 0.9]), SENTENCES, 1) == (3,)


def test_three_words_said_already_are_not_said_again() -> None:
    assert select(np.array([0.9, 0.8, 0.1, 0.0]), SENTENCES, 2) == (0, 2)
    assert select(np.array([0.8, 0.9, 0.1, 0.0]), ["A B C", "a b c", *SENTENCES[2:]], 4) == (1, 2, 3)


def test_sentences_of_two_words_block_nothing() -> None:
    assert select(np.array([0.5, 0.5]), ["a b", "a b"], 2) == (0, 1)


@pytest.mark.parametrize(
    ("budget", "of", "count"),
    [
        (Budget("sentences", 3), 10, 3),
        (Budget("sentences", 3), 1, 1),
        (Budget("share", 0.4), 10, 4),
        (Budget("share", 0.1), 3, 1),
        (Budget("share", 0.5), 5, 3),
    ],
)
def test_a_budget_is_never_nothing_and_never_more_than_there_is(budget: Budget, of: int, count: int) -> None:
    assert budget.sentences(of) == count


def test_a_shortener_learns_what_is_always_left_out() -> None:
    nouns = ["red cars", "blue boats", "old trains", "small planes"]
    sentences = [f"This package contains {noun} for everybody".split() for noun in nouns] * 3
    kept = [[False, False, False, True, True, False, False]] * len(sentences)
    short = learn(sentences, kept, 1e-3, words=1.0)
    begin, end = short.span(["This", "package", "contains", "green", "bikes", "for", "everybody"])
    assert (begin, end) == (3, 5)


def test_a_word_alone_is_kept() -> None:
    short = Shortener((), np.zeros(0, np.float32), 5.0)
    assert short.span(["word"]) == (0, 1)
    assert short.span([]) == (0, 0)
    begin, end = short.span(["a", "b", "c"])
    assert end > begin
