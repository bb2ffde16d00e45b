"""The greedy oracle and the best run of words, against slow and obvious references."""

import random
from collections.abc import Sequence

from headstart.maths import oracle
from headstart.maths.rouge import Tokens, f1, ngrams


def gain(chosen: Sequence[Tokens], reference: Tokens) -> float:
    """ROUGE-1 + ROUGE-2, pairs counted within sentences."""
    total = 0.0
    for order in (1, 2):
        wanted = ngrams(reference, order)
        got = sum((ngrams(sentence, order) for sentence in chosen), start=ngrams((), order))
        total += f1(sum((wanted & got).values()), wanted.total(), got.total())
    return total


def slowly(sentences: Sequence[Tokens], reference: Tokens, most: int) -> list[int]:
    chosen: list[int] = []
    while len(chosen) < most:
        best, now = None, gain([sentences[place] for place in chosen], reference)
        for place in range(len(sentences)):
            if place not in chosen:
                score = gain([sentences[one] for one in (*chosen, place)], reference)
                if score > now + 1e-12:
                    best, now = place, score
        if best is None:
            break
        chosen.append(best)
    return chosen


def draw_tokens(draw: random.Random, longest: int) -> list[str]:
    return draw.choices("abcdefg", k=draw.randint(0, longest))


def test_the_greedy_choice_is_the_slow_ones() -> None:
    draw = random.Random(0)
    for _ in range(300):
        sentences = [draw_tokens(draw, 6) for _ in range(draw.randint(0, 7))]
        reference, most = draw_tokens(draw, 9), draw.randint(1, 4)
        got = oracle.greedy(sentences, reference, most)
        wanted = slowly(sentences, reference, most)
        assert len(got) == len(wanted)
        scores = [gain([sentences[place] for place in chosen], reference) for chosen in (got, wanted)]
        assert abs(scores[0] - scores[1]) < 1e-9


def test_nothing_alike_chooses_nothing() -> None:
    assert oracle.of_texts(("One thing.", "Another one."), "Nought", 3) == ()
    assert oracle.of_texts(("Noise.", "A cat sat.", "More noise."), "a cat sat", 3) == (1,)


def test_the_best_run_is_the_best_of_all_runs() -> None:
    draw = random.Random(0)
    for _ in range(200):
        words = [draw_tokens(draw, 2) for _ in range(draw.randint(1, 8))]
        reference = draw_tokens(draw, 6)

        def score(begin: int, end: int, words: list[list[str]] = words, ref: list[str] = reference) -> float:
            return gain([[token for word in words[begin:end] for token in word]], ref)

        runs = [(b, e) for b in range(len(words)) for e in range(b + 1, len(words) + 1)]
        begin, end = oracle.best_span(words, reference)
        assert abs(score(begin, end) - max(score(*run) for run in runs)) < 1e-9
