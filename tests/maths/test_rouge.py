"""ROUGE and Porter's stemmer against the rouge-score and NLTK packages, exactly."""

import itertools
import random
import warnings

import pytest

from headstart.maths import porter, rouge
from tests.house.tree import ROOT

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from nltk.stem.porter import PorterStemmer
    from rouge_score import rouge_scorer

WORDS = (ROOT / "README.md").read_text() + (ROOT / "docs" / "architecture.md").read_text()
LINES = [line for line in WORDS.splitlines() if line.strip()]


@pytest.mark.parametrize("stemmed", [True, False])
def test_real_texts_score_as_rouge_score_says(stemmed: bool) -> None:
    scorer = rouge_scorer.RougeScorer(list(rouge.NAMES), use_stemmer=stemmed)
    for one, other in zip(LINES, LINES[3:], strict=False):
        summary = f"{other}\n{one[: len(one) // 2]}"
        theirs = scorer.score(one, summary)
        assert rouge.scores(one, summary, stemmed) == tuple(theirs[name].fmeasure for name in rouge.NAMES)


@pytest.mark.parametrize("stemmed", [True, False])
def test_random_texts_score_as_rouge_score_says(stemmed: bool) -> None:
    scorer, draw = rouge_scorer.RougeScorer(list(rouge.NAMES), use_stemmer=stemmed), random.Random(0)

    def text() -> str:
        lines = (" ".join(draw.choices("abcde", k=draw.randint(0, 8))) for _ in range(draw.randint(0, 4)))
        return "\n".join(lines)

    for _ in range(500):
        one, other = text(), text()
        theirs = scorer.score(one, other)
        assert rouge.scores(one, other, stemmed) == tuple(theirs[name].fmeasure for name in rouge.NAMES)


def test_words_are_stemmed_as_nltk_does() -> None:
    theirs, draw = PorterStemmer(), random.Random(0)
    invented = ["".join(draw.choices("aeioustlyzedingb", k=draw.randint(1, 9))) for _ in range(20_000)]
    known = "skies dying news innings agreed flies tied rationally conditional hopefulness geology fully"
    for word in itertools.chain(set(rouge.tokens(WORDS, stemmed=False)), invented, known.split()):
        assert porter.stem(word) == theirs.stem(word), word


def test_nothing_scores_nothing() -> None:
    assert rouge.scores("", "a word") == rouge.scores("a word", "") == (0, 0, 0, 0)
    assert rouge.scores("A word.", "a WORD") == (1, 1, 1, 1)


def test_the_bitwise_length_is_the_tables() -> None:
    draw = random.Random(1)
    for _ in range(300):
        one, other = ([*draw.choices("abc", k=draw.randint(0, 90))] for _ in range(2))
        table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
        for i, j in itertools.product(range(len(one)), range(len(other))):
            same = one[i] == other[j]
            table[i + 1][j + 1] = table[i][j] + 1 if same else max(table[i][j + 1], table[i + 1][j])
        assert rouge.lcs_length(one, other) == table[-1][-1]
