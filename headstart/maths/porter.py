"""Porter's stemmer, with the extensions that NLTK made and that published ROUGE figures rest on.

M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980. The rules' numbers are the
paper's steps; a rule is (suffix, replacement, condition on the stem): the first whose suffix fits
decides, whether its condition holds or not.
"""

from collections.abc import Callable, Sequence
from functools import cache

Rule = tuple[str, str, Callable[[str], bool] | None]

_IRREGULAR = {
    **{"skies": "sky", "sky": "sky", "dying": "die", "lying": "lie", "tying": "tie", "news": "news"},
    **{"innings": "inning", "inning": "inning", "outings": "outing", "outing": "outing"},
    **{"cannings": "canning", "canning": "canning", "howe": "howe"},
    **{"proceed": "proceed", "exceed": "exceed", "succeed": "succeed"},
}


def _kinds(word: str) -> str:
    """Return c for each consonant and v for each vowel; y is a vowel after a consonant."""
    kinds = ""
    for place, letter in enumerate(word):
        if letter == "y":
            kinds += "c" if place == 0 or kinds[-1] == "v" else "v"
        else:
            kinds += "v" if letter in "aeiou" else "c"
    return kinds


def _measure(stem: str) -> int:
    return _kinds(stem).count("vc")


def _above_0(stem: str) -> bool:
    return _measure(stem) > 0


def _above_1(stem: str) -> bool:
    return _measure(stem) > 1


def _ends_cvc(stem: str) -> bool:
    kinds = _kinds(stem)
    return (kinds[-3:] == "cvc" and stem[-1] not in "wxy") or kinds == "vc"


def _first(word: str, rules: Sequence[Rule]) -> str:
    for suffix, replacement, condition in rules:
        if word.endswith(suffix):
            stem = word[: len(word) - len(suffix)]
            return stem + replacement if condition is None or condition(stem) else word
    return word


def _step_1a(word: str) -> str:
    if word.endswith("ies") and len(word) == 4:
        return word[:-1]
    return _first(word, (("sses", "ss", None), ("ies", "i", None), ("ss", "ss", None), ("s", "", None)))


def _step_1b(word: str) -> str:
    if word.endswith("ied"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if _above_0(word[:-3]) else word
    suffix = next((end for end in ("ed", "ing") if word.endswith(end) and "v" in _kinds(_cut(word, end))), "")
    if not suffix:
        return word
    stem = _cut(word, suffix)
    if stem.endswith(("at", "bl", "iz")):
        return stem + "e"
    if len(stem) > 1 and stem[-1] == stem[-2] and _kinds(stem)[-1] == "c":
        return stem if stem[-1] in "lsz" else stem[:-1]
    return stem + "e" if _measure(stem) == 1 and _ends_cvc(stem) else stem


def _cut(word: str, suffix: str) -> str:
    return word[: len(word) - len(suffix)]


def _step_1c(word: str) -> str:
    return word[:-1] + "i" if word.endswith("y") and len(word) > 2 and _kinds(word[:-1])[-1] == "c" else word


_PAIRS_2 = (
    *("ational ate", "tional tion", "enci ence", "anci ance", "izer ize", "bli ble", "alli al"),
    *("entli ent", "eli e", "ousli ous", "ization ize", "ation ate", "ator ate", "alism al"),
    *("iveness ive", "fulness ful", "ousness ous", "aliti al", "iviti ive", "biliti ble", "fulli ful"),
)
_STEP_2: tuple[Rule, ...] = (
    *((pair.split()[0], pair.split()[1], _above_0) for pair in _PAIRS_2),
    # Measured with the l of "logi", which the stem keeps.
    ("logi", "log", lambda stem: _above_0(stem + "l")),
)
_STEP_3: tuple[Rule, ...] = (
    *(("icate", "ic", _above_0), ("ative", "", _above_0), ("alize", "al", _above_0)),
    *(("iciti", "ic", _above_0), ("ical", "ic", _above_0), ("ful", "", _above_0), ("ness", "", _above_0)),
)
_STEP_4: tuple[Rule, ...] = (
    *((end, "", _above_1) for end in ("al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement")),
    *((end, "", _above_1) for end in ("ment", "ent")),
    ("ion", "", lambda stem: _above_1(stem) and stem[-1] in "st"),
    *((end, "", _above_1) for end in ("ou", "ism", "ate", "iti", "ous", "ive", "ize")),
)


def _step_2(word: str) -> str:
    if word.endswith("alli") and _above_0(word[:-4]):
        return _step_2(word[:-2])
    return _first(word, _STEP_2)


def _step_5(word: str) -> str:
    if word.endswith("e"):
        measure = _measure(word[:-1])
        if measure > 1 or (measure == 1 and not _ends_cvc(word[:-1])):
            word = word[:-1]
    return word[:-1] if word.endswith("ll") and _above_1(word[:-1]) else word


@cache
def stem(word: str) -> str:
    """Return the stem of a lower-case word."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) <= 2:
        return word
    word = _step_2(_step_1c(_step_1b(_step_1a(word))))
    return _step_5(_first(_first(word, _STEP_3), _STEP_4))
