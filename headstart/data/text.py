"""One text from a file's bytes; whatever is wrong with it gets a reason."""

import codecs
import os
import re
import stat
from pathlib import Path

from headstart.contracts import Example
from headstart.core.errors import BadExample
from headstart.data import listing
from headstart.data.signature import HEAD_BYTES, describe

MAX_BYTES = 10_000_000
EMPTY = "empty text"
WINDOWS_1252 = "text is not UTF-8, read as Windows-1252"
LATIN_1 = "text is neither UTF-8 nor Windows-1252, read as Latin-1"

_BOMS = (  # UTF-32's little-endian mark begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SUFFIXES = ("", ".txt", ".text", ".md", ".rst", ".eml", ".html", ".htm")
_USUAL_SUFFIX = re.compile(r"\.[a-z]\w{0,5}")
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\b\x1b\x1a"))


def read_text(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return a file's text and what had to be done to read it (fixed strings, to be counted).

    Raises BadExample, with the reason, for a file that is empty, binary, over 10 MB or unreadable.
    """
    try:
        if not stat.S_ISREG((about := path.stat()).st_mode):  # opening a pipe would wait for ever
            raise BadExample("no regular file")
        if about.st_size > MAX_BYTES:
            raise BadExample(_too_large())
        content = path.read_bytes()
    except OSError as error:
        raise BadExample(f"cannot be read ({(error.strerror or 'unreadable').lower()})") from error
    if not content:
        raise BadExample("empty file (0 bytes)")
    text, notes = decode(content)
    if not text.strip():
        raise BadExample(EMPTY)
    return text, notes


def decode(content: bytes) -> tuple[str, tuple[str, ...]]:
    """Return bytes as text: by their byte-order mark, else UTF-8, Windows-1252 or Latin-1 (noted).

    Raises BadExample for binary data.
    """
    encoding = _marked(content)
    if encoding is not None:
        try:
            return content.decode(encoding), ()
        except UnicodeDecodeError as error:
            raise BadExample(f"damaged {encoding.upper()} text ({error.reason})") from error
    if _is_binary(content):
        raise BadExample(_binary(content))
    for encoding, notes in (("utf-8", ()), ("cp1252", (WINDOWS_1252,)), ("latin-1", (LATIN_1,))):
        try:
            return content.decode(encoding), notes
        except UnicodeDecodeError:
            continue
    raise AssertionError("Latin-1 has a character for every byte")


def collect(split: str, example: Example, collector: listing.Collector) -> bool:
    """Take an example with its text into a split, or list why it cannot be used; say which."""
    if not example.text:
        collector.drop(example.key, EMPTY)
    elif example.truth is None and not example.label:
        collector.drop(example.key, "empty label")
    else:
        collector.add(split, example)
        return True
    return False


def refusal(entry: os.DirEntry[str]) -> str | None:
    """Say why an entry that is no folder is not a text file, from its name, size and first bytes; or None.

    A file without suffix, or whose suffix is no usual one (``.7c53336b37``, as mail corpora have), is
    told by its content.
    """
    suffix = os.path.splitext(entry.name)[1].lower()
    if suffix not in _SUFFIXES and _USUAL_SUFFIX.fullmatch(suffix):
        return listing.peek(entry, 0)[0] or f"not a text file (suffix {suffix})"
    reason, head = listing.peek(entry, 8 * HEAD_BYTES)
    if reason is not None:
        return reason
    if not head:
        return "empty file (0 bytes)"
    if _marked(head) is None:
        if _is_binary(head):
            return _binary(head)
        if len(head) < 8 * HEAD_BYTES and not head.strip():
            return EMPTY
    return _too_large() if entry.stat().st_size > MAX_BYTES else None


def _marked(content: bytes) -> str | None:
    return next((name for bom, name in _BOMS if content.startswith(bom)), None)


def _is_binary(content: bytes) -> bool:
    head = content[: 64 * HEAD_BYTES]
    return b"\0" in content or (len(head) - len(head.translate(None, _CONTROLS))) * 20 > len(head)


def _binary(content: bytes) -> str:
    kind = describe(content[:HEAD_BYTES])
    return (
        f"binary file (looks like {kind})" if kind not in ("text", "data of no known kind") else "binary file"
    )


def _too_large() -> str:
    return f"over {MAX_BYTES // 1_000_000} MB"
