"""What every task that reads whole texts shares: inputs, tokens, tf-idf, what the report shows."""

import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final

from headstart.contracts import Array, Example, Prepared, Pretrained, Rows
from headstart.core.errors import BadExample, UserError
from headstart.data import listing, tables, tokens
from headstart.data.rows import SUFFIXES
from headstart.data.text import read_text, refusal
from headstart.maths import tfidf
from headstart.tasks._classes import Representation

LAYOUTS = ("hf-dataset", "orange-tab", "text-table", "text-folders")
_SHOWN_CHARACTERS = 400

log = logging.getLogger(__name__)


@final
class Tfidf(Representation):
    """Words weighted by tf-idf."""

    def facts(self, rows: Rows, indices_n: Array) -> Mapping[str, Any]:
        """Return the vocabulary and idf of the training texts."""
        return tfidf.learn(text_of(rows.examples[int(index)]) for index in indices_n)

    def matrix(self, facts: Mapping[str, Any], rows: Rows, indices_n: Array) -> Any:
        """Return sparse float32 [n, V]."""
        return tfidf.matrix(facts, [text_of(rows.examples[int(index)]) for index in indices_n])


def inputs(names: Sequence[str]) -> Iterator[Example]:
    """Yield texts: files, all below a folder, a table's rows, or the lines of standard input.

    Raises UserError.
    """
    for name in names:
        path = Path(name)
        if name == "-":
            for number, line in enumerate(sys.stdin, start=1):
                yield Example(key=f"line {number}", label="", path=path, text=line.rstrip("\r\n"))
        elif path.is_dir():
            yield from _below(path)
        elif path.is_file() and path.suffix.lower() in SUFFIXES:
            yield from tables.texts(path)
        elif path.exists():
            yield Example(key=name, label="", path=path)
        else:
            raise UserError(
                f"{name} does not exist", "a text file, a table, a folder, or -", "check the path"
            )


def words(example: Example) -> int:
    """Return how many words a text has. Raises BadExample."""
    return len(text_of(example).split())


def content(example: Example) -> bytes:
    """Return a text in UTF-8. Raises BadExample."""
    return text_of(example).encode("utf-8", "surrogatepass")


def prepare(example: Example, found: bytes, pretrained: Pretrained) -> Prepared:
    """Cut a text into at most ``max_length`` tokens: ids and mask, int64 [T]. Raises BadExample."""
    notes = () if example.text is not None else read_text(example.path)[1]
    return tokens.encode(found.decode("utf-8", "surrogatepass"), pretrained, notes)


def show(example: Example) -> dict[str, str]:
    """Return a text's beginning, for the report; empty where the file is gone."""
    try:
        text = text_of(example)
    except BadExample:  # the file went away since its features were computed
        return {}
    return {"text": text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + " ..."}


def _below(folder: Path) -> Iterator[Example]:
    """Yield every file below a folder that may be a text: one that proves none gets a reason later."""
    others = listing.Collector("")

    def refuse(entry: os.DirEntry[str]) -> str | None:
        reason = refusal(entry)
        return reason if reason is not None and reason.startswith("not a") else None

    files = sorted(listing.files(folder, str(folder), others, refuse))
    if not files:
        raise UserError(f"{folder} holds no text", "a folder with text files", "name another folder")
    if others.dropped:
        log.info("%s: %d files that are no texts left out", folder, len(others.dropped))
    yield from (Example(key=key, label="", path=Path(file)) for file, key in files)


def text_of(example: Example) -> str:
    """Return an example's text. Raises BadExample."""
    return example.text if example.text is not None else read_text(example.path)[0]
