"""What texts whose features are a page of tokens a row have in common."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, cast

from headstart.contracts import Augmentation, Column, Floats, Inputs, Modality, Preprocess, TextPreprocess
from headstart.core import plugins
from headstart.model import rows


def texts() -> Modality:
    """Return the modality that sources describe text models with."""
    found: Modality = plugins.load("modality", "text")
    return found


class Pages(Modality):
    """Texts whose tokens keep a row's place each."""

    takes = "text"
    mixes = False

    @abstractmethod
    def adapt(self, preprocess: Preprocess, sizes: Mapping[str, int | None]) -> TextPreprocess:
        """Apply ``max_length``."""

    def restore(self, described: Mapping[str, Any]) -> TextPreprocess:
        """Rebuild a preprocess from its JSON."""
        return cast(TextPreprocess, texts().restore(described))

    def columns(self, shapes: Mapping[str, tuple[int, ...]]) -> list[Column]:
        """Return a page's columns."""
        ((block, shape),) = shapes.items()
        return rows.page_columns(block, shape[-1])

    def rows(self, features: Floats, inputs: Sequence[Inputs]) -> list[Floats]:
        """Return each text's pages, without what was padded."""
        return [
            rows.paged(states_TC[: len(one["input_ids"])], one["input_ids"])
            for states_TC, one in zip(features, inputs, strict=True)
        ]

    def rows_column(self, columns: Sequence[Column]) -> Column | None:
        """Return the column that says how many pages a text has."""
        return columns[0]

    def augmented(self, inputs: Inputs, augmentation: Augmentation) -> Inputs:
        """Raise UserError: there is no augmentation of a text."""
        return texts().augmented(inputs, augmentation)

    def sample(self, preprocess: Preprocess) -> Inputs:
        """Return two texts of eight tokens, the second one shorter."""
        return texts().sample(preprocess)

    def varying_axes(self) -> Mapping[str, Mapping[int, str]]:
        """Return that the batch and its length vary."""
        return {**texts().varying_axes(), "features": {0: "n", 1: "t"}}

    def layer_sets(self, columns: Sequence[Column]) -> dict[str, Sequence[Column]]:
        """Return the one set there is."""
        return {"last": columns, "all": columns}
