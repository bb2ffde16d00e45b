"""Languages by their codes: how they are written, which mean the same, and which two are meant."""

import pytest

from headstart.core.errors import UserError
from headstart.data import languages


@pytest.mark.parametrize(
    ("code", "written"),
    [
        ("en", "en"),
        ("eng", "en"),
        ("eng_Latn", "en_Latn"),
        ("EN", "en"),
        ("pt-br", "pt_BR"),
        ("pt_BR", "pt_BR"),
        ("en_XX", "en"),
        ("fre", "fr"),
        ("ger", "de"),
        ("cmn_Hans", "zh_Hans"),
        ("zh-Hans-CN", "zh_Hans_CN"),
        ("arb_Arab", "ar_Arab"),
        ("sr@latin", "sr_Latn"),
        ("ca@valencia", "ca"),
        ("es-419", "es_419"),
        ("ast", "ast"),
        (" vi ", "vi"),
        ("xx", None),
        ("english", None),
        ("e", None),
        ("", None),
        ("en_", None),
        ("en fr", None),
    ],
)
def test_a_code_is_written_one_way(code: str, written: str | None) -> None:
    assert languages.parse(code) == written
    assert written is None or languages.parse(written) == written


def test_names_of_files_and_columns_are_read_strictly() -> None:
    assert [languages.named(name) for name in ("en", "fra", "pt_br", "zh-CN", "hsb")] == [
        *("en", "fr", "pt_BR", "zh_CN", "hsb")
    ]
    for name in ("txt", "csv", "tok", "bpe", "log", "src", "is_ok", "in_id2", "split", "text"):
        assert languages.named(name) is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("en", "en", True),
        ("en", "en_GB", True),
        ("en_Latn", "en_US", True),
        ("pt_BR", "pt_PT", False),
        ("zh_Hans", "zh_Hant", False),
        ("en", "fr", False),
    ],
)
def test_what_may_mean_the_same(one: str, other: str, same: bool) -> None:
    assert languages.fits(one, other) is languages.fits(other, one) is same


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("europarl-v7.fr-en", ("fr", "en")),
        ("newstest2014-fren", ("fr", "en")),
        ("wmt14_en_fr", ("en", "fr")),
        ("en2fr", ("en", "fr")),
        ("eng-fra", ("en", "fr")),
        ("train", None),
        ("en-de", None),
        ("en-en", None),
        ("french", None),
    ],
)
def test_names_tell_directions_between_the_languages_found(name: str, told: tuple[str, str] | None) -> None:
    assert languages.direction(name, ["en", "fr"]) == told


def test_choosing_keeps_to_what_is_there() -> None:
    def choose(found: list[str], *wanted: str, told: tuple[str, str] | None = None) -> tuple[str, str]:
        return languages.choose(found, (wanted[0], wanted[1]), told, "data")

    assert choose(["en", "fr"], "fr", "") == ("fr", "en")
    assert choose(["en", "fr"], "", "fr") == ("en", "fr")
    assert choose(["en", "fr"], "", "", told=("fr", "en")) == ("fr", "en")
    assert choose(["de", "en", "fr"], "en", "", told=("fr", "en")) == ("en", "fr")
    assert choose(["de", "en", "fr"], "en", "de", told=("fr", "en")) == ("en", "de")
    assert choose(["en_Latn", "fr_Latn"], "en", "fr") == ("en_Latn", "fr_Latn")
    assert choose(["pt", "pt_BR", "en"], "pt", "en") == ("pt", "en")
    with pytest.raises(UserError, match=r"data has 2 kinds of pt .it has pt_BR, pt_PT, en"):
        choose(["pt_BR", "pt_PT", "en"], "pt", "en")
    with pytest.raises(UserError, match="data has no de"):
        choose(["en", "fr"], "de", "")
    with pytest.raises(UserError, match="nothing says which is translated"):
        choose(["en", "fr"], "", "")
