"""Text classification: one text in, one of K classes out; or, where the data has it, any of K labels."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, final

from headstart.contracts import Example, Prepared, Pretrained, Task, Trait
from headstart.data.corruption import TEXTS, spoilt
from headstart.data.labels import Labels
from headstart.tasks import _texts
from headstart.tasks._classes import Classification, LinearBaseline, MajorityBaseline
from headstart.tasks._text_labels import TextLabels


@final
class TextClassification(Classification):
    """Tells texts apart."""

    name = "text-classification"
    takes = "text"
    layouts = _texts.LAYOUTS
    unit = row = "texts"
    corruptions = tuple(TEXTS)
    default_base = "pack:minilm-l6"
    learners = ("classes",)
    baselines = (MajorityBaseline(), LinearBaseline("tfidf", _texts.Tfidf()))
    kinds: ClassVar[Mapping[str, Task]] = {Labels.kind: TextLabels()}

    def inputs(self, names: Sequence[str]) -> Iterator[Example]:
        """Yield texts: files, all below a folder, a table's rows, or the lines of standard input."""
        return _texts.inputs(names)

    def content(self, example: Example) -> bytes:
        """Return the text in UTF-8."""
        return _texts.content(example)

    def corrupted(self, example: Example, how: str, seed: int, folder: Path) -> Example:
        """Return the text spoilt. Raises BadExample."""
        return spoilt(example, _texts.text_of(example), how, seed)

    def traits(self, example: Example) -> dict[str, Trait]:
        """Return the text's class and its length. Raises BadExample."""
        return {"class": example.label, "words": _texts.words(example)}

    def prepare(self, example: Example, content: bytes, pretrained: Pretrained) -> Prepared:
        """Cut the text into at most ``max_length`` tokens: ids and mask, int64 [T]."""
        return _texts.prepare(example, content, pretrained)

    def show(self, example: Example) -> dict[str, str]:
        """Return the text's beginning."""
        return _texts.show(example)
