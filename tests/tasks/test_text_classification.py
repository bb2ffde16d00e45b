"""Text classification from end to end, on a few real mails and a pretrained encoder."""

import csv
import io
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

import headstart
from headstart.core.errors import UserError
from headstart.core.records import Fitted, Prediction
from headstart.tasks.text_classification import TextClassification

ROOT = Path(__file__).resolve().parents[2]
MAX_LENGTH = 32
EACH = 30


def mails() -> list[dict[str, str]]:
    """Return the first few real mails of each class."""
    with (ROOT / "examples" / "mail" / "mails.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [row for label in ("wanted", "spam") for row in [r for r in rows if r["label"] == label][:EACH]]


def write(file: Path, rows: Sequence[dict[str, str]]) -> Path:
    with file.open("w", newline="", encoding="utf-8") as opened:
        table = csv.DictWriter(opened, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return file


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of sixty mails with two empty texts; not to be changed."""
    empty = [{"text": "", "label": "wanted"}, {"text": " \t", "label": "spam"}]
    return write(tmp_path_factory.mktemp("mails") / "mails.csv", [*mails(), *empty])


@pytest.fixture(scope="session")
def fitted(headstart_home: Path, table: Path, tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    """One run; copy it before changing it."""
    return headstart.fit(table, out=tmp_path_factory.mktemp("runs") / "mails", max_length=MAX_LENGTH)


def answers(run: str | Path, *inputs: str | Path) -> list[Prediction]:
    return list(headstart.predict(run, list(inputs)))


def test_the_task_is_guessed_and_everything_is_recorded(fitted: Fitted) -> None:
    assert (fitted.task, fitted.base, fitted.classes) == (
        "text-classification",
        "pack:minilm-l6",
        ("spam", "wanted"),
    )
    assert {role: fitted.split[role] for role in ("train", "val", "test")} == {
        "train": 40,
        "val": 10,
        "test": 10,
    }
    assert fitted.model["preprocess"]["max_length"] == MAX_LENGTH
    saved = json.loads((Path(fitted.run) / "run.json").read_text())
    assert saved["metrics"]["accuracy"]["n"] == 10


def test_metrics_stand_beside_both_baselines(fitted: Fitted) -> None:
    assert set(fitted.baselines) == {"majority", "tfidf"}
    for figures in (fitted.metrics, *fitted.baselines.values()):
        accuracy = figures["accuracy"]
        assert accuracy.low is not None
        assert accuracy.high is not None
        assert 0 <= accuracy.low <= accuracy.value <= accuracy.high <= 1
    assert fitted.metrics["accuracy"].value > fitted.baselines["majority"]["accuracy"].value


def test_empty_texts_are_dropped_with_their_rows(fitted: Fitted) -> None:
    assert [(one.file, one.reason) for one in fitted.dropped] == [
        ("mails.csv:62", "empty text"),
        ("mails.csv:63", "empty text"),
    ]


def test_cut_texts_are_counted(fitted: Fitted) -> None:
    counts = {note.what: note.count for note in fitted.notes}
    assert 30 < counts[f"cut to {MAX_LENGTH} tokens"] <= 60


def test_texts_that_fit_are_not_said_to_be_cut(headstart_home: Path, tmp_path: Path) -> None:
    rows = [{"text": row["text"][:40], "label": row["label"]} for row in mails()]
    short = headstart.fit(write(tmp_path / "short.csv", rows), out=tmp_path / "run", max_length=64)
    assert not [note.what for note in short.notes if "cut" in note.what]


def test_a_moved_run_predicts_the_same(fitted: Fitted, table: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(fitted.run, tmp_path / "elsewhere" / "run")
    assert answers(moved, table) == answers(fitted.run, table)


def test_the_report_shows_mistakes_as_text(fitted: Fitted) -> None:
    report = (Path(fitted.run) / "report.html").read_text()
    assert "tfidf" in report
    assert "Worst mistakes" in report


def test_evaluate_leaves_out_what_was_trained_on(fitted: Fitted, table: Path, tmp_path: Path) -> None:
    run = shutil.copytree(fitted.run, tmp_path / "run")
    again = headstart.evaluate(run, table)
    assert again.metrics == fitted.metrics
    assert again.baselines == fitted.baselines
    unseen = tmp_path / "unseen" / "test"
    for row, name in zip(mails()[:8], "abcdefgh", strict=True):
        (unseen / row["label"]).mkdir(parents=True, exist_ok=True)
        (unseen / row["label"] / f"{name}.txt").write_text(row["text"] + " And more.")
    (unseen / "spam").mkdir()
    (unseen / "spam" / "one.txt").write_text("Buy now and save money, click here")
    assert headstart.evaluate(run, unseen.parent).metrics["accuracy"].n == 9


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("name", ["new.csv", "new.tsv", "new.jsonl", "new.parquet"])
def test_a_tables_rows_are_predicted(fitted: Fitted, tmp_path: Path, name: str, labelled: bool) -> None:
    texts = [row["text"] for row in mails()[::10]] + [""]
    columns = {"id": [str(n) for n in range(len(texts))], "text": texts}
    if labelled:
        columns["label"] = ["wanted"] * len(texts)
    rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    file = tmp_path / name
    if name.endswith("csv"):
        write(file, rows)
    elif name.endswith("tsv"):
        file.write_text("\n".join("\t".join(row.values()) for row in [{k: k for k in columns}, *rows]) + "\n")
    elif name.endswith("jsonl"):
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        parquet.write_table(pa.table(columns), file)
    found = answers(fitted.run, file)
    first = 1 if name.endswith(("jsonl", "parquet")) else 2
    assert [one.input for one in found] == [f"{file}:{n}" for n in range(first, first + len(texts))]
    assert found[-1].error == "empty text"
    (tmp_path / "files").mkdir()
    for place, text in enumerate(texts[:-1]):
        (tmp_path / "files" / f"{place}.txt").write_text(text)
    for one, alone in zip(found[:-1], answers(fitted.run, tmp_path / "files"), strict=True):
        assert one.prediction == alone.prediction
        assert one.scores == pytest.approx(alone.scores, abs=1e-4)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("anything\nhello there\nbye\n", 2),
        ("nr,what they wrote\n1,a long text about money and more\n2,another one\n", 2),
    ],
)
def test_a_text_column_of_any_name_is_found(
    fitted: Fitted, tmp_path: Path, content: str, expected: int
) -> None:
    (tmp_path / "t.csv").write_text(content)
    found = answers(fitted.run, tmp_path / "t.csv")
    assert len(found) == expected
    assert all(one.prediction for one in found)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("a,b\nlong text here,long text there\nlong text here,long text there\n", "no text column"),
        ("id,n\n1,2\n", "no text column"),
        ("text,x\nfine,1\nragged\n", "row 3: 1 cells"),
        ("", "is empty"),
    ],
)
def test_a_table_that_is_not_clear_is_told(
    fitted: Fitted, tmp_path: Path, content: str, complaint: str
) -> None:
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(UserError, match=complaint):
        answers(fitted.run, tmp_path / "t.csv")


def test_lines_of_standard_input(fitted: Fitted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("make money fast, click here\r\n\nlet us meet\n"))
    found = answers(fitted.run, "-")
    assert [(one.input, one.error) for one in found] == [
        ("line 1", None),
        ("line 2", "empty text"),
        ("line 3", None),
    ]
    assert found[0].scores.keys() == {"wanted", "spam"}


def folder_of_texts(folder: Path) -> Path:
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text("make money fast")
    (folder / "deep" / "0001.7c53336b37").write_text("a mail without a usual suffix")
    (folder / "deep" / "raw").write_text("a mail without any suffix")
    (folder / "empty.txt").write_text("")
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "binary").write_bytes(bytes(range(256)) * 8)
    (folder / ".hidden.txt").write_text("not for us")
    return folder


def test_texts_below_a_folder(fitted: Fitted, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = folder_of_texts(tmp_path / "in")
    with caplog.at_level("INFO"):
        found = {os.path.relpath(one.input, folder): one for one in answers(fitted.run, folder)}
    assert list(found) == ["a.txt", "binary", "deep/0001.7c53336b37", "deep/raw", "empty.txt"]
    errors = {name: one.error for name, one in found.items() if one.error}
    assert errors == {"binary": "binary file", "empty.txt": "empty file (0 bytes)"}
    assert "1 files that are no texts left out" in caplog.text


def test_very_long_very_short_and_empty_texts(fitted: Fitted, tmp_path: Path) -> None:
    words = " ".join(row["text"] for row in mails()).split()
    texts = [" ".join(words[n % len(words)] for n in range(100_000)), "a", " "]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    long, short, empty = answers(fitted.run, tmp_path / "t.jsonl")
    assert long.prediction in ("wanted", "spam")
    assert short.prediction in ("wanted", "spam")
    assert empty.error == "empty text"
    (tmp_path / "start.txt").write_text(texts[0][:4_000])  # far more than is read of it
    (start,) = answers(fitted.run, tmp_path / "start.txt")
    assert start.scores == pytest.approx(long.scores, abs=1e-4)


def test_files_and_latin_1(fitted: Fitted, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes("Größe und Straße".encode("latin-1"))
    (found,) = answers(fitted.run, tmp_path / "a")
    assert found.prediction in ("wanted", "spam")


def test_what_is_no_text_gets_a_reason(fitted: Fitted, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (found,) = answers(fitted.run, tmp_path / "pipe")
    assert found.error == "no regular file"
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="holds no text"):
        answers(fitted.run, tmp_path / "none")
    with pytest.raises(UserError, match="does not exist"):
        answers(fitted.run, tmp_path / "absent.txt")


def test_a_picture_option_is_refused(table: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--image-size"):
        headstart.fit(table, out=tmp_path / "run", image_size=64)


def test_a_picture_model_is_refused(table: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a picture model"):
        headstart.fit(table, out=tmp_path / "run", base="pack:efficientnet-lite0")


def test_the_saved_model_loads_with_transformers(fitted: Fitted) -> None:
    from headstart.core.frameworks import prepare_torch

    prepare_torch()
    from transformers import AutoModel

    model, told = AutoModel.from_pretrained(Path(fitted.run) / "model", output_loading_info=True)
    assert model.config.model_type == "bert"
    assert all(name.startswith("pooler.") for name in told["missing_keys"])
    assert not told["unexpected_keys"]


def test_a_text_goes_by_its_content(tmp_path: Path) -> None:
    from headstart.contracts import Example

    (tmp_path / "a.txt").write_text("größer\n")
    task = TextClassification()
    inside = Example(key="x", label="", path=Path("y.csv"), text="größer\n")
    assert task.content(Example(key="a", label="", path=tmp_path / "a.txt")) == task.content(inside)
    # A lone surrogate, as JSON may hold, is no reason to fail.
    assert task.content(Example(key="x", label="", path=Path("y"), text="\ud800"))
