"""A catalogue of bad data, each kind named with file and reason; and clean sets, of which nothing is said."""

import shutil
from pathlib import Path

import pytest
from PIL import Image, ImageOps

import headstart
from headstart.core.records import Audited
from tests.auditing import bad_data as bad
from tests.auditing.bad_data import (
    Kind,
    changed,
    copied,
    cut_short,
    folders,
    link,
    moved_rows,
    opened,
    pairs,
    picture,
    put,
    saved,
    scenes,
    split_folders,
    split_texts,
    summaries,
    texts,
)

LONG = "one more example of the same class that nobody has seen before today"

PICTURES = (
    Kind(
        "truncated",
        folders,
        cut_short("ant/03.png", 400),
        "unreadable",
        "ant/03.png",
        "truncated PNG",
        "error",
    ),
    Kind("zero bytes", folders, put("ant/x.png", b""), "unreadable", "ant/x.png", "0 bytes", "error"),
    Kind("zeros", folders, put("ant/x.png", b"\0" * 900), "unreadable", "ant/x.png", "zero bytes", "error"),
    Kind(
        "html",
        folders,
        put("ant/x.jpg", "<!doctype html><p>404"),
        "unreadable",
        "ant/x.jpg",
        "HTML page",
        "error",
    ),
    Kind(
        "text", folders, put("ant/x.png", "no picture"), "unreadable", "ant/x.png", "looks like text", "error"
    ),
    Kind(
        "lfs",
        folders,
        put("ant/x.png", "version https://git-lfs.github.com/spec/v1"),
        "unreadable",
        "ant/x.png",
        "Git LFS pointer",
        "error",
    ),
    Kind(
        "heic",
        folders,
        put("ant/x.jpg", b"\0\0\0\x18ftypheic" + b"\0" * 99),
        "unreadable",
        "ant/x.jpg",
        "HEIC",
    ),
    Kind("pdf", folders, put("ant/x.jpg", "%PDF-1.7"), "unreadable", "ant/x.jpg", "PDF document"),
    Kind(
        "animated",
        folders,
        put("ant/x.gif", bad.gif(3)),
        "unreadable",
        "ant/x.gif",
        "animated, 3 frames",
        "error",
    ),
    Kind("bomb", folders, put("ant/x.png", bad.bomb()), "unreadable", "ant/x.png", "megapixels", "error"),
    Kind(
        "broken chunk",
        folders,
        lambda root: (root / "ant/x.png").write_bytes(
            (root / "ant/00.png").read_bytes().replace(b"IDAT", b"IDAX")
        ),
        "unreadable",
        "ant/x.png",
        "PNG picture",
    ),
    Kind(
        "cmyk", folders, saved("ant/x.jpg", lambda _: picture(1, mode="CMYK")), "reading", "ant/x.jpg", "CMYK"
    ),
    Kind(
        "16 bit",
        folders,
        saved("ant/x.png", lambda _: Image.new("I;16", (40, 40), 900)),
        "reading",
        "ant/x.png",
        "16-bit values",
    ),
    Kind(
        "alpha",
        folders,
        saved("ant/x.png", lambda _: Image.merge("RGBA", (*picture(1).split(), picture(2, mode="L")))),
        "reading",
        "ant/x.png",
        "transparency",
    ),
    Kind(
        "exif",
        folders,
        saved("ant/x.jpg", lambda _: picture(1), exif=bad.turned()),
        "reading",
        "ant/x.jpg",
        "upright",
    ),
    Kind(
        "one colour",
        folders,
        saved("ant/x.png", lambda _: Image.new("RGB", (40, 40), "red")),
        "empty",
        "ant/x.png",
        "one colour",
        "warning",
    ),
    Kind(
        "tiny",
        folders,
        saved("ant/x.png", lambda _: picture(1, 6)),
        "length",
        "ant/x.png",
        "16 pixels",
        "warning",
    ),
    Kind(
        "copy",
        folders,
        copied("ant/00.png", "ant/x.png"),
        "duplicate",
        "ant/x.png",
        "the same content 2",
        "warning",
    ),
    Kind(
        "copy across splits",
        split_folders,
        copied("train/ant/00.png", "test/ant/x.png"),
        "duplicate",
        "test/ant/x.png",
        "in test and train",
        "error",
    ),
    Kind(
        "copy within train",
        split_folders,
        copied("train/ant/00.png", "train/ant/x.png"),
        "duplicate",
        "train/ant/x.png",
        "within train",
        "note",
    ),
    Kind(
        "copy with another label",
        folders,
        copied("ant/00.png", "bee/x.png"),
        "label-conflict",
        "bee/x.png",
        "labelled 'ant' and 'bee'",
        "error",
    ),
    Kind(
        "saved anew",
        split_folders,
        saved("test/ant/x.jpg", opened("train/ant/00.png"), quality=50),
        "near-duplicate",
        "test/ant/x.jpg",
        "in test and train",
        "warning",
    ),
    Kind(
        "resized",
        split_folders,
        saved("test/ant/x.png", lambda root: opened("train/ant/00.png")(root).resize((96, 96))),
        "near-duplicate",
        "test/ant/x.png",
        "in test and train",
        "warning",
    ),
    Kind(
        "lighter",
        folders,
        saved("ant/x.png", lambda root: opened("ant/00.png")(root).point(lambda v: v * 0.8 + 40)),
        "near-duplicate",
        "ant/x.png",
        "likeness",
        "warning",
    ),
    Kind(
        "mirrored",
        split_folders,
        saved("test/ant/x.jpg", lambda root: ImageOps.mirror(opened("train/ant/00.png")(root)), quality=80),
        "near-duplicate",
        "test/ant/x.jpg",
        "test/ant/x.jpg is a mirror image of train/ant/00.png",
        "warning",
    ),
    Kind(
        "turned",
        folders,
        saved("ant/x.png", lambda root: opened("ant/00.png")(root).rotate(90)),
        "near-duplicate",
        "ant/x.png",
        "ant/x.png is a turned image of ant/00.png",
        "warning",
    ),
    Kind(
        "saved anew with another label",
        folders,
        saved("bee/x.jpg", opened("ant/00.png"), quality=60),
        "near-duplicate",
        "bee/x.jpg",
        "labelled 'ant' and 'bee'",
        "warning",
    ),
    Kind("broken link", folders, link("nowhere.png", "ant/x.png"), "left-out", "ant/x.png", "broken link"),
    Kind("link in a circle", folders, link("ant", "ant/again"), "left-out", "ant/again", "leads to a folder"),
    Kind(
        "pipe",
        folders,
        lambda root: bad.os.mkfifo(root / "ant/x.png"),
        "left-out",
        "ant/x.png",
        "not a regular file",
    ),
    Kind(
        "no class folder",
        folders,
        copied("ant/00.png", "x.png"),
        "left-out",
        "x.png",
        "no class folder",
        "warning",
    ),
    Kind(
        "notes beside",
        folders,
        put("ant/notes.md", "# notes"),
        "left-out",
        "notes.md",
        "not a picture",
        "note",
    ),
    Kind("hidden", folders, put("ant/.DS_Store", b"\0"), "reading", ".DS_Store", "hidden files"),
    Kind(
        "empty class",
        folders,
        lambda root: (root / "yak").mkdir(),
        "reading",
        "yak",
        "class without examples",
    ),
    Kind(
        "two spellings of Unicode",
        folders,
        lambda root: [shutil.copytree(root / "ant", root / name) for name in ("caf\u00e9", "cafe\u0301")],
        "reading",
        "caf\u00e9",
        "Unicode form",
    ),
    Kind(
        "missing from test",
        split_folders,
        lambda root: shutil.rmtree(root / "test/bee"),
        "classes",
        "",
        "class 'bee' of train is missing from test",
        "warning",
    ),
    Kind(
        "unseen class",
        split_folders,
        lambda root: (root / "test/bee").rename(root / "test/yak"),
        "classes",
        "",
        "class 'yak' of test is missing from train: it cannot be learnt",
        "error",
    ),
    Kind(
        "unseen classes alone",
        split_folders,
        lambda root: [(root / "test" / name).rename(root / f"test/new {name}") for name in ("ant", "bee")],
        "layout",
        "",
        "test split has only classes that the train split lacks: 'new ant'",
        "error",
    ),
    Kind(
        "single class",
        folders,
        lambda root: [shutil.rmtree(root / name) for name in ("bee", "cow")],
        "layout",
        "",
        "single class, 'ant'",
        "error",
    ),
    Kind(
        "letter case",
        folders,
        lambda root: shutil.copytree(root / "ant", root / "Ant"),
        "layout",
        "",
        "differ only in letter case",
        "error",
    ),
    Kind(
        "marks",
        folders,
        lambda root: (
            shutil.copytree(root / "ant", root / "hot dog"),
            shutil.copytree(root / "bee", root / "hot_dog"),
        ),
        "class-name",
        "",
        "'hot dog' and 'hot_dog'",
        "warning",
    ),
    Kind(
        "label nan",
        folders,
        lambda root: (root / "cow").rename(root / "NaN"),
        "class-name",
        "",
        "'NaN'",
        "warning",
    ),
    Kind(
        "few of a class",
        folders,
        lambda root: bad.every(root, Path.unlink, "cow/0[2-9].png"),
        "classes",
        "",
        "'cow' has only 2",
        "warning",
    ),
    Kind(
        "lopsided",
        folders,
        lambda root: [picture(n).save(root / f"ant/n{n}.png") for n in range(4000, 4080)],
        "classes",
        "",
        "88 of 'ant' and 8 of",
        "note",
    ),
    Kind(
        "format tells",
        split_folders,
        lambda root: bad.every(root, bad.as_jpeg, "*/bee/*.png"),
        "label-leak",
        "",
        "",
    ),
    Kind(
        "size tells",
        split_folders,
        lambda root: bad.every(root, bad.resized(32), "*/bee/*.png"),
        "label-leak",
        "",
        "size tells the class",
        "warning",
    ),
    Kind(
        "names tell",
        split_folders,
        lambda root: [
            f.rename(f.with_name(f"{f.parent.name}_{f.name}")) for f in sorted(root.glob("*/*/*.png"))
        ],
        "label-leak",
        "ant_00.png",
        "names tell the class",
        "note",
    ),
    Kind(
        "frames of videos",
        split_folders,
        lambda root: bad.frames(root, lambda v, f: f"video{v}_frame{f:03}.png"),
        "group-leak",
        "video0_frame000.png",
        "group 'video0'",
        "warning",
    ),
    Kind(
        "slices of patients",
        split_folders,
        lambda root: bad.frames(root, lambda v, f: f"p{v}-slice-{f}.png"),
        "group-leak",
        "p0-slice-0.png",
        "group 'p0'",
        "warning",
    ),
)

TABLES = (
    Kind(
        "empty text",
        texts,
        changed("texts.csv", lambda r: r.append({"text": "", "label": "good"})),
        "left-out",
        "texts.csv:32",
        "empty text",
        "warning",
    ),
    Kind(
        "empty label",
        texts,
        changed("texts.csv", lambda r: r.append({"text": LONG, "label": ""})),
        "left-out",
        "texts.csv:32",
        "empty label",
        "warning",
    ),
    Kind(
        "label null",
        texts,
        changed(
            "texts.csv", lambda r: [r.append({"text": f"{LONG} {n}", "label": "null"}) for n in range(5)]
        ),
        "class-name",
        "",
        "'null'",
        "warning",
    ),
    Kind(
        "ragged row",
        texts,
        lambda file: file.write_text(file.read_text() + "a,b,c\n"),
        "layout",
        "",
        "row 32: 3 cells",
        "error",
    ),
    Kind(
        "nul byte",
        texts,
        lambda file: file.write_text(file.read_text() + "a\0b,good\n"),
        "layout",
        "",
        "NUL byte",
        "error",
    ),
    Kind(
        "header twice",
        texts,
        lambda file: file.write_text(file.read_text().replace("text,label", "text,label,label", 1)),
        "layout",
        "",
        "columns named 'label'",
        "error",
    ),
    Kind(
        "open quote",
        texts,
        lambda file: file.write_text(file.read_text() + '"never closed,good\n'),
        "layout",
        "",
        "row 32",
        "error",
    ),
    Kind(
        "windows-1252",
        texts,
        lambda file: file.write_bytes(file.read_bytes() + "caf\u00e9 au lait,good\n".encode("cp1252")),
        "reading",
        "texts.csv",
        "Windows-1252",
    ),
    Kind(
        "copy of a text",
        texts,
        changed("texts.csv", lambda r: r.append(dict(r[4]))),
        "duplicate",
        "texts.csv:32",
        "the same content 2 times",
        "warning",
    ),
    Kind(
        "text across splits",
        split_texts,
        moved_rows("train.csv", 3, "test.csv"),
        "duplicate",
        "test.csv:22",
        "in test and train",
        "error",
    ),
    Kind(
        "text with another label",
        texts,
        changed("texts.csv", lambda r: r.append({**r[4], "label": "poor"})),
        "label-conflict",
        "texts.csv:32",
        "'good' and 'poor'",
        "error",
    ),
    Kind(
        "a word changed",
        split_texts,
        lambda root: moved_rows(
            "train.csv", 9, "test.csv", text=bad.rows_of(root / "train.csv")[9]["text"] + " baker"
        )(root),
        "near-duplicate",
        "test.csv:22",
        "in test and train",
        "warning",
    ),
    Kind(
        "other case and marks",
        split_texts,
        lambda root: moved_rows(
            "train.csv", 9, "test.csv", text=bad.rows_of(root / "train.csv")[9]["text"].upper() + "!!"
        )(root),
        "near-duplicate",
        "test.csv:22",
        "likeness 1.00",
        "warning",
    ),
    Kind(
        "text says its label",
        texts,
        changed("texts.csv", lambda r: [one.update(text=f"{one['text']} {one['label']}") for one in r]),
        "label-leak",
        "texts.csv:2",
        "30 of 30 texts name their own class",
        "error",
    ),
    Kind(
        "texts cut",
        texts,
        changed("texts.csv", lambda r: [one.update(text=(one["text"] * 3)[:120]) for one in r[:9]]),
        "length",
        "texts.csv:2",
        "9 texts end at exactly 120 characters",
        "warning",
    ),
    Kind(
        "one word",
        texts,
        changed("texts.csv", lambda r: r[5].update(text="indeed")),
        "length",
        "texts.csv:7",
        "a single word",
        "warning",
    ),
    Kind(
        "marks alone",
        texts,
        changed("texts.csv", lambda r: r[5].update(text="?!?")),
        "empty",
        "texts.csv:7",
        "no word",
        "warning",
    ),
    Kind(
        "replacement character",
        texts,
        changed("texts.csv", lambda r: r[5].update(text=f"{LONG} caf\ufffd")),
        "reading",
        "texts.csv:7",
        "U+FFFD",
    ),
    Kind(
        "decoded wrongly",
        texts,
        changed("texts.csv", lambda r: r[5].update(text=f"{LONG} caf\u00c3\u00a9")),
        "reading",
        "texts.csv:7",
        "UTF-8 was read as another",
    ),
    Kind(
        "control characters",
        texts,
        changed("texts.csv", lambda r: r[5].update(text=f"{LONG} \x07")),
        "reading",
        "texts.csv:7",
        "control characters",
    ),
    Kind(
        "authors across splits",
        texts,
        changed(
            "texts.csv",
            lambda r: [
                one.update(author=f"a{n % 7}", split=("train", "test")[n % 5 == 0]) for n, one in enumerate(r)
            ],
        ),
        "group-leak",
        "texts.csv:2",
        "group 'a0' (column",
        "warning",
    ),
    Kind(
        "authors, not split",
        texts,
        changed("texts.csv", lambda r: [one.update(author=f"a{n % 7}") for n, one in enumerate(r)]),
        "group-leak",
        "texts.csv:2",
        "7 groups (column 'author')",
        "warning",
    ),
    Kind(
        "constant column",
        texts,
        changed("texts.csv", lambda r: [one.update(origin="web") for one in r]),
        "constant-column",
        "",
        "column 'origin' is 'web' in 30 of 30",
        "note",
    ),
    Kind(
        "column tells the label",
        texts,
        changed("texts.csv", lambda r: [one.update(stars="51"[one["label"] == "poor"]) for one in r]),
        "label-leak",
        "",
        "column 'stars' tells the label",
        "note",
    ),
    Kind(
        "other shares in test",
        split_texts,
        changed(
            "test.csv",
            lambda r: r.extend({"text": bad.sentence(8000 + n), "label": "good"} for n in range(80)),
        ),
        "classes",
        "",
        "shares in test are unlike",
        "warning",
    ),
    Kind(
        "broken JSON",
        summaries,
        lambda root: (root / "train.jsonl").write_text((root / "train.jsonl").read_text() + '{"document": '),
        "layout",
        "",
        "row 15",
        "error",
    ),
    Kind(
        "empty summary",
        summaries,
        changed("train.jsonl", lambda r: r[2].update(summary="")),
        "left-out",
        "train.jsonl:3",
        "empty summary",
        "warning",
    ),
    Kind(
        "document across splits",
        summaries,
        moved_rows("train.jsonl", 1, "test.jsonl"),
        "duplicate",
        "test.jsonl:7",
        "in test and train",
        "error",
    ),
    Kind(
        "document with another summary",
        summaries,
        moved_rows("train.jsonl", 1, "train.jsonl", summary=LONG),
        "label-conflict",
        "train.jsonl:15",
        "different texts",
        "note",
    ),
    Kind(
        "summary across splits",
        summaries,
        lambda root: changed(
            "test.jsonl", lambda r: r[0].update(summary=bad.rows_of(root / "train.jsonl")[1]["summary"])
        )(root),
        "near-duplicate",
        "test.jsonl:1",
        "same target text",
        "note",
    ),
    Kind(
        "swapped",
        pairs,
        changed("train.jsonl", lambda r: r[7].update(en=r[7]["fr"], fr=r[7]["en"])),
        "language",
        "train.jsonl:8",
        "swapped",
        "warning",
    ),
    Kind(
        "not translated",
        pairs,
        changed("train.jsonl", lambda r: r[7].update(fr=r[7]["en"])),
        "language",
        "train.jsonl:8",
        "source again",
        "warning",
    ),
    Kind(
        "wrong side",
        pairs,
        changed("train.jsonl", lambda r: r[7].update(fr=r[40]["en"])),
        "language",
        "train.jsonl:8",
        "the target looks like en",
        "warning",
    ),
    Kind(
        "empty target",
        pairs,
        changed("train.jsonl", lambda r: r[7].update(fr=" ")),
        "left-out",
        "train.jsonl:8",
        "empty target",
        "warning",
    ),
    Kind(
        "much longer",
        pairs,
        changed("train.jsonl", lambda r: r[7].update(fr=" ".join([r[7]["fr"]] * 6))),
        "reading",
        "train.jsonl:8",
        "times as long as the source",
    ),
    Kind(
        "pair across splits",
        pairs,
        moved_rows("train.jsonl", 7, "test.jsonl"),
        "duplicate",
        "test.jsonl",
        "in test and train",
        "error",
    ),
)

MASKS = (
    Kind(
        "mask of another size",
        scenes,
        saved("masks/03.png", lambda _: Image.new("L", (20, 20))),
        "left-out",
        "images/03.png",
        "mask of 20 x 20 pixels",
        "warning",
    ),
    Kind(
        "no mask",
        scenes,
        lambda root: (root / "masks/03.png").unlink(),
        "left-out",
        "images/03.png",
        "without a mask",
        "warning",
    ),
    Kind(
        "no picture",
        scenes,
        lambda root: (root / "images/03.png").unlink(),
        "left-out",
        "masks/03.png",
        "without a picture",
        "warning",
    ),
    Kind(
        "unknown value",
        scenes,
        saved("masks/03.png", lambda _: Image.new("L", (48, 48), 9)),
        "left-out",
        "images/03.png",
        "no known class: 9",
        "warning",
    ),
    Kind(
        "broken mask", scenes, cut_short("masks/03.png", 60), "left-out", "images/03.png", "mask", "warning"
    ),
    Kind(
        "JPEG mask",
        scenes,
        lambda root: bad.as_jpeg(root / "masks/03.png"),
        "left-out",
        "images/03.png",
        "JPEG mask",
        "warning",
    ),
    Kind(
        "ignored mask",
        scenes,
        saved("masks/03.png", lambda _: Image.new("L", (48, 48), 255)),
        "left-out",
        "images/03.png",
        "every pixel of the mask is ignored",
        "warning",
    ),
    Kind(
        "mask of one class",
        scenes,
        saved("masks/03.png", lambda _: Image.new("L", (48, 48), 1)),
        "mask",
        "images/03.png",
        "a single class",
        "note",
    ),
    Kind(
        "mostly ignored",
        scenes,
        saved(
            "masks/03.png",
            lambda _: bad.Image.fromarray(
                bad.np.pad(bad.np.ones((9, 9), bad.np.uint8), (0, 39), constant_values=255)
            ),
        ),
        "mask",
        "images/03.png",
        "over 90% of the mask",
        "warning",
    ),
    Kind("hardly a pixel", scenes, bad.lone_pixel, "mask", "", "'bird' has 1 pixels", "warning"),
    Kind(
        "broken picture",
        scenes,
        cut_short("images/03.png", 300),
        "left-out",
        "images/03.png",
        "broken picture",
        "warning",
    ),
    Kind(
        "same picture, other mask",
        scenes,
        lambda root: (
            shutil.copy(root / "images/03.png", root / "images/x.png"),
            shutil.copy(root / "masks/04.png", root / "masks/x.png"),
        ),
        "label-conflict",
        "images/x.png",
        "different answers",
        "error",
    ),
)
KINDS = (*PICTURES, *TABLES, *MASKS)


def findings(audited: Audited, kind: Kind) -> list[str]:
    return [
        f"{one.severity} {one.kind} {one.files}: {one.reason}"
        for one in audited.findings
        if one.kind == kind.kind
        and (not kind.file or any(kind.file in file for file in one.files))
        and kind.reason in one.reason
        and kind.severity in (one.severity, "")
    ]


@pytest.mark.parametrize("kind", KINDS, ids=[one.name for one in KINDS])
def test_each_kind_of_bad_data_is_named_with_file_and_reason(kind: Kind, tmp_path: Path) -> None:
    data = kind.clean(tmp_path / "data")
    kind.spoil(data)
    audited = headstart.audit(data)
    assert findings(audited, kind), [
        f"{f.severity} {f.kind} {f.files[:3]} {f.reason}" for f in audited.findings
    ]
    assert all(one.remedy and one.reason for one in audited.findings)


def test_the_catalogue_has_sixty_kinds() -> None:
    assert len({one.name for one in KINDS}) == len(KINDS) >= 60


def test_a_stray_broken_table_stops_nothing(tmp_path: Path) -> None:
    data = bad.split_folders(tmp_path / "data")
    (data / "notes.csv").write_text("a,b\n1,2,3\n")
    audited = headstart.audit(data)
    assert audited.examples == 24
    assert {one.files for one in audited.findings} == {("notes.csv",)}


@pytest.mark.parametrize("name", bad.CLEAN)
def test_nothing_is_said_of_clean_data(name: str, tmp_path: Path) -> None:
    audited = headstart.audit(bad.CLEAN[name](tmp_path / "data"))
    assert [one for one in audited.findings if one.severity != "note"] == []


@pytest.mark.parametrize("example", ["emoji/noto", "emoji/fluent"])
def test_nothing_is_said_of_the_examples(example: str) -> None:
    audited = headstart.audit(bad.ROOT / "examples" / example)
    assert {one.kind for one in audited.findings} <= {"reading"}
