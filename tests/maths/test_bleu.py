"""BLEU and chrF of sums are sacreBLEU's own of corpora; the paired bootstrap tells luck from skill."""

import logging
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from headstart.maths import bleu
from headstart.maths.intervals import bootstrap, paired

WORDS = (
    *("the", "a", "of", ".", ",", "!", "cat", "Cat", "dog", "été", "où", "naïve", "(x)", "3,000", "it's"),
    *("&", "<", "house", "houses", "x", "3.5", "U.S.", "中文", "。"),
)
SENTENCE = st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)


def total(references: list[str], translations: list[str], language: str = "") -> tuple[float, float]:
    sums_1M = bleu.statistics(references, translations, language).sum(axis=0)[None, :]
    return float(bleu.bleu(sums_1M)[0]), float(bleu.chrf(sums_1M)[0])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(SENTENCE, SENTENCE, st.booleans()), min_size=1, max_size=8))
def test_scores_of_sums_are_sacrebleus_of_corpora(pairs: list[tuple[str, str, bool]]) -> None:
    references = [one for one, _, _ in pairs]
    translations = [one if same else other for one, other, same in pairs]
    expected = [
        metric.corpus_score(translations, [references]).score for metric in (BLEU(force=True), CHRF())
    ]
    assert total(references, translations) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_each_row_is_scored_for_itself() -> None:
    rng = random.Random(0)
    sentences = [" ".join(rng.choices(WORDS, k=rng.randint(0, 20))) for _ in range(40)]
    translations = [" ".join(rng.sample(one.split(), len(one.split()))) for one in sentences]
    counts_NM = bleu.statistics(sentences, translations)
    assert counts_NM.shape == (40, bleu.STATISTICS)
    for place, (reference, translation) in enumerate(zip(sentences, translations, strict=True)):
        both = total([reference], [translation])
        assert (bleu.bleu(counts_NM)[place], bleu.chrf(counts_NM)[place]) == pytest.approx(both)


def test_pieces_come_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(f"the cat {number}", f"a cat {number // 2} is here") for number in range(11)]
    references, translations = zip(*rows, strict=True)
    whole = bleu.statistics(references, translations)
    monkeypatch.setattr(bleu, "_AT_ONCE", 4)
    assert np.array_equal(bleu.statistics(references, translations), whole)


def test_counts_are_those_of_a_slow_count() -> None:
    reference, translation = "the cat sat on the mat", "the the cat on the mat"
    wanted, got = reference.split(), translation.split()
    matches, totals = [], []
    for order in range(1, 5):
        grams = [
            Counter(tuple(side[i : i + order]) for i in range(len(side) - order + 1))
            for side in (wanted, got)
        ]
        matches.append(sum((grams[0] & grams[1]).values()))
        totals.append(sum(grams[1].values()))
    counts_M = bleu.statistics([reference], [translation])[0]
    assert counts_M[:10].tolist() == [6, 6, *matches, *totals]
    letters = [reference.replace(" ", ""), translation.replace(" ", "")]
    grams = [Counter(side[i : i + 3] for i in range(len(side) - 2)) for side in letters]
    together = sum((grams[0] & grams[1]).values())
    assert counts_M[10 + 6 : 10 + 9].tolist() == [sum(grams[1].values()), sum(grams[0].values()), together]


def test_the_ends_of_the_scale() -> None:
    long = "one two three four five six"
    assert total([long], [long]) == pytest.approx((100, 100))
    assert total([long], [""]) == (0, 0)
    assert total([""], [long]) == (0, 0)
    assert total([""], [""]) == (0, 0)
    assert total([long], ["seven"]) == (0, pytest.approx(CHRF().corpus_score(["seven"], [[long]]).score))
    assert bleu.statistics([], []).shape == (0, bleu.STATISTICS)


def test_tokens_and_signatures_follow_the_target_language() -> None:
    assert [bleu.tokenizer(code) for code in ("", "fr", "zh", "zh_CN", "ja", "th", "pt_BR")] == [
        *("13a", "13a", "zh", "zh", "char", "char", "13a")
    ]
    reference, translation = "我们今天回家吃饭。", "我们今天回家睡觉。"
    expected = BLEU(tokenize="zh").corpus_score([translation], [[reference]]).score
    assert total([reference], [translation], "zh_Hans")[0] == pytest.approx(expected)
    assert total([reference], [translation])[0] == 0
    words, characters = bleu.signatures("fr")
    assert words.startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert characters.startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:")
    assert "tok:char" in bleu.signatures("ja")[0]


def test_tokenized_texts_bring_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        bleu.statistics(["a b ."] * 150, ["a c ."] * 150)
    assert not caplog.records


@pytest.mark.parametrize("language", ["fr", "zh", "ja"])
def test_sentences_are_not_kept(language: str) -> None:
    """sacreBLEU remembers 65,536 of them: memory would grow with a split of any usual size."""
    bleu.statistics([f"reference {number}" for number in range(50)], ["a translation"] * 50, language)
    words = BLEU(tokenize=bleu.tokenizer(language), force=True).tokenizer
    ways = [words, *([words._post_tokenizer] if hasattr(words, "_post_tokenizer") else [])]
    assert [type(way).__call__.cache_info().currsize for way in ways] == [0] * len(ways)


def test_intervals_are_of_resampled_corpora() -> None:
    rng = random.Random(1)
    references = [" ".join(rng.choices(WORDS, k=12)) for _ in range(60)]
    translations = [
        " ".join(word if rng.random() < 0.7 else rng.choice(WORDS) for word in one.split())
        for one in references
    ]
    counts_NM = bleu.statistics(references, translations)
    found = bootstrap(counts_NM, {"bleu": bleu.bleu, "chrf": bleu.chrf})
    assert found["bleu"].value == pytest.approx(
        BLEU(force=True).corpus_score(translations, [references]).score
    )
    draws = np.random.default_rng(0).integers(0, 60, size=(200, 60))
    slow = []
    for draw in draws:
        drawn = [translations[i] for i in draw], [[references[i] for i in draw]]
        slow.append(BLEU(force=True).corpus_score(*drawn).score)
    assert found["bleu"].low is not None
    assert found["bleu"].high is not None
    assert np.allclose([found["bleu"].low, found["bleu"].high], np.quantile(slow, [0.025, 0.975]), atol=2.0)


def test_a_system_is_ahead_or_only_lucky() -> None:
    rng = random.Random(3)

    def spoilt(share: float) -> list[str]:
        return [" ".join(word if rng.random() > share else "x" for word in one.split()) for one in references]

    references = [" ".join(rng.choices(WORDS[:20], k=12)) for _ in range(80)]
    good, alike, bad = (bleu.statistics(references, spoilt(share)) for share in (0.2, 0.2, 0.4))
    measures = {"bleu": bleu.bleu, "chrf": bleu.chrf}
    difference, p = paired(good, bad, measures)["bleu"]
    plain = [float(bleu.bleu(one.sum(axis=0)[None, :])[0]) for one in (good, bad)]
    assert difference.value == pytest.approx(plain[0] - plain[1])
    assert difference.low is not None
    assert 0 < difference.low < difference.value
    assert p < 0.01
    turned, again = paired(bad, good, measures)["bleu"]
    assert (turned.value, again) == (pytest.approx(-difference.value), p)
    close, luck = paired(good, alike, measures)["bleu"]
    assert luck > 0.05  # and so the interval holds 0
    assert close.low is not None
    assert close.high is not None
    assert close.low < 0 < close.high
    same, certain = paired(good, good, measures)["chrf"]
    assert (same.value, same.low, certain) == (0, None, 1)
    alone, nothing = paired(good[:1], bad[:1], measures)["bleu"]
    assert (alone.low, nothing, alone.n) == (None, 1, 1)
    with pytest.raises(ValueError, match="no examples"):
        paired(good[:0], bad[:0], measures)
