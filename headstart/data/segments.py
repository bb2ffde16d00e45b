"""The sentences of one file of a parallel text: lines, lines between tags, or segments of SGM and XML.

SGM and XML are not parsed as such: only the tags that are known are looked for, so no document type
is read, no entity but the five of XML is replaced, and time and memory grow with the file's size alone.
"""

import html
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from headstart.core.errors import BadExample, UserError
from headstart.data.text import decode

FORMS = ("segments", "tagged", "lines")
"""How a file may hold sentences, the surest first."""

Segments = dict[str, str]
"""Sentences by their place, in order: the line's number, or DOCUMENT:SEGMENT."""

_MOST_BYTES = 256 << 20
_TAG = re.compile(r"<(/?)(doc|seg|refset|srcset|tstset)\b([^<>]*)>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"(\w+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))")
_TAGGED = re.compile(
    r"\s*</?(doc|url|keywords|speaker|talkid|title|description|reviewer|translator)\b", re.IGNORECASE
)
_LINE_END = re.compile(r"\s*[\r\n]\s*")
_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|#\d{1,7}|#[xX][0-9a-fA-F]{1,6});")


def read(file: Path, form: str) -> tuple[Segments, tuple[str, ...]]:
    """Return a file's sentences by place, and what had to be done to read them (one note an instance).

    Raises UserError for a file that is empty, binary, too large, or broken.
    """
    text, notes = _content(file, _MOST_BYTES if form == "segments" else None)
    if form == "segments":
        found, more = _segments(file, text)
        return found, (*notes, *more)
    # Only line feeds end lines: other separators stand inside sentences, and would shift all that follow.
    lines = text.removesuffix("\n").split("\n")
    if form == "lines":
        return {str(number): line.strip() for number, line in enumerate(lines, 1)}, notes
    sentences = [_text(line) for line in lines if not _TAGGED.match(line)]
    kinds = Counter(match[1].lower() for match in map(_TAGGED.match, lines) if match)
    more = tuple(
        f"lines that are tags left out: <{kind}>" for kind, count in kinds.items() for _ in range(count)
    )
    return {str(number): sentence for number, sentence in enumerate(sentences, 1)}, (*notes, *more)


def _content(file: Path, most_bytes: int | None) -> tuple[str, tuple[str, ...]]:
    size = file.stat().st_size
    if most_bytes is not None and size > most_bytes:
        raise UserError(
            f"{file} has {size:,} bytes", f"at most {most_bytes:,}", "split it into several files"
        )
    try:
        text, notes = decode(file.read_bytes())
    except BadExample as error:
        raise UserError(f"{file}: {error}", "text", "save it as UTF-8, or remove it") from None
    if not text.strip():
        raise UserError(f"{file} is empty", "sentences", "remove it with its other side")
    return text, notes


def _segments(file: Path, text: str) -> tuple[Segments, tuple[str, ...]]:
    """Return the segments of every document; of several references the first. Raises UserError."""
    found: Segments = {}
    notes: list[str] = []
    for document, segment, sentence in _marked(file, text):
        place = f"{document}:{segment}"
        if place in found:
            notes.append("further references of a segment left out")
        else:
            found[place] = _text(sentence)
    if not found:
        raise UserError(f"{file} has no <seg> in it", "segments in tags", "remove it, or mend it")
    return found, tuple(notes)


def _marked(file: Path, text: str) -> Iterator[tuple[str, str, str]]:
    """Yield (document, segment, what stands between the tags)."""
    document, segment, begin = "", "", -1
    for tag in _TAG.finditer(text):
        closing, name = tag[1] == "/", tag[2].lower()
        if name == "seg" and closing and begin >= 0:
            yield document, segment, text[begin : tag.start()]
            begin = -1
        elif begin >= 0:
            line = text.count("\n", 0, tag.start()) + 1
            found = f"{file}, line {line}: <{tag[1]}{name}> inside segment {document}:{segment}"
            raise UserError(found, "</seg> first", "mend that place")
        elif name == "doc" and not closing:
            document = _attributes(tag[3]).get("docid", "")
        elif name == "seg" and not closing:
            segment, begin = _attributes(tag[3]).get("id", ""), tag.end()
    if begin >= 0:
        raise UserError(f"{file} ends inside segment {document}:{segment}", "</seg>", "fetch the file again")


def _attributes(tag: str) -> dict[str, str]:
    return {name.lower(): a or b or c for name, a, b, c in _ATTRIBUTE.findall(tag)}


def _text(marked: str) -> str:
    """Return a sentence without line breaks, XML's own five entities and numbers of characters replaced."""
    return _LINE_END.sub(" ", _ENTITY.sub(lambda entity: html.unescape(entity[0]), marked.strip()))
