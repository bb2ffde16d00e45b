"""Translation by its methods: inputs, answers, scores and what the report shows."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from headstart.contracts import Array, Example, Learnt, Rows, Written
from headstart.core import plugins
from headstart.core.errors import BadExample, UserError
from headstart.core.records import Table
from headstart.tasks.translation import CopyBaseline, Translation

MINILM = plugins.load("source", "pack").find("minilm-l6")

TASK = Translation()
PAIRS = [
    ("The house is old.", "La maison est vieille."),
    ("It rains.", "Il pleut."),
    ("Paris", "Paris"),
    (
        "We are going home because it is raining and nobody wants to be wet again.",
        "Nous rentrons, car il pleut.",
    ),
]
EXAMPLES = [
    Example(f"data:{n}", "", Path("data"), text=source, target=target, language="fr")
    for n, (source, target) in enumerate(PAIRS)
]
OUTPUTS = [
    Written("La maison est vieille.", {"log_probability": -1.0}),
    Written("Il fait beau.", {}),
    Written("Paris", {}),
    Written("", {}),
]


def compared() -> Array:
    return TASK.compare(OUTPUTS, EXAMPLES, ())


def inputs(*names: object) -> list[tuple[str, str | None]]:
    return [(example.key, example.text) for example in TASK.inputs([str(name) for name in names])]


def test_scores_are_of_the_whole_and_put_together_from_pieces() -> None:
    found = TASK.score(compared(), (), np.arange(len(compared())))
    translations, references = [one.text for one in OUTPUTS], [target for _, target in PAIRS]
    assert set(found) == {"bleu", "chrf"}
    assert found["bleu"].value == pytest.approx(BLEU().corpus_score(translations, [references]).score)
    assert found["chrf"].value == pytest.approx(CHRF().corpus_score(translations, [references]).score)
    assert found["bleu"].n == 4
    pieces = [TASK.compare(OUTPUTS[place : place + 1], EXAMPLES[place : place + 1], ()) for place in range(4)]
    assert all((piece == row).all() for piece, row in zip(pieces, compared(), strict=True))


def test_the_baseline_copies() -> None:
    class Given(Rows):
        examples = EXAMPLES

        def read(self, places_m: Array, columns: Any) -> Any:
            raise AssertionError("copying needs no features")

        def places(self, indices_n: Array) -> Any:
            raise AssertionError("copying needs no features")

        def units(self, indices_n: Array) -> Any:
            raise AssertionError("copying needs no units")

    import numpy as np

    copied = CopyBaseline().outputs(Learnt(), Given(), np.array([2, 1]))
    assert [one.text for one in copied] == ["Paris", "It rains."]


def test_answers_are_the_texts_with_their_scores() -> None:
    answers = TASK.answers(OUTPUTS, EXAMPLES, ())
    assert [one.prediction for one in answers] == [one.text for one in OUTPUTS]
    assert answers[0].scores == {"log_probability": -1.0}


def test_the_report_shows_the_worst_first_and_what_copying_reaches() -> None:
    shown: list[list[int]] = []

    def again(places_n: Array) -> Sequence[Written]:
        shown.append(places_n.tolist())
        return [OUTPUTS[place] for place in places_n]

    against, lengths, worst = cast(tuple[Table, ...], TASK.sections(compared(), (), EXAMPLES, again))
    assert [row[0] for row in against.rows] == ["BLEU", "chrF"]
    assert against.rows[0][3].startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp")
    assert [(row[0], row[1]) for row in lengths.rows] == [("1 to 10", "3"), ("11 to 20", "1")]
    assert shown == [[3, 1, 0, 2]]
    assert worst.header == ("chrF", "translation", "reference", "source")
    assert worst.rows[0][:3] == ("0.0", "", "Nous rentrons, car il pleut.")
    assert worst.rows[1][3] == "data:1: It rains."
    many = [EXAMPLES[place % 4] for place in range(40)]
    outputs = [OUTPUTS[place % 4] for place in range(40)]
    sections = TASK.sections(
        TASK.compare(outputs, many, ()), (), many, lambda places_n: [outputs[place] for place in places_n]
    )
    assert [section.title for section in sections][2:] == ["Worst translations", "Best translations"]
    assert [len(cast(Table, section).rows) for section in sections[2:]] == [20, 5]
    assert cast(Table, sections[3]).rows[0][0] == "100.0"


def test_sentences_come_from_lines_tables_and_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.txt"
    file.write_text("One.\n\nThree\u2028still three.\n")
    assert (
        inputs(file)
        == inputs(tmp_path)
        == [
            (f"{file}:1", "One."),
            (f"{file}:2", ""),
            (f"{file}:3", "Three\u2028still three."),
        ]
    )
    monkeypatch.setattr("sys.stdin", io.StringIO("First.\r\nSecond.\n"))
    assert inputs("-") == [("line 1", "First."), ("line 2", "Second.")]
    for names in ({"id": "1", "source": "A b."}, {"id": "1", "en": "A b."}, {"text": "A b."}):
        table = tmp_path / "t.jsonl"
        table.write_text(json.dumps(names) + "\n")
        assert inputs(table) == [(f"{table}:1", "A b.")]
    table.write_text(json.dumps({"en": "A b.", "fr": "C d."}) + "\n")
    with pytest.raises(UserError, match=r"has several languages .en, fr."):
        inputs(table)
    with pytest.raises(UserError, match="does not exist"):
        inputs(tmp_path / "gone.txt")


def test_what_cannot_be_read_has_a_reason(tmp_path: Path) -> None:
    (tmp_path / "binary.txt").write_bytes(b"\0\1\2\3")
    (tmp_path / "empty.txt").write_bytes(b"")
    reasons = []
    for example in TASK.inputs([str(tmp_path)]):
        with pytest.raises(BadExample) as error:
            TASK.content(example)
        reasons.append(str(error.value))
    assert reasons == ["binary file", "empty file (0 bytes)"]


def test_a_sentence_is_one_unit_and_its_own_content() -> None:
    assert TASK.parts(EXAMPLES[0], whole=True, pretrained=MINILM).units == (EXAMPLES[0],)
    assert TASK.content(EXAMPLES[1]) == b"It rains."
