"""The tf-idf of ``maths.tfidf`` against scikit-learn's, and what it does at the edges."""

from collections.abc import Sequence

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from headstart.maths import tfidf

TEXTS = (
    "The cat sat on the mat; the CAT slept.",
    "A dog sat on a cat, a dog barked",
    "naïve Ünïcode words: straße straße naïve",
    "x y z",
    "",
    "the words the words the words 42 42",
    "日本語 の 文 日本語",
    "once_only under_score 日本語 words ünïcode",
)


def sklearns(texts: Sequence[str]) -> TfidfVectorizer:
    return TfidfVectorizer(
        sublinear_tf=True, smooth_idf=True, norm="l2", min_df=2, token_pattern=r"\w\w+", dtype=np.float64
    ).fit(texts)


@pytest.mark.parametrize("seen", [TEXTS, TEXTS[::-1], ("wholly unknown", "cat", "", "dog cat " * 50)])
def test_equals_scikit_learn(seen: Sequence[str]) -> None:
    theirs, ours = sklearns(TEXTS), tfidf.learn(TEXTS)
    assert sorted(ours["terms"]) == sorted(theirs.vocabulary_)
    order = [theirs.vocabulary_[term] for term in ours["terms"]]
    np.testing.assert_allclose(
        tfidf.matrix(ours, seen).toarray(), theirs.transform(seen).toarray()[:, order], atol=1e-6
    )


def test_equals_scikit_learn_on_random_texts() -> None:
    draw = np.random.default_rng(0)
    vocabulary = [f"w{number}" for number in range(300)]
    texts = [" ".join(draw.choice(vocabulary, size=draw.integers(0, 80))) for _ in range(120)]
    theirs, ours = sklearns(texts[:90]), tfidf.learn(texts[:90])
    order = [theirs.vocabulary_[term] for term in ours["terms"]]
    np.testing.assert_allclose(
        tfidf.matrix(ours, texts[90:]).toarray(), theirs.transform(texts[90:]).toarray()[:, order], atol=1e-6
    )


def test_rows_have_unit_length_or_are_empty() -> None:
    rows = tfidf.matrix(tfidf.learn(TEXTS), [*TEXTS, "nothing of this occurs"])
    assert rows.dtype == np.float32
    lengths = np.linalg.norm(rows.toarray(), axis=1)
    empty = {3, 4, len(TEXTS)}
    for place, length in enumerate(lengths):
        assert length == pytest.approx(0.0 if place in empty else 1.0, abs=1e-6)


def test_a_term_of_one_text_is_left_out_unless_there_is_no_other() -> None:
    assert "barked" not in tfidf.learn(TEXTS)["terms"]
    assert tfidf.learn(["lonely words"])["terms"] == ["lonely", "words"]


def test_without_any_term_there_is_a_matrix_still() -> None:
    learnt = tfidf.learn(["", "!", "a b"])
    assert tfidf.matrix(learnt, ["", "abc"]).shape == (2, 0)


def test_the_commonest_terms_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tfidf, "MAX_TERMS", 2)
    assert tfidf.learn(["aa bb cc", "aa bb", "aa cc bb", "dd"])["terms"] == ["aa", "bb"]


def test_what_was_learnt_survives_json() -> None:
    import json

    learnt = tfidf.learn(TEXTS)
    again = tfidf.matrix(json.loads(json.dumps(learnt)), TEXTS)
    assert (again != tfidf.matrix(learnt, TEXTS)).nnz == 0
