"""Text classification: one text in, one of K classes out."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final

from headstart.contracts import Array, Example, Prepared, Pretrained, Rows
from headstart.core.errors import BadExample, UserError
from headstart.data import tokens
from headstart.data.text import read_text
from headstart.maths import tfidf
from headstart.tasks._classes import Classification, LinearBaseline, MajorityBaseline

_SHOWN_CHARACTERS = 400


@final
class TfidfBaseline(LinearBaseline):
    """A linear model on tf-idf weighted words."""

    name = "tfidf"

    def facts(self, rows: Rows, indices_n: Array) -> Mapping[str, Any]:
        """Return the vocabulary and idf of the training texts."""
        return tfidf.learn(_text(rows.examples[int(index)]) for index in indices_n)

    def matrix(self, facts: Mapping[str, Any], rows: Rows, indices_n: Array) -> Any:
        """Return sparse float32 [n, V]."""
        return tfidf.matrix(facts, [_text(rows.examples[int(index)]) for index in indices_n])


@final
class TextClassification(Classification):
    """Tells texts apart."""

    name = "text-classification"
    modality = "text"
    layouts = ("hf-dataset", "orange-tab", "text-table", "text-folders")
    unit = "texts"
    row = "texts"
    default_base = "pack:minilm-l6"
    learner = "classes"
    baselines = (MajorityBaseline(), TfidfBaseline())

    def inputs(self, names: Sequence[str]) -> Iterator[Example]:
        """Yield texts: whole files, every .txt below a folder, or the lines of standard input."""
        for name in names:
            path = Path(name)
            if name == "-":
                for number, line in enumerate(sys.stdin, start=1):
                    yield Example(key=f"line {number}", label="", path=path, text=line.rstrip("\n"))
            elif path.is_dir():
                yield from (
                    Example(key=str(file), label="", path=file) for file in sorted(path.rglob("*.txt"))
                )
            elif path.exists():
                yield Example(key=name, label="", path=path)
            else:
                raise UserError(
                    f"{name} does not exist", "a text file, a folder of them, or -", "check the path"
                )

    def content(self, example: Example) -> bytes:
        """Return the text in UTF-8."""
        return _text(example).encode("utf-8", "surrogatepass")

    def prepare(self, example: Example, content: bytes, pretrained: Pretrained) -> Prepared:
        """Cut the text into at most ``max_length`` tokens: ids and mask, int64 [T]."""
        notes = () if example.text is not None else read_text(example.path)[1]
        return tokens.encode(content.decode("utf-8", "surrogatepass"), pretrained, notes)

    def show(self, example: Example) -> dict[str, str]:
        """Return the text's beginning."""
        try:
            text = _text(example)
        except BadExample:  # the file went away since its features were computed
            return {}
        return {"text": text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + " ..."}


def _text(example: Example) -> str:
    return example.text if example.text is not None else read_text(example.path)[0]
