"""GNU gettext's ``.po`` files: messages with their translations (gettext manual, "The Format of PO Files").

Only what translations need is kept of an entry: its context and its flags tell entries apart, comments and
references to source code are passed over.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from headstart.core.errors import BadExample
from headstart.data.text import decode

_KEYWORD = re.compile(r"(msgctxt|msgid_plural|msgid|msgstr)(?:\[(\d{1,2})\])?\s*(\".*)")
_ESCAPE = re.compile(r"\\(?:([abfnrtv\\\"?'])|([0-7]{1,3})|x([0-9a-fA-F]{1,2})|(.))")
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_CHARSET = re.compile(rb"charset=([\w.:-]+)")


@dataclass(slots=True)
class Entry:
    """One message: ``strings`` are its translations by number, the only one or the singular first."""

    line: int
    fuzzy: bool = False
    obsolete: bool = False
    fields: dict[str, str] = field(default_factory=dict)
    strings: dict[int, str] = field(default_factory=dict)

    @property
    def message(self) -> str:
        """Return the message, or its singular."""
        return self.fields.get("msgid", "")

    @property
    def plural(self) -> str | None:
        """Return the message's plural, where it has one."""
        return self.fields.get("msgid_plural")


def text_of(content: bytes) -> tuple[str, tuple[str, ...]]:
    """Return a file's bytes as text, by the character set that its header names. Raises BadExample."""
    named = _CHARSET.search(content[:4096])
    if named is not None and named[1].upper() not in (b"UTF-8", b"UTF8", b"CHARSET"):
        try:
            return content.decode(codecs.lookup(named[1].decode()).name), ()
        except (LookupError, UnicodeDecodeError):
            pass
    return decode(content)


def entries(text: str) -> Iterator[Entry]:
    """Yield the entries, the header among them (its message is empty). Raises BadExample, with the line."""
    entry, where = Entry(1), ""
    for number, raw in enumerate(text.split("\n"), 1):
        line, obsolete = raw.strip(), False
        if line.startswith("#~"):
            line, obsolete = line[2:].lstrip("|").strip(), True
        if not line or line.startswith("#"):
            if entry.strings:
                yield entry
                entry = Entry(number)
            entry.fuzzy |= line.startswith("#,") and "fuzzy" in re.split(r"[,\s]+", line)
            continue
        keyword = _KEYWORD.fullmatch(line)
        name, index, quoted = (keyword[1], keyword[2], keyword[3]) if keyword else (where, "", line)
        if keyword and entry.strings and name != "msgstr":
            yield entry
            entry = Entry(number)
        if not name or len(quoted) < 2 or quoted[0] != '"' or quoted[-1] != '"':
            raise BadExample(f"line {number} is no part of a .po file ({raw[:40]!r})")
        entry.obsolete |= obsolete
        entry.line = number if keyword and name == "msgid" else entry.line
        _take(entry, f"{name}[{index}]" if index else name, _unquoted(quoted[1:-1]))
        where = f"{name}[{index}]" if keyword and index else name
    if entry.strings:
        yield entry


def header(entry: Entry) -> dict[str, str]:
    """Return the fields of a header, their names in lower case; empty of any other entry."""
    if entry.message:
        return {}
    lines = (line.partition(":") for line in entry.strings.get(0, "").split("\n"))
    return {name.strip().lower(): value.strip() for name, _, value in lines if value}


def _take(entry: Entry, name: str, text: str) -> None:
    """Put a string, or another piece of it, where it belongs."""
    if name.startswith("msgstr"):
        number = int(name[7:-1] or 0) if name != "msgstr" else 0
        entry.strings[number] = entry.strings.get(number, "") + text
    else:
        entry.fields[name] = entry.fields.get(name, "") + text


def _unquoted(text: str) -> str:
    def meant(escape: re.Match[str]) -> str:
        simple, octal, hexadecimal, other = escape.groups()
        if simple:
            return _SIMPLE.get(simple, simple)
        return chr(int(octal, 8)) if octal else chr(int(hexadecimal, 16)) if hexadecimal else str(other)

    return _ESCAPE.sub(meant, text)
