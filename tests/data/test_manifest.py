"""A manifest: what it keeps, and what it refuses."""

import os
from pathlib import Path

import pytest

from headstart.core.errors import UserError
from headstart.data import dataset, manifest
from headstart.data.manifest import Row
from tests.auditing import bad_data as bad

HEADER = "data,layout,example,split,reason\n"
LAYOUTS = ("image-table", "class-folders")


def table(root: Path, *rows: str) -> Path:
    bad.folders(root / "data")
    (root / "table.csv").write_text(HEADER + "".join(f"{row}\n" for row in rows))
    return root / "table.csv"


def named(path: str, split: str = "train", data: str = "data", layout: str = "class-folders") -> str:
    return f"{data},{layout},{path},{split},"


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    bad.folders(tmp_path / "data")
    rows = [
        ("ant/00.png", Row("train")),
        ('bee/"odd", name.png', Row("", "broken, and\nmore")),
        ("cow/00.png", Row("test")),
    ]
    file = tmp_path / "deep" / "er" / "table.csv"
    manifest.write(file, tmp_path / "data", "class-folders", rows)
    found = manifest.read(file)
    assert found.data.resolve() == (tmp_path / "data").resolve()
    assert (found.layout, list(found.rows.items())) == ("class-folders", rows)
    assert manifest.recognises(file)
    assert not os.path.isabs(file.read_text().splitlines()[1].split(",")[0])


def test_only_what_it_keeps_is_listed(tmp_path: Path) -> None:
    keys = [f"{label}/{place:02}.png" for label in ("ant", "bee") for place in range(4)]
    rows = [named(key, "test" if key.endswith("03.png") else "train") for key in keys]
    file = table(tmp_path, *rows, "data,class-folders,ant/04.png,,too dark", named("ant/99.png"))
    found = dataset.read(file, LAYOUTS)
    assert {split: [one.key for one in some] for split, some in found.splits.items()} == {
        "train": [key for key in keys if not key.endswith("03.png")],
        "test": ["ant/03.png", "bee/03.png"],
    }
    assert found.classes == ("ant", "bee")
    reasons = {one.file: one.reason for one in found.dropped}
    assert reasons["ant/04.png"] == "left out by the manifest: too dark"
    assert reasons["cow/00.png"] == "left out by the manifest: not named"
    assert len(reasons) == 24 - 8
    assert [(one.count, one.examples) for one in found.notes if "lack" in one.what] == [(1, ("ant/99.png",))]


@pytest.mark.parametrize(
    ("rows", "telling"),
    [
        ([], "has no row"),
        ([named("ant/00.png", "middle")], "row 2: the split 'middle'"),
        ([named("ant/00.png"), named("ant/00.png")], "row 3: 'ant/00.png' a second time"),
        ([named("ant/00.png"), named("ant/01.png", data="other")], "row 3: other data"),
        ([named("ant/00.png", layout="voc")], "layout 'voc'"),
        ([named("ant/00.png", "")], "keeps no example"),
        ([named("ant/00.png", data="gone")], "does not exist"),
        ([named("ant/00.png", data="table.csv")], "layout 'class-folders'"),
        (["data,class-folders,ant/00.png,train"], "4 cells"),
    ],
)
def test_a_manifest_that_cannot_be_trusted_is_refused(rows: list[str], telling: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=telling):
        dataset.read(table(tmp_path, *rows), LAYOUTS)


def test_other_tables_are_none(tmp_path: Path) -> None:
    for name, text in (
        ("a.csv", "text,label\nx,y\n"),
        ("b.tsv", HEADER),
        ("c.csv", ""),
        ("d.csv", "data,layout\n"),
    ):
        (tmp_path / name).write_text(text)
        assert not manifest.recognises(tmp_path / name)
    assert not manifest.recognises(tmp_path)
    assert not manifest.recognises(tmp_path / "none.csv")


def test_it_is_of_the_task_that_reads_its_data(tmp_path: Path) -> None:
    file = table(tmp_path, named("ant/00.png"))
    assert dataset.layout_of(file, LAYOUTS) == "class-folders"
    assert dataset.layout_of(file, ("text-folders", "text-table")) is None
