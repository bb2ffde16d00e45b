"""Which columns of a table are a text and its translation: told by codes of languages, or by their names."""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.contracts import Languages
from headstart.core.errors import UserError
from headstart.data import columns, languages, tables
from headstart.data.listing import Collector
from headstart.data.rows import SUFFIXES, cell_text, read_rows

TRANSLATIONS = ("translation", "translations")
"""Columns that hold both sides: an object from language to text, as Hugging Face's WMT sets have."""
SOURCES = ("source", "src", "source_text", "src_text", "source_sentence", "source_lang_text", "src_sentence")
TARGETS = (
    *("target", "tgt", "trg", "target_text", "tgt_text", "target_sentence", "tgt_sentence"),
    *("translation", "reference", "ref"),
)

log = logging.getLogger(__name__)

_AROUND = re.compile(
    r"(?:translation\.|(?:sentence|text|sent|segment|line)[_.])|[_.](?:sentence|text|sent|segment)$"
)
_SELDOM = ("id", "no")
"""Indonesian and Norwegian, but columns of that name seldom hold either."""


@dataclass(frozen=True, slots=True)
class Sides:
    """Where a row's two sides are: two columns' places, or one column's twice, and its objects' keys."""

    places: tuple[int, int]
    keys: Languages | None
    languages: Languages

    def of(self, cells: Sequence[object], where: str) -> tuple[str, str]:
        """Return a row's source and target. Raises UserError, naming ``where``, for what is no text."""
        first, second = (cells[place] for place in self.places)
        if self.keys is not None:
            if not isinstance(first, dict | None):
                found = f"{where}: a {type(first).__name__} where other rows have an object"
                raise UserError(found, "an object from language to text", "mend that row")
            first, second = ((first or {}).get(key) for key in self.keys)
        return cell_text(first, f"{where}, source"), cell_text(second, f"{where}, target")

    def note(self, names: Sequence[str], file: str, collector: Collector, split: int | None = None) -> None:
        """Say which columns were read as what, and which were not."""
        for part, place, key in zip(("source", "target"), self.places, self.keys or ("", ""), strict=True):
            column = names[place] + (f".{key}" if key else "")
            collector.note(f"read column {column!r} as the {part}", file)
        if split is not None:
            collector.note(f"read column {names[split]!r} as the split", file)
        for place, column in enumerate(names):
            if place not in (*self.places, split):
                collector.note("columns left out", column or f"column {place + 1}, without a name")


def choose(
    names: Sequence[str], rows: Sequence[Sequence[object]], wanted: Languages, where: object
) -> Sides | None:
    """Return which columns to read, from their names and the first rows; None where there are none.

    The first column is the source unless somebody says otherwise, as the notes tell. Raises UserError where
    a wanted language is not there, and where there are several and nobody says which.
    """
    both = columns.find(names, TRANSLATIONS)
    if both is not None:
        first = next((cells[both] for cells in rows if isinstance(cells[both], dict)), None)
        codes = {} if not isinstance(first, dict) else {str(key): languages.parse(str(key)) for key in first}
        if codes and all(codes.values()):
            return _of_object(both, {key: code or "" for key, code in codes.items()}, wanted, where)
    by_code = coded(names, rows, wanted)
    if len(by_code) > 1:
        found = list(by_code)
        chosen = languages.choose(found, wanted, (found[0], found[1]) if len(found) == 2 else None, where)
        return Sides((by_code[chosen[0]], by_code[chosen[1]]), None, chosen)
    source = columns.find(names, SOURCES)
    target = columns.find(names, TARGETS)
    return None if source is None or target is None else Sides((source, target), None, wanted)


def by_name(names: Sequence[str]) -> bool:
    """Say whether two columns are called source and target, or something of that meaning."""
    return columns.find(names, SOURCES) is not None and columns.find(names, TARGETS) is not None


def lacking(names: Sequence[str], where: object) -> UserError:
    """Return what to say where there are no such columns."""
    return UserError(
        f"{where} has no two columns of texts (it has {', '.join(map(repr, names))})",
        "two called after languages (en, fr), or source and target",
        "rename the columns that hold the text and its translation",
    )


def coded(names: Sequence[str], rows: Sequence[Sequence[object]], wanted: Languages) -> dict[str, int]:
    """Return the places of the columns that are called after a language and hold texts, by its code.

    What only the user calls a language (three letters that may be anything) is one where it is wanted.
    """
    found: dict[str, int] = {}
    for place, name in enumerate(names):
        bare = _AROUND.sub("", name.strip())
        code = languages.named(bare)
        if code is None and (languages.parse(bare) or "-") in wanted:
            code = languages.parse(bare)
        if code is not None and _holds_texts(rows, place, code):
            found.setdefault(code, place)
    return found


def sources(file: Path) -> Iterator[tuple[int, str]]:
    """Yield each row's number and the text to translate. Raises UserError where the columns don't tell it."""
    table = read_rows(file)
    rows = tables.head(tables.look(file))
    place = columns.find(table.columns, SOURCES)
    if place is None:
        by_code = coded(table.columns, rows, ("", ""))
        if len(by_code) > 1:
            found = f"{file} has several languages ({', '.join(by_code)})"
            raise UserError(found, "one that is to be translated", "call that column source")
        place = next(iter(by_code.values()), None)
    if place is None:
        place = columns.text(table.columns, lambda: rows, file)
    log.info("%s: read column %r as the source", file, table.columns[place])
    for number, cells in table.rows:
        yield number, cell_text(cells[place], f"{file}, row {number}, source")


def certain(file: Path) -> bool:
    """Say whether a table certainly holds texts and translations; never raises.

    Columns called source and target do where both hold texts, few of them the same: not a text and its class.
    """
    if file.suffix.lower() not in SUFFIXES:
        return False
    try:
        table = tables.look(file)
        return certain_rows(table.columns, tables.head(table))
    except (UserError, OSError):
        return False


def certain_rows(names: Sequence[str], rows: Sequence[Sequence[object]]) -> bool:
    """Say whether columns certainly hold texts and translations, from their names and the first rows."""
    both = columns.find(names, TRANSLATIONS)
    if both is not None and any(isinstance(cells[both], dict) for cells in rows):
        return True
    if len(coded(names, rows, ("", ""))) > 1:
        return True
    sides = choose(names, rows, ("", ""), "")
    return sides is not None and all(_holds_sentences(rows, place) for place in sides.places)


def _of_object(place: int, codes: Mapping[str, str], wanted: Languages, where: object) -> Sides:
    """Return the two keys of an object from language to text."""
    found = list(codes.values())
    told = (found[0], found[1]) if len(found) == 2 else None
    chosen = languages.choose(found, wanted, told, where)
    source, target = (next(key for key, code in codes.items() if code == one) for one in chosen)
    return Sides((place, place), (source, target), chosen)


def _texts(rows: Sequence[Sequence[object]], place: int) -> list[str]:
    texts = (cells[place] for cells in rows)
    return [text.strip() for text in texts if isinstance(text, str) and text.strip()]


def _holds_texts(rows: Sequence[Sequence[object]], place: int, code: str) -> bool:
    """Say whether most filled cells of a column hold words, and not single ones where it may be anything."""
    texts = _texts(rows, place)
    if code in _SELDOM:
        texts = [text if " " in text else "" for text in texts]
    others = sum(cells[place] is not None and not isinstance(cells[place], str) for cells in rows)
    return not rows or 2 * sum(any(map(str.isalpha, text)) for text in texts) > len(texts) + others


def _holds_sentences(rows: Sequence[Sequence[object]], place: int) -> bool:
    """Say whether a column holds texts of which few are the same, and not single words alone."""
    texts = _texts(rows, place)
    wordy = sum(" " in text or not text.isascii() for text in texts)
    return 2 * len(set(texts)) > len(texts) and 4 * wordy > len(texts)
