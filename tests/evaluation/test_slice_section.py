"""What slices there are, which are too small, and that the worst are named and noise is not."""

from pathlib import Path

import numpy as np

from headstart.contracts import Example
from headstart.core import plugins
from headstart.core.tallies import Tallies
from headstart.data.labels import places
from headstart.evaluation import slices
from headstart.maths.classifier_sums import statistics, verdicts

TASK = plugins.load("task", "text-classification")
CLASSES = ("ham", "spam")


def scored(num_examples: int, wrong_from: int = 10**9) -> tuple[list[Example], Tallies]:
    """Return texts of growing length, every fifth of which is wrong, and all from ``wrong_from`` words on."""
    examples = [
        Example(f"{i}", CLASSES[i % 2], Path("t"), text="word " * (i + 1), language="en" if i % 2 else "fr")
        for i in range(num_examples)
    ]
    targets_N = places(examples, CLASSES)
    wrong_N = np.array([i % 5 == 0 or i + 1 >= wrong_from for i in range(num_examples)])
    said_N = np.where(wrong_N, 1 - targets_N, targets_N)
    probabilities_NK = np.where(np.eye(2)[said_N] > 0, 0.9, 0.1)
    digests = np.zeros((num_examples, 32), np.uint8)
    return examples, Tallies(
        task=TASK.name,
        kind="",
        classes=CLASSES,
        statistics_NM=statistics(verdicts(probabilities_NK, targets_N)),
        inputs=digests,
        truths=digests,
        units_N=np.arange(num_examples),
    )


def test_long_texts_are_named_where_they_are_worse() -> None:
    examples, tallies = scored(120, wrong_from=91)
    table = slices.section(TASK, tallies, examples)
    assert table.rows[0][0] == "words: 91 to 120"
    assert table.note.startswith(
        "Worse than elsewhere, beyond what chance explains in 8 slices: words: 91 to 120"
    )
    assert {row[0] for row in table.rows} == {
        "class: ham",
        "class: spam",
        "language: en",
        "language: fr",
        "words: 1 to 30",
        "words: 31 to 60",
        "words: 61 to 90",
        "words: 91 to 120",
    }
    assert [row[1] for row in table.rows if row[0] == "class: ham"] == ["60"]


def test_noise_is_not_named() -> None:
    examples, tallies = scored(120)
    assert slices.section(TASK, tallies, examples).note.startswith("No slice of 8 is worse")


def test_few_examples_make_no_slice_and_it_is_said() -> None:
    examples, tallies = scored(30)
    table = slices.section(TASK, tallies, examples)
    assert table.rows == ()
    assert "no slice tells anything" in table.note


def test_a_text_that_has_gone_is_in_no_slice_of_length(tmp_path: Path) -> None:
    examples, tallies = scored(120)
    examples[0] = Example("gone", "ham", tmp_path / "gone.txt", language="fr")
    counts = {row[0]: row[1] for row in slices.section(TASK, tallies, examples).rows}
    assert counts["words: 2 to 31"] == "30"
    assert counts["class: ham"] == "59"
    assert counts["language: fr"] == "60"


def test_few_examples_are_cut_in_fewer_parts_that_are_large_enough() -> None:
    examples, tallies = scored(60)
    table = slices.section(TASK, tallies, examples)
    lengths = {row[0]: row[1] for row in table.rows if row[0].startswith("words")}
    assert lengths == {"words: 1 to 30": "30", "words: 31 to 60": "30"}
