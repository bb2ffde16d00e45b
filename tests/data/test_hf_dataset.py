"""Folders as ``datasets`` 5.2 writes them, made by hand; where it is installed, it writes some too."""

import importlib
import json
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from headstart.contracts import Listing
from headstart.core import plugins
from headstart.core.errors import UserError
from headstart.data.dataset import read

LAYOUTS = ("orange-tab", "hf-dataset", "text-table", "text-folders")
STRING = {"dtype": "string", "_type": "Value"}
LABEL = {"names": ["neg", "pos"], "_type": "ClassLabel"}
COLUMNS = {"idx": [7, 8, 9], "text": ["good film", "bad film", "so so"], "label": [1, 0, 1]}
FEATURES: dict[str, Any] = {"idx": {"dtype": "int32", "_type": "Value"}, "text": STRING, "label": LABEL}


def write(
    folder: Path,
    columns: dict[str, Any] = COLUMNS,
    features: Any = FEATURES,
    shards: int = 1,
    split: Any = None,
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    size = -(-len(table) // shards)
    names = [f"data-{shard:05}-of-{shards:05}.arrow" for shard in range(shards)]
    for shard, name in enumerate(names):
        with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table.slice(shard * size, size), max_chunksize=2)
    state = {"_data_files": [{"filename": name} for name in names], "_split": split}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))
    return folder


def write_splits(root: Path, *names: str, **how: Any) -> Path:
    for name in names:
        write(root / name, **how)
    (root / "dataset_dict.json").write_text(json.dumps({"splits": list(names)}))
    return root


def texts(listing: Listing, split: str = "all") -> dict[str, tuple[str | None, str]]:
    return {example.key: (example.text, example.label) for example in listing.splits[split]}


def test_a_saved_data_set(tmp_path: Path) -> None:
    found = read(write(tmp_path / "d", shards=2), LAYOUTS)
    assert (found.layout, found.classes) == ("hf-dataset", ("neg", "pos"))
    assert texts(found) == {
        "d[0]": ("good film", "pos"),
        "d[1]": ("bad film", "neg"),
        "d[2]": ("so so", "pos"),
    }
    assert [example.path.name for example in found.splits["all"]] == [
        *("data-00000-of-00002.arrow",) * 2,
        "data-00001-of-00002.arrow",
    ]


def test_split_names_are_mapped_and_others_said(tmp_path: Path) -> None:
    found = read(write_splits(tmp_path, "train", "validation", "test", "unsupervised"), LAYOUTS)
    assert set(found.splits) == {"train", "val", "test"}
    assert set(texts(found, "val")) == {"validation[0]", "validation[1]", "validation[2]"}
    notes = {note.what: note.examples for note in found.notes}
    assert notes["split left out: it is not called train, validation or test"] == ("unsupervised",)
    assert set(read(tmp_path / "train", LAYOUTS).splits) == {"all"}
    assert set(read(write(tmp_path / "one", split="train"), LAYOUTS).splits) == {"train"}
    assert set(read(write(tmp_path / "part", split="train[:3]"), LAYOUTS).splits) == {"all"}


def test_rows_without_text_or_label_are_listed(tmp_path: Path) -> None:
    columns = {"text": ["a", "b", "c", "", None, "d"], "label": [1, -1, None, 0, 0, 0]}
    found = read(write(tmp_path / "d", columns, {"text": STRING, "label": LABEL}), LAYOUTS)
    assert {item.file: item.reason for item in found.dropped} == {
        "d[1]": "unlabelled (-1)",
        "d[2]": "unlabelled (-1)",
        "d[3]": "empty text",
        "d[4]": "empty text",
    }
    assert set(texts(found)) == {"d[0]", "d[5]"}


def test_labels_that_are_strings_or_plain_numbers(tmp_path: Path) -> None:
    strings = {"Review": ["a", "b"], "Sentiment": ["x", "y"]}
    found = read(write(tmp_path / "s", strings, dict.fromkeys(strings, STRING)), LAYOUTS)
    assert texts(found) == {"s[0]": ("a", "x"), "s[1]": ("b", "y")}
    features = {"text": STRING, "label": {"dtype": "int64", "_type": "Value"}}
    found = read(write(tmp_path / "n", {"text": ["a", "b"], "label": [-1, 10]}, features), LAYOUTS)
    assert texts(found) == {"n[0]": ("a", "-1"), "n[1]": ("b", "10")}  # without names, -1 is a class like any


def test_types_tell_what_names_do_not(tmp_path: Path) -> None:
    columns = {"premises": ["a", "b"], "stance": [0, 1], "id": [1, 2]}
    features = {"premises": STRING, "stance": LABEL, "id": {"dtype": "int64", "_type": "Value"}}
    assert read(write(tmp_path / "d", columns, features), LAYOUTS).classes == ("neg", "pos")


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"s1": STRING, "s2": STRING, "label": LABEL}, "no text column .it has 's1', 's2', 'label'"),
        ({"text": STRING, "coarse": LABEL, "fine": LABEL}, "no label column"),
        ({"text": STRING, "idx": FEATURES["idx"]}, "no label column"),
        ({"text": STRING, "label": {"dtype": "float32", "_type": "Value"}}, "holds float32 values"),
        (None, "describes no columns"),
    ],
)
def test_columns_that_do_not_fit_are_one_sentence(tmp_path: Path, features: Any, message: str) -> None:
    layout = plugins.load("layout", "hf-dataset")
    assert not layout.recognises(write(tmp_path / "d", features=features))
    with pytest.raises(UserError, match=message) as error:
        layout.read(tmp_path / "d")
    assert "\n" not in str(error.value)


def state(**changes: Any) -> str:
    return json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}], **changes})


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("state.json", "{", "cannot be read"),
        ("state.json", "[]", "holds a list"),
        ("state.json", state(_data_files=[{"filename": "../x.arrow"}]), "names '../x.arrow'"),
        ("state.json", state(_data_files=[{"filename": "/etc/passwd"}]), "names '/etc/passwd'"),
        (
            "state.json",
            state(_data_files=[{"filename": "gone.arrow"}]),
            "gone.arrow is no readable Arrow stream",
        ),
        ("state.json", state(_data_files=[]), "no example"),
        ("state.json", state(_indices_data_files=[{"filename": "i.arrow"}]), "reorders its rows"),
        ("data-00000-of-00001.arrow", "ARROW1 nonsense", "no readable Arrow stream"),
        (
            "dataset_info.json",
            json.dumps({"features": {"text": STRING, "label": {**LABEL, "names": ["a"]}}}),
            "label 1;",
        ),
        (
            "dataset_info.json",
            json.dumps({"features": {"comment": STRING, "label": LABEL}}),
            "no readable Arrow",
        ),
    ],
)
def test_a_damaged_data_set_is_one_sentence(tmp_path: Path, file: str, content: str, message: str) -> None:
    (write(tmp_path / "d") / file).write_text(content)
    with pytest.raises(UserError, match=message) as error:
        plugins.load("layout", "hf-dataset").read(tmp_path / "d")
    assert "\n" not in str(error.value)


def test_a_truncated_stream_is_no_shorter_data_set(tmp_path: Path) -> None:
    file = write(tmp_path / "d") / "data-00000-of-00001.arrow"
    file.write_bytes(file.read_bytes()[:-150])
    with pytest.raises(UserError, match="no readable Arrow stream"):
        read(tmp_path / "d", LAYOUTS)


def test_splits_that_leave_the_folder_or_clash(tmp_path: Path) -> None:
    layout = plugins.load("layout", "hf-dataset")
    write_splits(tmp_path, "val", "validation")
    with pytest.raises(UserError, match="'val' and 'validation' both name the val split"):
        layout.read(tmp_path)
    for splits in (["../val"], "val", [1]):
        (tmp_path / "dataset_dict.json").write_text(json.dumps({"splits": splits}))
        assert not layout.recognises(tmp_path)


def test_only_saved_texts_are_recognised(tmp_path: Path) -> None:
    recognises = plugins.load("layout", "hf-dataset").recognises
    assert recognises(write(tmp_path / "d"))
    pictures = {"image": {"_type": "Image"}, "label": LABEL}
    assert not recognises(write(tmp_path / "p", features=pictures))
    assert not any(map(recognises, (tmp_path, tmp_path / "d" / "state.json", tmp_path / "gone")))
    for name in ("text-folders", "class-folders", "text-table", "image-table"):
        assert not plugins.load("layout", name).recognises(write_splits(tmp_path / "dd", "train", "test"))


def test_a_large_data_set_is_read_quickly(tmp_path: Path) -> None:
    columns = {"text": [f"some words {i}" for i in range(100_000)], "label": [i % 2 for i in range(100_000)]}
    folder = write(
        tmp_path / "d", {"text": columns["text"][:1], "label": [0]}, {"text": STRING, "label": LABEL}
    )
    table = pa.table(columns)
    with (
        pa.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, table.schema) as stream,
    ):
        stream.write_table(table, max_chunksize=1_000)
    begin = time.process_time()  # of this process, whatever else the machine does
    assert len(read(folder, LAYOUTS).splits["all"]) == 100_000
    assert time.process_time() - begin < 10


def test_what_the_library_itself_writes(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    library: Any = importlib.import_module("datasets")
    features = library.Features(
        idx=library.Value("int32"),
        text=library.Value("string"),
        label=library.ClassLabel(names=["neg", "pos"]),
    )
    saved = library.Dataset.from_dict(COLUMNS, features=features)
    saved.select([2, 1, 0]).save_to_disk(tmp_path / "one", num_shards=2)
    assert texts(read(tmp_path / "one", LAYOUTS)) == {
        "one[0]": ("so so", "pos"),
        "one[1]": ("bad film", "neg"),
        "one[2]": ("good film", "pos"),
    }
    library.DatasetDict(train=saved, validation=saved).save_to_disk(tmp_path / "two")
    found = read(tmp_path / "two", LAYOUTS)
    assert {split: len(found.splits[split]) for split in found.splits} == {"train": 3, "val": 3}
