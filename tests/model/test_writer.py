"""The head that writes, whatever its decoder: order, lengths, short memory."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.contracts import Array, Example
from headstart.core.errors import MachineError
from headstart.core.frameworks import prepare_torch
from headstart.model import rows, vocabulary
from headstart.model.decoders import Decoder, Source, Writing
from headstart.model.writer import WriterHead

torch = prepare_torch()
WORDS = vocabulary.learn(["one two three four five six seven eight nine ten"], 400)


class Counting(Decoder):
    """Writes how many real tokens its source has; only ``most`` texts fit into memory."""

    def __init__(self, most: int = 99) -> None:
        self.module, self.most, self.sizes = torch.nn.Linear(1, 1), most, list[int]()

    def log_probabilities(self, source: Source, target_NT: Any) -> tuple[Any, Any]:
        raise NotImplementedError

    def moved(self) -> dict[str, Array]:
        return {}

    def tensors(self) -> dict[str, Array]:
        return {}

    def facts(self) -> Mapping[str, Any] | None:
        return {}

    def files(self, writing: Writing) -> Mapping[str, Any]:
        return {}

    def write(self, source: Source, writing: Writing) -> Any:
        self.sizes.append(len(source.ids_NS))
        if len(source.ids_NS) > self.most:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        written = [WORDS.encode(str(int(one.sum())), 9)[0] for one in source.mask_NS]
        longest = max(map(len, written))
        return torch.tensor([[*ids, *[WORDS.pad] * (longest - len(ids))] for ids in written])


LENGTHS = [5, 40, 17, 1, 33, 16, 2, 90, 8] * 3


def written(decoder: Counting) -> list[str]:
    head = WriterHead(
        columns=tuple(rows.page_columns("last", 1)), decoder=decoder, vocabulary=WORDS, writing=Writing()
    )
    seen = np.concatenate([rows.paged(np.ones((n, 1), np.float32), np.arange(n)) for n in LENGTHS])
    units = [[Example(str(n), "", Path("x"), text="")] for n in LENGTHS]
    return [one.text for one in head.outputs(seen, units)]


def test_each_text_is_written_for_its_own_source() -> None:
    assert written(Counting()) == [str(n) for n in LENGTHS]


def test_short_memory_writes_in_halves(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    decoder = Counting(most=5)
    assert written(decoder) == [str(n) for n in LENGTHS]
    assert decoder.sizes[:3] == [16, 8, 4]
    assert "out of memory on 16 texts at once" in caplog.text


def test_a_text_that_does_not_fit_is_told() -> None:
    with pytest.raises(MachineError, match="A text of 17 tokens does not fit"):
        written(Counting(most=0))
