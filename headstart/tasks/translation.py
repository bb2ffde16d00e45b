"""Translation: a sentence in one language in, the same in another out."""

import sys
from collections.abc import Iterator, Mapping, Sequence
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
from headstart.core.tallies import Measure, Measures, Statistics
from headstart.data import pair_columns, segments, tokens
from headstart.data.corruption import TEXTS, spoilt
from headstart.data.rows import SUFFIXES
from headstart.data.text import read_text
from headstart.maths import bleu
from headstart.maths.intervals import bootstrap, paired, scored
from headstart.tasks._figures import with_interval

_MEASURES: Mapping[str, Measure] = {"bleu": bleu.bleu, "chrf": bleu.chrf}
_NAMES = {"bleu": "BLEU", "chrf": "chrF"}
_WORST, _BEST = 20, 5
_LENGTHS = ((1, 10), (11, 20), (21, 40), (41, sys.maxsize))
"""Words of a source from which to which its BLEU is shown."""


@final
class CopyBaseline(Baseline):
    """The source itself: names, numbers and code survive that."""

    name = "copy"

    def learn(self, rows: Rows, indices_n: Array, classes: Sequence[str], solve: Solve) -> Learnt | None:
        """Learn nothing."""
        return Learnt()

    def outputs(self, learnt: Learnt, rows: Rows, indices_n: Array) -> list[Written]:
        """Return each source as it is."""
        return [Written(rows.examples[index].text or "") for index in indices_n]


@final
class Translation(Task):
    """Says in another language what a sentence says."""

    name = "translation"
    layouts = ("hf-translations", "wmt14", "iwslt15", "parallel-lines", "po-files", "pair-table")
    unit = "sentences"
    corruptions = tuple(TEXTS)
    row = "sentences"
    default_base = "pack:minilm-l6"
    takes = "text"
    learners = ("writer", "continuer")
    baselines = (CopyBaseline(),)

    def inputs(self, names: Sequence[str]) -> Iterator[Example]:
        """Yield sentences: the lines of text files, all below a folder, a table's rows, or standard input."""
        for name in names:
            path = Path(name)
            if name == "-":
                for number, line in enumerate(sys.stdin, start=1):
                    yield Example(key=f"line {number}", label="", path=path, text=line.strip())
            elif path.is_dir():
                for file in sorted(path.rglob("*.txt")):
                    yield from _lines(file)
            elif path.suffix.lower() in SUFFIXES and path.is_file():
                for number, text in pair_columns.sources(path):
                    yield Example(key=f"{path}:{number}", label="", path=path, text=text)
            elif path.exists():
                yield from _lines(path)
            else:
                expected = "a text file of a sentence a line, a folder of them, a table, or -"
                raise UserError(f"{name} does not exist", expected, "check the path")

    def parts(self, example: Example, whole: bool, pretrained: Pretrained) -> Parts:
        """Return the sentence itself: it is one unit."""
        return Parts((example,))

    def content(self, example: Example) -> bytes:
        """Return the sentence in UTF-8. Raises BadExample for a file that could not be read."""
        if example.text is None:
            raise BadExample(_reason(example.path))
        return example.text.encode("utf-8", "surrogatepass")

    def corrupted(self, example: Example, how: str, seed: int, folder: Path) -> Example:
        """Return the text spoilt. Raises BadExample."""
        return spoilt(example, example.text or "", how, seed)

    def traits(self, example: Example) -> dict[str, Trait]:
        """Return the source's length."""
        return {"words in the source": len((example.text or "").split())}

    def prepare(self, example: Example, content: bytes, pretrained: Pretrained) -> Prepared:
        """Cut the sentence into at most ``max_length`` tokens: ids and mask, int64 [T]."""
        return tokens.encode(content.decode("utf-8", "surrogatepass"), pretrained)

    def answers(
        self, outputs: Sequence[Written], examples: Sequence[Example], classes: Sequence[str]
    ) -> list[Answer]:
        """Return each translation with the scores that the model gives it."""
        return [Answer(prediction=one.text, scores=one.scores) for one in outputs]

    def chances(self, outputs: Outputs) -> None:
        """Return nothing: not one class is right."""

    def compare(
        self, outputs: Sequence[Written], examples: Sequence[Example], classes: Sequence[str]
    ) -> Array:
        """Return what BLEU and chrF count in each sentence, float64 [n, ``bleu.STATISTICS``]."""
        references = [example.target or "" for example in examples]
        return bleu.statistics(references, [one.text for one in outputs], _language(examples))

    def statistics(self, compared_NM: Array, classes: Sequence[str]) -> Statistics:
        """Return the counts as they are."""
        return compared_NM

    def measures(self, classes: Sequence[str]) -> Measures:
        """Return BLEU and chrF of the whole, 0 to 100."""
        return Measures(values=_MEASURES)

    def score(self, compared_NM: Array, classes: Sequence[str], units_N: Array) -> dict[str, Metric]:
        """Return the measures; their intervals resample sentences, all of one source as one."""
        return scored(compared_NM, self.measures(classes), units_N)

    def sections(
        self, compared_NM: Array, classes: Sequence[str], examples: Sequence[Example], again: Again
    ) -> tuple[Section, ...]:
        """Return the lead over copying, scores by length, and the worst and some of the best sentences."""
        order_N = np.argsort(bleu.chrf(compared_NM), kind="stable")
        shown = (
            ("Worst translations", "Least like their references, by chrF.", order_N[:_WORST]),
            (
                "Best translations",
                "Most like their references, by chrF.",
                order_N[_WORST:][: -_BEST - 1 : -1],
            ),
        )
        return (
            _against_copying(compared_NM, examples),
            _by_length(compared_NM, examples),
            *(
                _sentences(
                    (title, note), compared_NM[places_n], [examples[i] for i in places_n], again(places_n)
                )
                for title, note, places_n in shown
                if len(places_n)
            ),
        )


def _language(examples: Sequence[Example]) -> str:
    return examples[0].language if examples else ""


def _against_copying(compared_NM: Array, examples: Sequence[Example]) -> Table:
    language = _language(examples)
    references = [example.target or "" for example in examples]
    sources = [example.text or "" for example in examples]
    copied_NM = bleu.statistics(references, sources, language)
    found = paired(compared_NM, copied_NM, _MEASURES)
    rows = [
        (_NAMES[name], with_interval(difference, "undefined"), f"{p:.3f}", signature)
        for (name, (difference, p)), signature in zip(found.items(), bleu.signatures(language), strict=True)
    ]
    note = (
        "How far the model is ahead of the source taken as its own translation, both scored on the same "
        "resampled sentences (paired bootstrap, Koehn 2004). Scores of another signature cannot be compared."
    )
    header = ("score", "ahead by", "p-value", "signature")
    return Table(title="Against copying the source", note=note, header=header, rows=tuple(rows))


def _by_length(compared_NM: Array, examples: Sequence[Example]) -> Table:
    words_N = np.array([len((example.text or "").split()) for example in examples])
    rows = []
    for least, most in _LENGTHS:
        chosen_N = (words_N >= least) & (words_N <= most)
        if chosen_N.any():
            found = bootstrap(compared_NM[chosen_N], _MEASURES)
            words = f"{least} to {most}" if most < sys.maxsize else f"{least} and more"
            figures = (with_interval(found[name], "undefined") for name in _MEASURES)
            rows.append((words, f"{chosen_N.sum():,}", *figures))
    note = "Long sentences are usually harder. The scores are of all sentences of a length together."
    header = ("words in the source", "sentences", *(_NAMES[name] for name in _MEASURES))
    return Table(title="By length", note=note, header=header, rows=tuple(rows))


def _sentences(
    heading: tuple[str, str], compared_nM: Array, examples: Sequence[Example], outputs: Sequence[Written]
) -> Table:
    rows = [
        (f"{score:.1f}", one.text, example.target or "", f"{example.key}: {example.text or ''}")
        for score, example, one in zip(bleu.chrf(compared_nM), examples, outputs, strict=True)
    ]
    header = ("chrF", "translation", "reference", "source")
    return Table(title=heading[0], note=heading[1], header=header, rows=tuple(rows))


def _reason(file: Path) -> str:
    """Return why a file could not be read."""
    try:
        read_text(file)
    except BadExample as error:
        return str(error)
    return "it could not be read"


def _lines(file: Path) -> Iterator[Example]:
    """Yield a text file's lines; the file itself, whose reason is told later, where it cannot be read."""
    try:
        sentences = segments.read(file, "lines")[0]
    except (UserError, OSError):
        yield Example(key=str(file), label="", path=file)
        return
    for number, text in sentences.items():
        yield Example(key=f"{file}:{number}", label="", path=file, text=text)
