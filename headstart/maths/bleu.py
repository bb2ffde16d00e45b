"""BLEU and chrF from sums: each sentence gives counts, and a corpus's score is a function of their sums.

BLEU: K. Papineni et al., ACL 2002, as sacreBLEU computes it (M. Post, WMT 2018: one reference, exponential
smoothing). chrF: M. Popovic, WMT 2015 (characters in runs of one to six, beta 2). The counts are
sacreBLEU's own, so that scores may be compared with published ones of the same signature; scores are
0 to 100.

Shape letters: N sentences, B sums (a corpus, a resample, or one sentence each), M statistics.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

Array = NDArray[np.float64]

ORDER, CHARACTERS = 4, 6
"""The longest run of words that BLEU counts, and of characters that chrF counts."""

STATISTICS = 2 + 2 * ORDER + 3 * CHARACTERS
"""How many counts a sentence gives: lengths, matches and totals by order; (got, wanted, matched) by order."""

_BETA_SQUARED, _AT_ONCE = 4, 500
_SPACELESS = {"zh": "zh", "yue": "zh", **dict.fromkeys(("ja", "th", "lo", "km", "my", "bo", "dz"), "char")}


def tokenizer(language: str) -> str:
    """Return the name of sacreBLEU's tokenizer for a target language's code: 13a where words have spaces.

    Chinese has one of its own; what else is written without spaces is compared by characters, since
    sacreBLEU's tokenizers for it need further packages.
    """
    return _SPACELESS.get(language.partition("_")[0], "13a")


def statistics(references: Sequence[str], translations: Sequence[str], language: str = "") -> Array:
    """Return each sentence's counts, float64 [N, M]: first BLEU's, then chrF's."""
    if not references:
        return np.zeros((0, STATISTICS))
    words, characters = _metrics(language)
    parts = []
    for start in range(0, len(references), _AT_ONCE):  # sacreBLEU takes ten times as much for a sentence
        some = slice(start, start + _AT_ONCE)
        counts = (
            metric._extract_corpus_statistics(list(translations[some]), [list(references[some])])
            for metric in (words, characters)
        )
        parts.append(np.concatenate([np.asarray(one, dtype=np.float64) for one in counts], axis=1))
        _forget(words.tokenizer)
    return np.concatenate(parts)


def _forget(tokenizer: Any) -> None:
    """Empty sacreBLEU's caches, which hold 65,536 of the sentences that were compared."""
    for one in (tokenizer, getattr(tokenizer, "_post_tokenizer", None)):
        clear = getattr(type(one).__call__, "cache_clear", None)
        if clear is not None:
            clear()


def signatures(language: str = "") -> tuple[str, str]:
    """Return what scores must share to be compared: BLEU's signature and chrF's, as sacreBLEU writes them."""
    words, characters = _metrics(language)
    found = []
    for metric in (words, characters):
        metric.corpus_score(["a"], [["a"]])  # how many references there are is part of it
        found.append(str(metric.get_signature()))
    return found[0], found[1]


def bleu(sums_BM: Array) -> Array:
    """Return BLEU of each of B sums, float64 [B]: brevity penalty times the precisions' geometric mean.

    An order without a match counts as 1/2, 1/4, 1/8 ... of one (smoothing method 3 of B. Chen and
    C. Cherry, WMT 2014); without any match at all, or where no translation is as long as an order, it is 0.
    """
    got_B, wanted_B = sums_BM[:, 0], sums_BM[:, 1]
    matched_BO, total_BO = sums_BM[:, 2 : 2 + ORDER], sums_BM[:, 2 + ORDER : 2 + 2 * ORDER]
    missing_BO = matched_BO == 0
    halved_BO = np.exp2(-np.cumsum(missing_BO, axis=1))
    scored_B = matched_BO.any(axis=1) & (total_BO > 0).all(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision_BO = np.where(missing_BO, halved_BO, matched_BO) / total_BO
        brevity_B = np.exp(np.minimum(0.0, 1 - wanted_B / got_B))
        score_B = 100 * brevity_B * np.exp(np.log(precision_BO).mean(axis=1))
    return np.where(scored_B, score_B, 0.0)


def chrf(sums_BM: Array) -> Array:
    """Return chrF of each of B sums, float64 [B]: F2 of the mean precision and the mean recall over orders.

    Orders longer than the shorter side are left out of the means.
    """
    counts_BO3 = sums_BM[:, 2 + 2 * ORDER :].reshape(len(sums_BM), CHARACTERS, 3)
    got_BO, wanted_BO, matched_BO = np.moveaxis(counts_BO3, 2, 0)
    used_BO = (got_BO > 0) & (wanted_BO > 0)
    orders_B = np.maximum(1, used_BO.sum(axis=1))
    precision_B, recall_B = (
        np.where(used_BO, matched_BO / np.maximum(1, of_BO), 0.0).sum(axis=1) / orders_B
        for of_BO in (got_BO, wanted_BO)
    )
    weighted_B = _BETA_SQUARED * precision_B + recall_B
    product_B = (1 + _BETA_SQUARED) * precision_B * recall_B
    f2_B: Array = np.divide(product_B, weighted_B, out=np.zeros_like(product_B), where=weighted_B > 0)
    return 100 * f2_B


def _metrics(language: str) -> "tuple[BLEU, CHRF]":
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    # force: no warning about sentences that look tokenized; they are the user's own
    return BLEU(tokenize=tokenizer(language), force=True), CHRF()
