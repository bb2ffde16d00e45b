"""The layouts of documents and summaries, their mistakes, and which task they are certain to be of."""

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from headstart.contracts import Listing
from headstart.core import plugins
from headstart.core.errors import UserError
from headstart.data import dataset
from headstart.data.read.story_files import parse
from headstart.tasks.summarization import Summarization
from headstart.tasks.text_classification import TextClassification

ARTICLE = "Rain fell on {0} all day. Rivers near {0} rose. Nobody was hurt. People of {0} stayed at home."
TOWNS = ("Ashby", "Bourne", "Corby", "Derby", "Ely", "Frome")
ROWS = [{"id": town, "article": ARTICLE.format(town), "highlights": f"Rain in {town} ."} for town in TOWNS]


def read(path: Path) -> Listing:
    return dataset.read(path, Summarization.layouts)


def certain(path: Path) -> list[str]:
    return [
        task.name for task in (TextClassification, Summarization) if dataset.layout_of(path, task.layouts)
    ]


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path)
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    return path


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet", ".csv"])
def test_cnn_dailymail_as_a_table(tmp_path: Path, suffix: str) -> None:
    found = read(write(tmp_path / f"train{suffix}", ROWS))
    first = found.splits["all"][0]
    assert (first.text, first.target, first.label) == (ARTICLE.format("Ashby"), "Rain in Ashby .", "")
    assert found.classes == ()
    told = {note.what for note in found.notes}
    assert {"read column 'article' as the document", "read column 'highlights' as the summary"} <= told
    assert certain(tmp_path / f"train{suffix}") == ["summarization"]


def test_a_folder_of_tables_has_splits(tmp_path: Path) -> None:
    for name in ("train", "validation", "test"):
        write(tmp_path / f"{name}.csv", ROWS)
    assert {name: len(part) for name, part in read(tmp_path).splits.items()} == {
        "train": 6,
        "val": 6,
        "test": 6,
    }


@pytest.mark.parametrize(
    ("renamed", "expected"),
    [
        (("document", "summary"), ["summarization"]),
        (("description", "synopsis"), ["summarization"]),
        (("text", "title"), ["summarization"]),
        (("dialogue", "headline"), ["summarization"]),
        (("abstract", "title"), ["summarization"]),
        (("highlights", "article"), []),  # the document is the shorter one
    ],
)
def test_names_tell_the_columns(tmp_path: Path, renamed: tuple[str, str], expected: list[str]) -> None:
    rows = [{renamed[0]: row["article"], renamed[1]: row["highlights"]} for row in ROWS]
    assert certain(write(tmp_path / "data.csv", rows)) == expected


def test_texts_with_labels_and_titles_are_to_be_classified(tmp_path: Path) -> None:
    rows = [
        {"text": r["article"], "title": r["highlights"], "label": "ab"[i % 2]} for i, r in enumerate(ROWS)
    ]
    assert certain(write(tmp_path / "data.csv", rows)) == ["text-classification"]
    both = [{"text": r["text"], "summary": r["title"], "label": r["label"]} for r in rows]
    assert certain(write(tmp_path / "both.csv", both)) == ["text-classification", "summarization"]


def test_what_is_empty_is_dropped_with_its_row(tmp_path: Path) -> None:
    rows = [
        *ROWS,
        {"id": "x", "article": " ", "highlights": "A"},
        {"id": "y", "article": "A", "highlights": ""},
    ]
    dropped = {one.file: one.reason for one in read(write(tmp_path / "data.csv", rows)).dropped}
    assert dropped == {"data.csv:8": "empty document", "data.csv:9": "empty summary"}


def test_a_table_without_a_summary_is_told_what_it_lacks(tmp_path: Path) -> None:
    rows = [{"id": row["id"], "article": row["article"]} for row in ROWS]
    with pytest.raises(UserError, match="no summary column"):
        read(write(tmp_path / "data.csv", rows))
    with pytest.raises(UserError, match="no document column"):
        read(write(tmp_path / "other.csv", [{"id": row["id"], "summary": "A"} for row in ROWS]))


def story(town: str) -> str:
    highlights = f"@highlight\n\nRain in {town}\n\n@highlight\n\nNobody hurt\n"
    return f"{ARTICLE.format(town)}\n\nMore of it.\n\n{highlights}"


def test_a_story_is_an_article_and_its_highlights() -> None:
    article, highlights = parse(story("Ely"))
    assert article.endswith("More of it.")
    assert highlights == "Rain in Ely\nNobody hurt"
    assert parse("No highlights here.") == ("No highlights here.", "")


def test_stories_with_lists_of_addresses(tmp_path: Path) -> None:
    folder = tmp_path / "cnn" / "stories"
    folder.mkdir(parents=True)
    (tmp_path / "url_lists").mkdir()
    for place, split in enumerate(("training", "training", "validation", "test")):
        address = f"http://example.org/{place}"
        stem = hashlib.sha1(address.encode(), usedforsecurity=False).hexdigest()
        (folder / f"{stem}.story").write_text(story(TOWNS[place]))
        with (tmp_path / "url_lists" / f"cnn_wayback_{split}_urls.txt").open("a") as file:
            file.write(address + "\n")
    (folder / "unlisted.story").write_text(story("Frome"))
    (folder / "bare.story").write_bytes(b"")
    found = read(tmp_path)
    assert {name: len(part) for name, part in found.splits.items()} == {"train": 2, "val": 1, "test": 1}
    assert [one.reason for one in found.dropped] == ["in none of the lists of addresses"] * 2
    assert certain(tmp_path) == ["summarization"]


def test_stories_without_lists_are_unsplit_and_broken_ones_listed(tmp_path: Path) -> None:
    for town in TOWNS:
        (tmp_path / f"{town}.story").write_text(story(town))
    (tmp_path / "empty.story").write_bytes(b"")
    (tmp_path / "bare.story").write_text("Only an article.")
    found = read(tmp_path)
    assert len(found.splits["all"]) == len(TOWNS)
    assert {one.file: one.reason for one in found.dropped} == {
        "bare.story": "empty summary",
        "empty.story": "empty file (0 bytes)",
    }


def bbc(path: Path) -> Path:
    for place, town in enumerate(TOWNS):
        for kind, content in (
            ("News Articles", f"Floods in {town}\n\n{ARTICLE.format(town)}"),
            ("Summaries", f"Rivers near {town} rose."),
        ):
            folder = path / kind / ("business", "sport")[place % 2]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{place:03}.txt").write_text(content)
    return path


def test_bbc_news_summary(tmp_path: Path) -> None:
    bbc(tmp_path)
    (tmp_path / "Summaries" / "sport" / "005.txt").unlink()
    (tmp_path / "Summaries" / "sport" / "999.txt").write_text("An orphan.")
    found = read(tmp_path)
    first = found.splits["all"][0]
    assert (first.key, first.title, first.target) == (
        "business/000.txt",
        "Floods in Ashby",
        "Rivers near Ashby rose.",
    )
    assert {one.file: one.reason for one in found.dropped} == {
        "sport/005.txt": "no summary of that name",
        "sport/999.txt": "a summary without its article",
    }


def test_articles_and_summaries_are_no_classes(tmp_path: Path) -> None:
    bbc(tmp_path)
    assert certain(tmp_path) == ["summarization"]
    assert certain(tmp_path / "News Articles") == ["text-classification"]


def test_every_layout_of_the_task_is_there() -> None:
    assert set(Summarization.layouts) <= set(plugins.names("layout"))


def test_data_sets_saved_by_the_library(tmp_path: Path) -> None:
    library: Any = pytest.importorskip("datasets")
    saved = library.Dataset.from_list([*ROWS, {"id": "x", "article": "A", "highlights": ""}])
    library.DatasetDict(train=saved, validation=saved).save_to_disk(tmp_path / "cnn")
    found = read(tmp_path / "cnn")
    assert found.layout == "hf-summaries"
    assert {name: len(part) for name, part in found.splits.items()} == {"train": 6, "val": 6}
    first = found.splits["train"][0]
    assert (first.key, first.text, first.target) == ("train[0]", ARTICLE.format("Ashby"), "Rain in Ashby .")
    assert [(one.file, one.reason) for one in found.dropped] == [
        ("train[6]", "empty summary"),
        ("validation[6]", "empty summary"),
    ]
    assert {"read column 'article' as the document", "columns left out"} <= {
        note.what for note in found.notes
    }
    assert certain(tmp_path / "cnn") == certain(tmp_path / "cnn" / "train") == ["summarization"]


def test_arrow_files_and_pieces_of_tables(tmp_path: Path) -> None:
    content = pa.Table.from_pylist(ROWS)
    for name, rows in (("train-00000-of-00002", content[:4]), ("train-00001-of-00002", content[4:])):
        file = tmp_path / f"cnn_dailymail-{name}.arrow"
        with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, content.schema) as stream:
            stream.write_table(rows, max_chunksize=3)
    found = read(tmp_path)
    assert (found.layout, len(found.splits["train"])) == ("summary-table", 6)
    assert certain(tmp_path) == ["summarization"]
    assert len(read(file).splits["all"]) == 2
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(UserError, match="no readable Arrow stream"):
        read(tmp_path)
