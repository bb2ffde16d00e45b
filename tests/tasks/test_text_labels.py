"""Text classification with any number of labels from end to end, on a few real mails."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import headstart
from headstart import cli
from headstart.core.errors import UserError
from headstart.core.records import Fitted, Prediction

ROOT = Path(__file__).resolve().parents[2]
EACH = 40
LABELS = ("link", "money", "spam")


def mails() -> list[tuple[str, tuple[str, ...]]]:
    """Return real mails with what is right of them, as far as their words tell."""
    with (ROOT / "examples" / "mail" / "mails.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    some = [row for label in ("wanted", "spam") for row in [r for r in rows if r["label"] == label][:EACH]]
    right = {
        "link": lambda row: "http" in row["text"],
        "money": lambda row: re.search(r"\$|money|free", row["text"].lower()) is not None,
        "spam": lambda row: row["label"] == "spam",
    }
    return [(row["text"], tuple(name for name in LABELS if right[name](row))) for row in some]


def write(file: Path, rows: list[tuple[str, tuple[str, ...]]]) -> Path:
    file.write_text("".join(json.dumps({"text": text, "labels": names}) + "\n" for text, names in rows))
    return file


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty mails, some without any label; not to be changed."""
    rows = mails()
    assert {len(names) for _, names in rows} == {0, 1, 2, 3}
    return write(tmp_path_factory.mktemp("labelled") / "mails.jsonl", [*rows, ("", ("spam",))])


@pytest.fixture(scope="session")
def fitted(headstart_home: Path, table: Path, tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    """One run; copy it before changing it."""
    return headstart.fit(table, out=tmp_path_factory.mktemp("runs") / "labels", max_length=32)


def answers(run: str | Path, *inputs: str | Path) -> list[Prediction]:
    return list(headstart.predict(run, list(inputs)))


def test_the_table_is_known_for_what_it_is(fitted: Fitted) -> None:
    assert (fitted.task, fitted.classes) == ("text-classification", LABELS)
    notes = {note.what: note.count for note in fitted.notes}
    assert notes["a text may have several labels: lists"] == 1
    assert notes["text that no label is right of"] > 5
    assert [(one.file, one.reason) for one in fitted.dropped] == [("mails.jsonl:81", "empty text")]
    assert [fitted.split[role] for role in ("train", "val", "test")] == [56, 12, 12]


def test_figures_stand_beside_those_of_baselines(fitted: Fitted) -> None:
    assert set(fitted.baselines) == {"prior", "tfidf"}
    for figures in (fitted.metrics, *fitted.baselines.values()):
        assert {"f1_micro", "f1_macro", "mean_average_precision", "hamming_loss"} <= set(figures)
    assert fitted.metrics["f1_micro"].value > fitted.baselines["prior"]["f1_micro"].value
    prior = fitted.baselines["prior"]["mean_average_precision"]
    assert prior.value < 0.8  # all scores alike: the labels' shares
    assert 0 < fitted.objective["threshold"] < 1
    assert fitted.objective["loss"] == "cross-entropy of each label, one against the rest"


def test_what_is_predicted_is_what_is_probable_enough(fitted: Fitted, table: Path) -> None:
    found = answers(fitted.run, table)
    for one in found[:-1]:
        assert isinstance(one.prediction, tuple)
        enough = {name for name, p in one.scores.items() if p >= fitted.objective["threshold"]}
        assert set(one.prediction) == enough
        probabilities = [one.scores[name] for name in one.prediction]
        assert probabilities == sorted(probabilities, reverse=True)
    assert found[-1].error == "empty text"
    assert len({one.prediction for one in found}) > 2


def test_lines_for_people_and_for_programs(
    fitted: Fitted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text("FREE MONEY!!! Click http://money.example now")
    (tmp_path / "b.txt").write_text("See you at lunch.")
    both = [str(tmp_path / name) for name in ("a.txt", "b.txt")]
    assert cli.main(["predict", fitted.run, *both, "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [set(one) for one in told] == [{"input", "prediction", "scores"}] * 2
    assert all(isinstance(one["prediction"], list) for one in told)
    assert cli.main(["predict", fitted.run, *both]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    for (_, shown), one in zip(lines, told, strict=True):
        names = [f"{name} {one['scores'][name]:.3f}" for name in one["prediction"]]
        assert shown == (", ".join(names) or "(no label)")


def test_a_moved_run_says_and_scores_the_same(fitted: Fitted, table: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(fitted.run, tmp_path / "run")
    assert answers(moved, table) == answers(fitted.run, table)
    again = headstart.evaluate(moved, table)
    assert again.metrics == fitted.metrics
    assert again.baselines == fitted.baselines


def test_the_report_tells_of_labels(fitted: Fitted) -> None:
    report = (Path(fitted.run) / "report.html").read_text()
    for words in ("Label by label", "Worst mistakes", "average precision", "missed: ", "is given from"):
        assert words in report, words


def test_one_label_each_is_data_like_any_other_for_such_a_run(fitted: Fitted, tmp_path: Path) -> None:
    run = shutil.copytree(fitted.run, tmp_path / "run")
    rows = [(text + " And more.", names) for text, names in mails() if len(names) == 1]
    (tmp_path / "test").mkdir()
    found = headstart.evaluate(run, write(tmp_path / "test" / "test.jsonl", rows).parent)
    assert found.metrics["f1_micro"].n == len(rows)
    partly = write(tmp_path / "partly.jsonl", [("a text", ("spam", "new")), ("another", ())])
    found = headstart.evaluate(run, partly)
    assert "of a class that training never saw ('new')" in found.notes[-1].what
    table = next(one for one in found.sections if one.title == "Label by label")
    assert [(row[0], row[1], row[3]) for row in table.rows][-1] == ("new", "1", "0.00 (0.00-0.97)")
    unknown = write(tmp_path / "new.jsonl", [("a text", ("new", "newer")), ("another", ())])
    with pytest.raises(UserError, match="2 classes that the run does not know, the first 'new'"):
        headstart.evaluate(run, unknown)


def test_a_run_of_one_class_each_refuses_labels(tmp_path: Path, table: Path) -> None:
    rows = [(text, ("spam" if "spam" in names else "wanted",)) for text, names in mails()]
    run = headstart.fit(write(tmp_path / "one.jsonl", rows), out=tmp_path / "run", max_length=32)
    assert run.metrics["accuracy"].value > 0.5
    with pytest.raises(UserError, match="several labels, for a run that gives one class each"):
        headstart.evaluate(run.run, table)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head_hidden": 8}, "--head-hidden for data with several labels"),
        ({"epochs": 3}, "--epochs for data with several labels"),
        ({"head": "classes"}, "--head classes for text-classification; expected one of labels"),
        ({"strategy": "full", "augment": "flip"}, "--augment for texts"),
    ],
)
def test_options_without_meaning_are_refused(
    table: Path, tmp_path: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        headstart.fit(table, out=tmp_path / "run", max_length=32, **options)


def test_the_head_is_the_best_of_those_tried(fitted: Fitted) -> None:
    tried = fitted.objective["chosen"]
    assert {one["layers"] for one in tried} == {"last", "all", "deep", "mixed"}
    assert fitted.objective["layers"] == tried[0]["layers"]
    assert tried[0]["log_loss"] == min(one["log_loss"] for one in tried if one["folds"] == tried[0]["folds"])
    assert np.isfinite(fitted.objective["factor"])
