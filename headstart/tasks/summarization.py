"""Summarization: one document in, the part of it that says most about it out."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import final

import numpy as np

from headstart.contracts import (
    Again,
    Answer,
    Array,
    Baseline,
    Example,
    Learnt,
    Outputs,
    Parts,
    Prepared,
    Pretrained,
    Rows,
    Solve,
    Task,
    Trait,
    Written,
)
from headstart.core.errors import BadExample, UserError
from headstart.core.records import Metric, Section, Table
from headstart.core.tallies import Measures, Statistics
from headstart.data import documents, tokens
from headstart.data.corruption import TEXTS, spoilt
from headstart.data.rows import SUFFIXES, cell_text, read_rows
from headstart.data.sentences import sentences
from headstart.fitting.sentences import oracle_of
from headstart.maths import oracle, rouge
from headstart.maths.intervals import scored

MOST_SENTENCES = 200
"""Of a longer document the first ones are read: 200 are about 4,000 words."""

_WORST, _BEST = 12, 5
_SHOWN_CHARACTERS = 400


def _texts(rows: Rows, indices_n: Array) -> list[list[str]]:
    """Return the sentences of some documents."""
    return [_sentences(documents.text_of(rows.examples[index])[0]) for index in indices_n]


def _sentences(text: str) -> list[str]:
    return sentences(text, MOST_SENTENCES)


class _Unlearnt(Baseline):
    """What takes nothing from the training data."""

    def learn(self, rows: Rows, indices_n: Array, classes: Sequence[str], solve: Solve) -> Learnt | None:
        """Learn nothing."""
        return Learnt()


@final
class LeadBaseline(_Unlearnt):
    """The first sentences: how journalists summarise."""

    def __init__(self, count: int) -> None:
        self.name, self.count = f"lead-{count}", count  # type: ignore[misc]

    def outputs(self, learnt: Learnt, rows: Rows, indices_n: Array) -> list[Written]:
        """Return the first ``count`` sentences of each document."""
        leads = (one[: self.count] for one in _texts(rows, indices_n))
        return [Written("\n".join(lead)) for lead in leads]


@final
class TitleBaseline(Baseline):
    """The document's own title."""

    name = "title"

    def learn(self, rows: Rows, indices_n: Array, classes: Sequence[str], solve: Solve) -> Learnt | None:
        """Learn nothing; there is no such baseline where no document has a title."""
        return Learnt() if any(rows.examples[index].title for index in indices_n) else None

    def outputs(self, learnt: Learnt, rows: Rows, indices_n: Array) -> list[Written]:
        """Return each document's title."""
        return [Written(rows.examples[index].title or "") for index in indices_n]


@final
class Oracle(_Unlearnt):
    """The ceiling: the sentences, or the parts of them, that are most like the reference, which it sees."""

    def __init__(self, cut: bool) -> None:
        self.name, self.cut = "oracle-cut" if cut else "oracle", cut  # type: ignore[misc]

    def outputs(self, learnt: Learnt, rows: Rows, indices_n: Array) -> list[Written]:
        """Return the best sentences of each document, in its order."""
        found = []
        for index, texts in zip(indices_n, _texts(rows, indices_n), strict=True):
            truth = rows.examples[index].target or ""
            places = oracle_of(texts, truth)
            lines = (_best_part(texts[place], truth) if self.cut else texts[place] for place in places)
            found.append(Written("\n".join(lines)))
        return found


def _best_part(sentence: str, reference: str) -> str:
    words = sentence.split()
    begin, end = oracle.best_span([rouge.tokens(word) for word in words], rouge.tokens(reference))
    return " ".join(words[begin:end])


@final
class Summarization(Task):
    """Says in a few sentences of a document what it is about."""

    name = "summarization"
    layouts = ("hf-summaries", "bbc-summary", "story-files", "summary-table")
    unit = "documents"
    corruptions = tuple(TEXTS)
    row = "sentences"
    default_base = "pack:minilm-l6"
    takes = "text"
    learners = ("sentences", "writer", "continuer")
    baselines = (LeadBaseline(1), LeadBaseline(3), TitleBaseline(), Oracle(cut=False), Oracle(cut=True))

    def inputs(self, names: Sequence[str]) -> Iterator[Example]:
        """Yield documents: text files, every .txt below a folder, a table's rows, or standard input, one."""
        for name in names:
            path = Path(name)
            if name == "-":
                yield Example(key="-", label="", path=path, text=sys.stdin.read())
            elif path.is_dir():
                files = sorted(path.rglob("*.txt"))
                yield from (Example(key=str(file), label="", path=file) for file in files)
            elif path.suffix.lower() in SUFFIXES and path.exists():
                yield from _rows(path)
            elif path.exists():
                yield Example(key=name, label="", path=path)
            else:
                expected = "a text file, a folder of them, a table, or -"
                raise UserError(f"{name} does not exist", expected, "check the path")

    def parts(self, example: Example, whole: bool, pretrained: Pretrained) -> Parts:
        """Return the document's sentences, or its text."""
        text, notes = documents.text_of(example)
        if whole:
            return Parts([replace(example, text=text)], notes)
        found = sentences(text, MOST_SENTENCES + 1)
        if not found:
            raise BadExample("empty document")
        if len(found) > MOST_SENTENCES:
            notes = (*notes, f"only the first {MOST_SENTENCES} sentences of the document read")
        units = [
            Example(key=f"{example.key}, sentence {place}", label="", path=example.path, text=sentence)
            for place, sentence in enumerate(found[:MOST_SENTENCES], start=1)
        ]
        return Parts(units, notes)

    def content(self, example: Example) -> bytes:
        """Return a sentence in UTF-8."""
        return (example.text or "").encode("utf-8", "surrogatepass")

    def corrupted(self, example: Example, how: str, seed: int, folder: Path) -> Example:
        """Return the text spoilt. Raises BadExample."""
        return spoilt(example, documents.text_of(example)[0], how, seed)

    def traits(self, example: Example) -> dict[str, Trait]:
        """Return the lengths of document and reference. Raises BadExample."""
        words = len(documents.text_of(example)[0].split())
        return {"words in the document": words, "words in the reference": len((example.target or "").split())}

    def prepare(self, example: Example, content: bytes, pretrained: Pretrained) -> Prepared:
        """Cut a sentence into tokens."""
        return tokens.encode(content.decode("utf-8", "surrogatepass"), pretrained)

    def answers(self, outputs: Outputs, examples: Sequence[Example], classes: Sequence[str]) -> list[Answer]:
        """Return each summary, and how likely each of its sentences belongs there."""
        return [Answer(prediction=one.text.replace("\n", " "), scores=one.scores) for one in outputs]

    def chances(self, outputs: Outputs) -> None:
        """Return nothing: not one class is right."""

    def compare(self, outputs: Outputs, examples: Sequence[Example], classes: Sequence[str]) -> Array:
        """Return ROUGE-1, -2, -L and -Lsum of each document, float64 [n, 4]."""
        return np.array(
            [
                rouge.scores(example.target or "", one.text)
                for one, example in zip(outputs, examples, strict=True)
            ]
        )

    def statistics(self, compared_NM: Array, classes: Sequence[str]) -> Statistics:
        """Return each document's ROUGE, and 1."""
        return np.column_stack([compared_NM, np.ones(len(compared_NM))])

    def measures(self, classes: Sequence[str]) -> Measures:
        """Return the mean of each F1 over documents."""

        def mean(place: int) -> Callable[[Array], Array]:
            return lambda sums_BM: np.asarray(sums_BM[:, place] / sums_BM[:, -1])

        return Measures(values={name: mean(place) for place, name in enumerate(rouge.NAMES)})

    def score(self, compared_NM: Array, classes: Sequence[str], units_N: Array) -> dict[str, Metric]:
        """Return the measures; their intervals resample documents."""
        return scored(self.statistics(compared_NM, classes), self.measures(classes), units_N)

    def sections(
        self,
        compared_NM: Array,
        classes: Sequence[str],
        examples: Sequence[Example],
        again: Again,
    ) -> tuple[Section, ...]:
        """Return the summaries least like their references, and some of the best."""
        order_N = np.argsort(compared_NM[:, :3].mean(axis=1), kind="stable")
        shown = (
            ("Worst summaries", "Least like their references.", order_N[:_WORST]),
            ("Best summaries", "Most like their references.", order_N[_WORST:][: -_BEST - 1 : -1]),
        )
        return tuple(
            _table(
                (title, note),
                compared_NM[places_n],
                [examples[place] for place in places_n],
                again(places_n),
            )
            for title, note, places_n in shown
            if len(places_n)
        )


def _table(
    heading: tuple[str, str], compared_nM: Array, examples: Sequence[Example], outputs: Sequence[Written]
) -> Table:
    rows = [
        (
            f"{scores_M[0]:.2f}",
            f"{scores_M[2]:.2f}",
            one.text.replace("\n", " "),
            example.target or "",
            _beginning(example),
        )
        for scores_M, example, one in zip(compared_nM, examples, outputs, strict=True)
    ]
    header = ("ROUGE-1", "ROUGE-L", "summary", "reference", "document")
    return Table(title=heading[0], note=heading[1], header=header, rows=tuple(rows))


def _beginning(example: Example) -> str:
    try:
        text = documents.text_of(example)[0]
    except BadExample:  # the file went away since its features were computed
        return example.key
    shown = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + " ..."
    return f"{example.key}: {shown}"


def _rows(path: Path) -> Iterator[Example]:
    table = read_rows(path)
    place = documents.document_column(table, path)
    for number, cells in table.rows:
        key = f"{path}:{number}"
        yield Example(key=key, label="", path=path, text=cell_text(cells[place], f"{key}, document"))
