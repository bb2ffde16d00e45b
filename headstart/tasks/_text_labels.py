"""Text classification where a text may have any number of labels."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import final

from headstart.contracts import Example, Prepared, Pretrained, Trait
from headstart.data.corruption import TEXTS, spoilt
from headstart.tasks import _texts
from headstart.tasks._labels import LabelClassification, LinearLabelsBaseline, Nothing


@final
class TextLabels(LabelClassification):
    """Says which labels are right of a text."""

    name = "text-classification"
    takes = "text"
    layouts = _texts.LAYOUTS
    unit = row = "texts"
    corruptions = tuple(TEXTS)
    default_base = "pack:minilm-l6"
    learners = ("labels",)
    baselines = (LinearLabelsBaseline("prior", Nothing()), LinearLabelsBaseline("tfidf", _texts.Tfidf()))

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
        """Return the text's length and how many labels it has. Raises BadExample."""
        return {"words": _texts.words(example), "labels": len(example.names())}

    def prepare(self, example: Example, content: bytes, pretrained: Pretrained) -> Prepared:
        """Cut the text into at most ``max_length`` tokens: ids and mask, int64 [T]."""
        return _texts.prepare(example, content, pretrained)

    def show(self, example: Example) -> dict[str, str]:
        """Return the text's beginning."""
        return _texts.show(example)
