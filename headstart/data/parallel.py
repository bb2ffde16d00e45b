"""Files that say the same in two languages, line by line or segment by segment: which belong together.

A layout says what a file's name means (``Naming``); what follows from the names is the same for all:
which files are two sides of one text, in which direction, and which text plays which role.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from headstart.contracts import Languages, Listing
from headstart.core.errors import UserError
from headstart.data import held_out, languages, listing, segments
from headstart.data.bitext import Pairs

SOURCE, TARGET = "source", "target"
_ROLES = {**dict.fromkeys(("src", SOURCE), SOURCE), **dict.fromkeys(("tgt", "trg", TARGET), TARGET)}
_NO_TEXT = re.compile(r"(?:.*[._-])?(?:vocab|dict|bpe|codes)(?:[._-].*)?", re.IGNORECASE)
_LINES = re.compile(r"(?P<stem>.+?)\.(?P<code>[A-Za-z]{2,3}(?:[-_]\w+)?|src|tgt|trg|source|target)(?:\.txt)?")
_LOOKED = 512


@dataclass(frozen=True, slots=True)
class Side:
    """What a file's name says: which ``text`` it holds, and in which language or role, where it says so.

    ``form`` is how it is to be read: a name in ``segments.FORMS``, the best ones first.
    """

    text: str
    language: str = ""
    role: str = ""
    form: str = "lines"


Naming = Callable[[str], Side | None]
"""From a file's name, without its folders, to what it says; None where it names no side of anything."""


@dataclass(frozen=True, slots=True)
class Found:
    """A side in a folder: ``text`` has the folder's path before it, ``key`` is the file's own path."""

    side: Side
    text: str
    file: Path
    key: str


def lines(name: str) -> Side | None:
    """Read ``corpus.en``, ``corpus.en-fr.en``, ``train.en.txt`` and ``train.src``: line by line."""
    match = _LINES.fullmatch(name)
    if match is None or _NO_TEXT.fullmatch(match["stem"]):
        return None
    role = _ROLES.get(match["code"], "")
    language = "" if role else languages.named(match["code"])
    return None if language is None else Side(match["stem"], language, role)


def recognised(path: Path, naming: Naming, telling: Callable[[Side], bool]) -> bool:
    """Say whether a folder holds two sides of a text, and a ``telling`` file, or a file is one; never raises.

    Of a folder the first files are looked at.
    """
    try:
        others = listing.Collector("")
        sides = _sides(path, naming, others, _LOOKED) if path.is_dir() else _beside(path, naming)
        found = list(sides)
        return any(telling(one.side) for one in found) and bool(_languages(_texts(found)))
    except (UserError, OSError):
        return False


def read(path: Path, layout: str, naming: Naming, wanted: Languages) -> Listing:
    """List the pairs of every text below a folder, or of the one that a file is a side of.

    Raises UserError where the direction is not clear, and where the two sides of a text do not match.
    """
    wanted = languages.check(wanted)
    collector = listing.Collector(layout)
    texts = _texts(_sides(path, naming, collector) if path.is_dir() else _beside(path, naming))
    chosen = _direction(texts, wanted, path)
    pairs = Pairs(chosen if all(chosen) else wanted, collector)
    matched = {text: _match(sides, chosen, pairs) for text, sides in sorted(texts.items())}
    whole = {text: both for text, both in matched.items() if both is not None}
    for text, split in held_out.splits(whole).items():
        if split != listing.UNSPLIT:
            pairs.collector.note(f"{text} read as {split}")
        _read_both(text, split, whole[text], pairs)
    return pairs.listing()


def _sides(
    folder: Path, naming: Naming, others: listing.Collector, most: int | None = None
) -> Iterator[Found]:
    """Yield the sides among the first files below a folder; list in ``others`` the files that are none."""
    files = listing.files(folder, "", others, lambda entry: listing.peek(entry, 0)[0])
    for file, key in islice(files, most):
        inner, _, name = key.rpartition("/")
        side = naming(name)
        if side is None:
            others.drop(key, "no side of a translation, by its name")
        else:
            yield Found(side, f"{inner}/{side.text}" if inner else side.text, Path(file), key)


def _beside(file: Path, naming: Naming) -> Iterator[Found]:
    """Yield the sides of the text that a file is a side of: they lie in its folder."""
    mine = naming(file.name)
    for entry in listing.entries(file.parent):
        side = naming(entry.name)
        if mine is not None and side is not None and side.text == mine.text and entry.is_file():
            yield Found(side, side.text, Path(entry.path), listing.printable(entry.name))


def _texts(found: Iterable[Found]) -> dict[str, list[Found]]:
    texts: dict[str, list[Found]] = defaultdict(list)
    for one in found:
        texts[one.text].append(one)
    return texts


def _languages(texts: dict[str, list[Found]]) -> list[str]:
    """Return the languages of texts that have two sides; an empty one where the sides have roles alone."""
    several = [{one.side.language for one in sides} for sides in texts.values()]
    named = sorted(set().union(*(codes for codes in several if len(codes) > 1))) if several else []
    roles = [{one.side.role for one in sides} for sides in texts.values() if not sides[0].side.language]
    return named or ([""] if {SOURCE, TARGET} in roles else [])


def _direction(texts: dict[str, list[Found]], wanted: Languages, path: Path) -> Languages:
    """Return which language is translated into which; both empty where the files have roles alone."""
    found = _languages(texts)
    if not found:
        raise UserError(
            f"{path} has no text in two languages", "files such as corpus.en and corpus.fr",
            "put both sides of a text side by side, under one name",
        )  # fmt: skip
    if found == [""]:
        return "", ""
    told = {languages.direction(text.rpartition("/")[2], found) for text in texts} - {None}
    if not told:
        told = {languages.direction(path.resolve().name, found)} - {None}
    if not told:
        told = _of_roles(texts)
    return languages.choose(found, wanted, next(iter(told)) if len(told) == 1 else None, path)


def _of_roles(texts: dict[str, list[Found]]) -> set[Languages | None]:
    """Return the directions that the sides' roles give."""
    told: set[Languages | None] = set()
    for sides in texts.values():
        by_role = {
            role: {one.side.language for one in sides if one.side.role == role} for role in (SOURCE, TARGET)
        }
        told |= {(a, b) for a in by_role[SOURCE] for b in by_role[TARGET] if a != b}
    return told


def _match(sides: Sequence[Found], chosen: Languages, pairs: Pairs) -> tuple[Found, Found] | None:
    """Return the two sides of a text to read, in the best form that both have; None where one lacks."""
    for form in segments.FORMS:
        source, target = (
            _best(sides, form, code, role) for code, role in zip(chosen, (SOURCE, TARGET), strict=True)
        )
        if source is not None and target is not None:
            for one in sides:
                if one not in (source, target):
                    foreign = one.side.language not in chosen
                    why = "files in other languages" if foreign else "other files of the same text"
                    pairs.collector.note(f"{why} left out", one.key)
            return source, target
    for one in sides:
        if one.side.language in chosen:
            pairs.collector.drop(one.key, "no file of the same text in the other language")
        else:
            pairs.collector.note("files in other languages left out", one.key)
    return None


def _best(sides: Sequence[Found], form: str, code: str, role: str) -> Found | None:
    """Return the side in a form and language, rather the one with the role."""
    fitting = [one for one in sides if one.side.form == form and one.side.language == code]
    in_role = [one for one in fitting if one.side.role == role]
    return next(iter(in_role if in_role or not code else fitting), None)


def _read_both(text: str, split: str, both: tuple[Found, Found], pairs: Pairs) -> None:
    (source, left_out), (target, more) = (segments.read(one.file, one.side.form) for one in both)
    for note, key in (
        (note, one.key) for one, notes in zip(both, (left_out, more), strict=True) for note in notes
    ):
        pairs.collector.note(note, key)
    _check_match(both, source, target)
    for place, sentence in source.items():
        pairs.add(split, f"{text}:{place}", both[0].file, (sentence, target[place]))


def _check_match(both: tuple[Found, Found], source: segments.Segments, target: segments.Segments) -> None:
    if source.keys() == target.keys():
        return
    first, second = (one.key for one in both)
    if len(source) != len(target):
        unit = "lines" if both[0].side.form != "segments" else "segments"
        found = f"{first} has {len(source):,} {unit} and {second} {len(target):,}"
        raise UserError(found, "a translation in the same place of each", "mend or remove the two files")
    lacking = min(source.keys() - target.keys())
    raise UserError(
        f"{first} has segment {lacking} and {second} has not", "the same ones", "mend the two files"
    )
