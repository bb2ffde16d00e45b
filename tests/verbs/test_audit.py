"""``headstart audit`` as people and programs use it: what it prints and writes, and that ``fit`` reads it."""

import csv
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

import headstart
from headstart.core import plugins
from headstart.data import dataset
from headstart.specs import FitSpec
from headstart.verbs.fit import read
from tests.auditing import bad_data as bad
from tests.verbs.conftest import SMALL, Call, copy_pictures, run


def spoilt(root: Path) -> Path:
    """Forty-two emoji, and one broken, one a copy, one with another label, one saved anew."""
    copy_pictures(root)
    animals = sorted((root / "animals").iterdir())
    shutil.copy(animals[0], root / "animals" / "copy.png")
    shutil.copy(animals[1], root / "vehicles" / "conflict.png")
    white = Image.new("RGB", (64, 64), "white")
    drawn = Image.open(animals[2]).convert("RGBA").resize((64, 64))
    white.paste(drawn, (0, 0), drawn)
    white.save(root / "animals" / "anew.jpg", quality=80)
    (root / "clothing" / "broken.png").write_bytes(animals[3].read_bytes()[:200])
    return root


def test_json_has_what_others_build_on(tmp_path: Path, call: Call) -> None:
    found = call("audit", spoilt(tmp_path / "data"), "--json").json
    assert (found["examples"], found["splits"], found["task"]) == (46, {"all": 46}, "image-classification")
    kinds = {one["kind"]: one for one in found["findings"]}
    assert {"unreadable", "duplicate", "label-conflict", "near-duplicate"} <= set(kinds)
    assert kinds["unreadable"]["files"] == ["clothing/broken.png"]
    assert set(found["findings"][0]) == {"kind", "severity", "files", "reason", "remedy"}
    ranks = [("error", "warning", "note").index(one["severity"]) for one in found["findings"]]
    assert ranks == sorted(ranks)
    assert "page" not in found
    assert "manifest" not in found


def test_the_table_fits_a_terminal(tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    data = spoilt(tmp_path / "data")
    long = data / "animals" / ("a_very_long_name_" * 12 + ".png")
    shutil.copy(data / "animals" / "copy.png", long)
    for columns in ("60", "100", "200"):
        monkeypatch.setenv("COLUMNS", columns)
        done = call("audit", data)
        assert done.code == 0, done.err
        table = [line for line in done.out.splitlines() if line.startswith(("│", "┃", "┡", "└"))]
        assert table
        assert max(map(len, table)) <= min(int(columns), 100)
    assert call("audit", copy_pictures(tmp_path / "clean")).out.count("reading") == 1


def test_the_data_stay_as_they_are(tmp_path: Path) -> None:
    data = spoilt(tmp_path / "data")
    before = {
        file: (file.read_bytes(), file.stat().st_mtime_ns) for file in data.rglob("*") if file.is_file()
    }
    headstart.audit(data, fix=str(tmp_path / "clean.csv"), html=str(tmp_path / "page.html"))
    assert {
        file: (file.read_bytes(), file.stat().st_mtime_ns) for file in data.rglob("*") if file.is_file()
    } == before


def test_fit_reads_what_fix_wrote(tmp_path: Path, headstart_home: Path) -> None:
    data, table = spoilt(tmp_path / "data"), tmp_path / "tables" / "clean.csv"
    audited = headstart.audit(data, fix=str(table))
    assert audited.manifest == str(table)
    done = run("fit", table, "--out", tmp_path / "run", *SMALL, "--engine", "torch", "--json").json
    left_out = {one["file"]: one["reason"] for one in done["dropped"]}
    assert left_out["clothing/broken.png"] == "left out by the manifest: truncated PNG picture"
    assert (
        left_out["vehicles/conflict.png"] == "left out by the manifest: the same content with another label"
    )
    assert len(left_out) == 4  # either copy, and both that contradict each other
    assert done["split"]["layout"] == "class-folders"
    assert sum(done["split"][role] for role in ("train", "val", "test")) == 42
    again = headstart.audit(table)
    assert [one for one in again.findings if one.severity != "note"] == []
    assert again.splits == {role: done["split"][role] for role in ("train", "val", "test")}


@pytest.mark.parametrize("name", bad.CLEAN)
def test_every_task_gets_a_split_that_its_reader_takes(name: str, tmp_path: Path) -> None:
    data, table = bad.CLEAN[name](tmp_path / "data"), tmp_path / "table.csv"
    audited = headstart.audit(data, fix=str(table))
    task = plugins.load("task", audited.task)
    before, after = (dataset.read(path, task.layouts) for path in (data, table))
    assert sum(map(len, after.splits.values())) == sum(map(len, before.splits.values()))
    assert after.classes == before.classes
    if set(before.splits) == {"all"}:
        assert set(after.splits) == {"train", "val", "test"}
        assert len(after.splits["train"]) >= 0.5 * sum(map(len, after.splits.values()))
        learnt = {label for one in before.splits["all"] for label in one.names()}
        for examples in after.splits.values():
            assert {label for one in examples for label in one.names()} == learnt
    else:
        assert {role: len(some) for role, some in after.splits.items()} == {
            role: len(some) for role, some in before.splits.items()
        }


def test_groups_and_near_duplicates_are_not_torn(tmp_path: Path) -> None:
    data = bad.split_folders(tmp_path / "data")
    bad.frames(data, lambda video, frame: f"video{video}_frame{frame:03}.png")
    Image.open(data / "train/ant/video0_frame000.png").save(
        data / "train/ant/video2_frame009.jpg", quality=60
    )
    headstart.audit(data, fix=str(tmp_path / "table.csv"))
    with (tmp_path / "table.csv").open(newline="") as file:
        split_of = {Path(row["example"]).stem: row["split"] for row in csv.DictReader(file)}
    by_video: dict[str, set[str]] = {}
    for stem, split in split_of.items():
        by_video.setdefault(stem[:6], set()).add(split)
    assert all(len(splits) == 1 for splits in by_video.values())
    assert by_video["video0"] == by_video["video2"]  # a frame of one is nearly one of the other
    assert set().union(*by_video.values()) == {"train", "val", "test"}


def test_given_splits_lose_what_training_shares_with_test(tmp_path: Path) -> None:
    data = bad.split_folders(tmp_path / "data")
    shutil.copy(data / "test/ant/50.png", data / "train/ant/copy.png")
    Image.open(data / "test/bee/50.png").save(data / "train/bee/anew.jpg", quality=60)
    headstart.audit(data, fix=str(tmp_path / "table.csv"))
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = {row["example"]: row for row in csv.DictReader(file)}
    assert {key for key, row in rows.items() if not row["split"]} == {
        "train/ant/copy.png",
        "train/bee/anew.jpg",
    }
    assert rows["train/ant/copy.png"]["reason"] == "the same content as test/ant/50.png"
    assert rows["test/ant/50.png"]["split"] == rows["test/bee/50.png"]["split"] == "test"


def test_the_page_shows_pairs_and_loads_nothing(tmp_path: Path) -> None:
    data = spoilt(tmp_path / "data")
    shutil.copy(data / "animals" / "copy.png", data / "animals" / "<script>alert(1)<.png")
    headstart.audit(data, html=str(tmp_path / "page.html"))
    page = (tmp_path / "page.html").read_text()
    assert (
        page.count('<img src="data:image/jpeg;base64,') == 3
    )  # copies, the contradiction, and one saved anew
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    assert "truncated PNG picture" in page


def test_a_corpus_is_compared_with(tmp_path: Path) -> None:
    data = bad.split_texts(tmp_path / "data")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    rows = {name: bad.rows_of(data / f"{name}.csv") for name in ("train", "test")}
    (corpus / "one.txt").write_text(rows["test"][3]["text"])
    (corpus / "two.txt").write_text(rows["test"][8]["text"] + " more")
    (corpus / "three.txt").write_text(rows["train"][3]["text"])
    (corpus / "four.txt").write_text("nothing of the data is here, only words of its own")
    audited = headstart.audit(data, against=str(corpus))
    found = {
        one.files[0]: (one.severity, Path(one.files[1]).name)
        for one in audited.findings
        if one.kind == "overlap"
    }
    assert found == {
        "test.csv:5": ("error", "one.txt"),
        "test.csv:10": ("error", "two.txt"),
        "train.csv:5": ("note", "three.txt"),
    }
    assert audited.examples == 50
    assert {one.kind for one in audited.findings} == {"overlap", "reading"}


def test_wrong_labels_are_found_by_a_head_that_has_not_seen_them(
    tmp_path: Path, headstart_home: Path
) -> None:
    data = copy_pictures(tmp_path / "data", ("animals", "smileys"), 16)
    faces = sorted((data / "smileys").glob("*face*.png"))
    faces[4].rename(data / "animals" / "zz_face.png")
    faces[7].rename(data / "animals" / "zz_face2.png")
    audited = headstart.audit(data, deep=True)
    suspects = [one.files[0] for one in audited.findings if one.kind == "label-error"]
    assert set(suspects[:4]) >= {"animals/zz_face.png", "animals/zz_face2.png"}, suspects
    first = next(one for one in audited.findings if one.files == ("animals/zz_face.png",))
    assert re.fullmatch(r"labelled 'animals' \(\d+%\), probably 'smileys' \(\d+%\)", first.reason)
    assert "label-error" in audited.checks


@pytest.mark.parametrize(
    ("words", "telling"),
    [
        (("nowhere",), "does not exist"),
        (("data", "--fix", "clean.txt"), "ends in .csv"),
        (("data", "--fix", "data/animals/bat.png"), "exists already"),
        (("data", "--html", "data/animals/bat.png"), "exists already"),
        (("data", "--against", "nowhere"), "does not exist"),
        (("data", "--task", "nothing"), "no task is called"),
        (("data/animals/bat.png",), "no table"),
    ],
)
def test_mistakes_get_one_sentence(
    words: tuple[str, ...], telling: str, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_pictures(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    done = call("audit", *words)
    assert done.code == 2
    assert telling in done.complaint


def test_fit_tells_of_torn_groups_and_doubtful_names_before_it_starts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = bad.split_folders(tmp_path / "data")
    bad.frames(data, lambda video, frame: f"video{video}_frame{frame:03}.png")
    for split in ("train", "test"):
        (data / split / "bee").rename(data / split / "none")
    caplog.set_level("INFO")
    found = read(FitSpec(data=str(data)), plugins.load("task", "image-classification"))
    counts = {one.what: one.count for one in found.notes}
    assert counts["group-leak: group 'video0' (by file name) is in test and train, and others alike"] == 6
    assert counts["12 examples are labelled 'none', which is perhaps no class"] == 1
    assert "group 'video0'" in caplog.text
    clean = bad.folders(tmp_path / "clean")
    assert read(FitSpec(data=str(clean)), plugins.load("task", "image-classification")).notes == ()


def test_a_fixed_table_is_audited_by_its_own_columns(tmp_path: Path) -> None:
    rows = [{**row, "author": f"a{number % 7}"} for number, row in enumerate(bad.text_rows(42))]
    data = bad.write_csv(tmp_path / "data" / "texts.csv", rows)
    table = tmp_path / "texts.csv"  # the same name, and its row numbers mean other things
    headstart.audit(data, fix=str(table))
    kept = {row["example"]: row["split"] for row in bad.rows_of(table)}
    authors = {rows[int(key.partition(":")[2]) - 2]["author"]: split for key, split in kept.items()}
    assert all(
        authors[rows[int(key.partition(":")[2]) - 2]["author"]] == split for key, split in kept.items()
    )
    again = headstart.audit(table)
    assert [one for one in again.findings if one.severity != "note"] == []
    assert not any("'layout'" in one.reason for one in again.findings)
