"""GNU gettext's ``.po`` files: one, or all below a folder (``fr/LC_MESSAGES/django.po``, ``po/fr.po`` ...).

Messages are taken to be English, as gettext asks, unless a header or the user says otherwise; the language of
the translations is told by the header, else by the names of the file and its folders. What is fuzzy, obsolete
or untranslated is listed; a message with a plural gives two pairs.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import ClassVar, final

from headstart.contracts import Languages, Listing, PairReader
from headstart.core.errors import BadExample, UserError
from headstart.data import languages, listing, po
from headstart.data.bitext import Pairs
from headstart.data.text import MAX_BYTES

_SUFFIX, _MESSAGES = ".po", "en"
_LOOKED = 512
_BREAK = re.compile(r"\s*[\r\n]\s*")


@dataclass(frozen=True, slots=True)
class _File:
    """One file read, with the languages of its messages and its translations; empty where nothing tells."""

    file: Path
    key: str
    messages: str
    translations: str
    entries: tuple[po.Entry, ...]


@dataclass(frozen=True, slots=True)
class _Direction:
    """Which languages are meant; ``turned`` where the translations are what is to be translated."""

    messages: str
    translations: str
    turned: bool


@final
class PoFiles(PairReader):
    """Reads messages and their translations."""

    name: ClassVar[str] = "po-files"

    def recognises(self, path: Path) -> bool:
        """Say whether the path is a .po file, or one of the first files below it is."""
        try:
            return any(True for _ in _below(path, listing.Collector(""), _LOOKED))
        except (UserError, OSError):
            return False

    def read_pairs(self, path: Path, wanted: Languages) -> Listing:
        """List the pairs. Raises UserError where there are several languages and nobody says which."""
        collector = listing.Collector(self.name)
        found = [_read(file, key, collector) for file, key in _below(path, collector)]
        files = [one for one in found if one is not None]
        way = _direction(files, languages.check(wanted), path)
        chosen = (way.translations, way.messages) if way.turned else (way.messages, way.translations)
        pairs = Pairs(chosen, collector)
        for one in files:
            if one.translations not in ("", way.translations):
                collector.note("files in other languages left out", one.key)
            elif one.translations != way.translations and any(other.translations for other in files):
                collector.drop(one.key, "neither its header nor its name says its language")
            else:
                _take(one, way, pairs)
        return pairs.listing()


def _below(path: Path, collector: listing.Collector, most: int | None = None) -> Iterator[tuple[Path, str]]:
    """Yield every .po file among the first files below a folder, with its key; or the path itself."""
    if not path.is_dir():
        if path.suffix.lower() == _SUFFIX and path.is_file():
            yield path, listing.printable(path.name)
        return
    for file, key in islice(
        listing.files(path, "", collector, lambda entry: listing.peek(entry, 0)[0]), most
    ):
        if key.lower().endswith(_SUFFIX):
            yield Path(file), key
        else:
            collector.note("files other than .po left out", key)


def _read(file: Path, key: str, collector: listing.Collector) -> _File | None:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise BadExample(f"over {MAX_BYTES // 1_000_000} MB")
        text, notes = po.text_of(file.read_bytes())
        entries = tuple(po.entries(text))
    except BadExample as error:
        collector.drop(key, str(error))
        return None
    for note in notes:
        collector.note(note, key)
    told = next((po.header(entry) for entry in entries if not entry.message), {})
    translations = languages.parse(told.get("language", "")) or _language_of(file)
    return _File(file, key, languages.parse(told.get("x-source-language", "")) or "", translations, entries)


def _language_of(file: Path) -> str:
    """Return the language in a file's name, else in those of the folders around it; empty where none is."""
    stem = file.stem
    parts = (stem, stem.rpartition(".")[2], stem.rpartition("-")[2], *reversed(file.resolve().parts[-4:-1]))
    return next((code for code in map(languages.named, parts) if code is not None), "")


def _direction(files: list[_File], wanted: Languages, path: Path) -> _Direction:
    """Return which language is which: one that is wanted and no file's translations' is the messages'."""
    targets = sorted({one.translations for one in files} - {""})
    fitting = {code: languages.matching(code, targets) for code in wanted if code}
    into = [(code, found) for code, found in fitting.items() if found]
    if len(into) > 1 or (into and len(into[0][1]) > 1) or (not into and len(targets) > 1):
        among = into[0][1] if len(into) == 1 else targets
        found = f"{path} has translations into {languages.listed(among)}"
        raise UserError(found, "one of these, and the messages' own language", "give --target-language")
    if not into and targets and all(wanted):
        raise UserError(f"{path} has translations into {targets[0]} alone", targets[0], "name that language")
    others = [code for code in fitting if not fitting[code]]
    translations = into[0][1][0] if into else targets[0] if targets else wanted[1]
    declared = next((one.messages for one in files if one.messages), _MESSAGES)
    if targets and wanted[1] in others and not languages.fits(wanted[1], declared):
        found = f"{path} has messages in {declared} with translations into {translations}, no {wanted[1]}"
        raise UserError(found, "one of these languages", "name another one")
    messages = next(iter(others), declared)
    turned = bool(into and into[0][0] == wanted[0]) or (bool(targets) and wanted[1] in others)
    return _Direction(messages, translations, turned)


def _take(one: _File, way: _Direction, pairs: Pairs) -> None:
    for entry in one.entries:
        if not entry.message:
            continue  # the header
        key = f"{one.key}:{entry.line}"
        if entry.obsolete or entry.fuzzy or not any(entry.strings.values()):
            reason = "obsolete" if entry.obsolete else "fuzzy: no translator has checked it"
            pairs.collector.drop(key, reason if entry.obsolete or entry.fuzzy else "untranslated")
            continue
        for suffix, message, translation in _pairs(entry, pairs.collector, key):
            both = tuple(_BREAK.sub(" ", side.strip()) for side in (message, translation))
            source, target = reversed(both) if way.turned else both
            pairs.add(listing.UNSPLIT, key + suffix, one.file, (source, target))


def _pairs(entry: po.Entry, collector: listing.Collector, key: str) -> Iterator[tuple[str, str, str]]:
    """Yield what is to be added to the key, the message and its translation."""
    if entry.plural is None:
        yield "", entry.message, entry.strings.get(0, "")
        return
    numbers = sorted(entry.strings)
    collector.note("messages with a plural read as two pairs", key)
    if len(numbers) > 2:
        collector.note("forms of a plural between the first and the last left out", key)
    if len(numbers) > 1:
        yield "", entry.message, entry.strings[numbers[0]]
    yield ", plural", entry.plural, entry.strings[numbers[-1]]
