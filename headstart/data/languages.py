"""Languages by their codes: ISO 639 of two or three letters, with a script (ISO 15924) or region (ISO 3166).

``en``, ``eng``, ``pt_BR``, ``pt-br``, ``eng_Latn``, ``sr@latin`` and mBART's ``en_XX`` are all read; written
they are as ``en``, ``pt_BR``, ``en_Latn``, ``sr_Latn``: two letters where there are two.
"""

import re
from collections.abc import Sequence

from headstart.contracts import Languages
from headstart.core.errors import UserError

_CODES = """
aa aar, ab abk, ae ave, af afr, ak aka, am amh, an arg, ar ara, as asm, av ava, ay aym, az aze,
ba bak, be bel, bg bul, bi bis, bm bam, bn ben, bo bod tib, br bre, bs bos, ca cat, ce che, ch cha,
co cos, cr cre, cs ces cze, cu chu, cv chv, cy cym wel, da dan, de deu ger, dv div, dz dzo, ee ewe,
el ell gre, en eng, eo epo, es spa, et est, eu eus baq, fa fas per, ff ful, fi fin, fj fij, fo fao,
fr fra fre, fy fry, ga gle, gd gla, gl glg, gn grn, gu guj, gv glv, ha hau, he heb, hi hin, ho hmo,
hr hrv, ht hat, hu hun, hy hye arm, hz her, ia ina, id ind, ie ile, ig ibo, ii iii, ik ipk, io ido,
is isl ice, it ita, iu iku, ja jpn, jv jav, ka kat geo, kg kon, ki kik, kj kua, kk kaz, kl kal,
km khm, kn kan, ko kor, kr kau, ks kas, ku kur, kv kom, kw cor, ky kir, la lat, lb ltz, lg lug,
li lim, ln lin, lo lao, lt lit, lu lub, lv lav, mg mlg, mh mah, mi mri mao, mk mkd mac, ml mal,
mn mon, mr mar, ms msa may, mt mlt, my mya bur, na nau, nb nob, nd nde, ne nep, ng ndo, nl nld dut,
nn nno, no nor, nr nbl, nv nav, ny nya, oc oci, oj oji, om orm, or ori, os oss, pa pan, pi pli,
pl pol, ps pus, pt por, qu que, rm roh, rn run, ro ron rum, ru rus, rw kin, sa san, sc srd, sd snd,
se sme, sg sag, sh hbs, si sin, sk slk slo, sl slv, sm smo, sn sna, so som, sq sqi alb, sr srp,
ss ssw, st sot, su sun, sv swe, sw swa, ta tam, te tel, tg tgk, th tha, ti tir, tk tuk, tl tgl,
tn tsn, to ton, tr tur, ts tso, tt tat, tw twi, ty tah, ug uig, uk ukr, ur urd, uz uzb, ve ven,
vi vie, vo vol, wa wln, wo wol, xh xho, yi yid, yo yor, za zha, zh zho chi, zu zul
"""
"""ISO 639-1 with the three letters of 639-3, and those of 639-2/B where they differ."""

_STANDARDS = """
als sq, arb ar, ayr ay, azj az, cmn zh, ekk et, gaz om, khk mn, kmr ku, lvs lv, npi ne, ory or, pbt ps,
pes fa, plt mg, quy qu, swh sw, uzn uz, ydd yi, zsm ms
"""
"""Languages by whose name data sets call the standard form of a larger one, and the larger one."""

_THREE_LETTERS = """
ace acm ary arz ast awa ban bem bho bug ceb ckb csb dsb dyu fil fon frp fur gsw haw hne hsb ilo kab kac
kam kbp kea kmb lij lmo ltg lua luo lus mag mai mni mos nds nso nus pag pap prs sat scn shn szl taq tpi tum
tzm umb vec war yue zgh
"""
"""Languages without two letters that data sets have: in names, three letters are often no language."""

_REGIONS = """
ar at au be br ca ch cn cz de dk ee es fi fr gb gr hk id ie il in ir it jp kr lt lv mx my nl no nz pe pk pl
pt ro rs ru se sg si sk th tr tw ua uk us uy vn xx za
"""
"""Regions that names have in small letters too."""

_TWO = {
    **{code: group.split()[0] for group in _CODES.split(",") for code in group.split()},
    **{group.split()[0]: group.split()[1] for group in _STANDARDS.split(",")},
}
_FORM = re.compile(r"([A-Za-z]{2,3})(?:[-_]([A-Za-z]{4}))?(?:[-_]([A-Za-z]{2}|\d{3}))?(?:@([a-z]+))?")
_MODIFIERS = {"latin": "Latn", "cyrillic": "Cyrl"}
_SHOWN = 10
_PAIR = re.compile(r"(?<![A-Za-z])([A-Za-z]{2,3})(?:[-_2]|to)?([A-Za-z]{2,3})(?![A-Za-z])")


def parse(code: str) -> str | None:
    """Return a code as it is written here; None where it has not the form of one, or no such language."""
    found = _FORM.fullmatch(code.strip())
    if found is None:
        return None
    letters, script, region, modifier = found.groups()
    language = _TWO.get(letters.lower(), letters.lower())
    if len(language) == 2 and language not in _TWO:
        return None
    script = (script or "").title() or _MODIFIERS.get(modifier or "", "")
    region = "" if (region or "").upper() == "XX" else (region or "").upper()
    return "_".join(part for part in (language, script, region) if part)


def named(name: str) -> str | None:
    """Return the code that a part of a file's or column's name is; stricter than ``parse``.

    There ``txt``, ``tok`` or ``is_ok`` mean no language, although codes may have their forms.
    """
    found = _FORM.fullmatch(name)
    if found is None:
        return None
    letters, _, region, _ = found.groups()
    known = letters.lower() in _TWO or letters.lower() in _THREE_LETTERS.split()
    return (
        parse(name)
        if known and (region is None or region.lower() in _REGIONS.split() or region.isupper())
        else None
    )


def fits(one: str, other: str) -> bool:
    """Say whether two codes may mean the same: one language, and no other script or region."""
    (language, *more), (same, *others) = one.split("_"), other.split("_")
    scripts, regions = (
        {part for part in (*more, *others) if (len(part) == 4) == of_scripts} for of_scripts in (True, False)
    )
    return language == same and len(scripts) < 2 and len(regions) < 2


def matching(code: str, found: Sequence[str]) -> list[str]:
    """Return the languages found that a code may mean: only itself where it is there."""
    return [code] if code in found else [one for one in found if code and fits(code, one)]


def listed(found: Sequence[str]) -> str:
    """Write languages as a sentence can hold them: the first few."""
    return ", ".join(found[:_SHOWN]) + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")


def direction(name: str, found: Sequence[str]) -> Languages | None:
    """Return the two of the languages found that a name joins, as ``en-fr``, ``en2fr`` or ``enfr`` do."""
    for match in _PAIR.finditer(name):
        pair = [matching(named(part) or "", found) for part in match.groups()]
        if len(pair[0]) == len(pair[1]) == 1 and pair[0] != pair[1]:
            return pair[0][0], pair[1][0]
    return None


def check(wanted: Languages) -> Languages:
    """Return the user's languages as they are written here. Raises UserError where one is no code."""
    source, target = (parse(code) if code else "" for code in wanted)
    for option, given, code in (("source", wanted[0], source), ("target", wanted[1], target)):
        if code is None:
            expected = "an ISO 639 code such as en, fr, pt_BR or eng_Latn"
            raise UserError(f"--{option}-language is {given!r}", expected, "give the language's code")
    if source and source == target:
        raise UserError(
            f"--source-language and --target-language are both {source}", "two languages", "change one"
        )
    return source or "", target or ""


def choose(found: Sequence[str], wanted: Languages, told: Languages | None, where: object) -> Languages:
    """Return source and target among the languages found: the wanted ones, else those that the data told.

    Raises UserError where a wanted one is not there, and where it is not clear which are meant.
    """
    there = listed(found)
    chosen = []
    for code in wanted:
        fitting = matching(code, found) if code else [""]
        if len(fitting) != 1:
            what = f"{len(fitting)} kinds of {code}" if fitting else f"no {code}"
            raise UserError(
                f"{where} has {what} (it has {there})", "one of these languages", "name another one"
            )
        chosen.append(fitting[0])
    source, target = chosen
    if not source and not target:
        if told is not None:
            return told
        if len(found) == 2:
            raise _unclear(f"{where} has {there}, and nothing says which is translated", found)
        raise _unclear(f"{where} has {len(found)} languages ({there})", found)
    others = [code for code in (told if told and (source or target) in told else found) if code not in chosen]
    if source and target:
        return source, target
    if len(others) != 1:
        option = f"--{'target' if source else 'source'}-language"
        remedy = f"give {option} {others[0] if others else 'CODE'}, for instance"
        raise UserError(f"{where} has several languages besides {source or target} ({there})", option, remedy)
    return (source, others[0]) if source else (others[0], target)


def _unclear(what: str, found: Sequence[str]) -> UserError:
    first, second = (*found, "CODE", "CODE")[:2]
    remedy = f"give --source-language {first} --target-language {second}, or the other way round"
    return UserError(what, "one direction", remedy)
