"""``audit --deep``: what a model sees and a hash does not, on either side of pairs."""

import csv
import random
from pathlib import Path

from PIL import Image, ImageOps

import headstart
from headstart.contracts import Example
from headstart.core import plugins
from headstart.core.records import Audited
from tests.auditing import bad_data as bad
from tests.verbs.conftest import copy_pictures

EMOJI = bad.ROOT / "examples" / "emoji" / "noto"
MAILS = bad.ROOT / "examples" / "mail" / "mails.csv"


def near(audited: Audited) -> dict[frozenset[str], str]:
    return {frozenset(one.files): one.reason for one in audited.findings if one.kind == "near-duplicate"}


def on_white(file: Path) -> Image.Image:
    drawn = Image.open(file).convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", drawn.size, "white"), drawn).convert("RGB")


def test_cut_pictures_are_found_and_kept_in_one_split(tmp_path: Path, headstart_home: Path) -> None:
    data = copy_pictures(tmp_path / "data")
    (first, second, *_) = sorted((data / "animals").iterdir())
    on_white(first).crop((2, 3, 61, 62)).save(data / "animals" / "cut.png")
    ImageOps.mirror(on_white(second)).crop((4, 1, 64, 61)).save(data / "animals" / "cut_mirrored.png")
    assert near(headstart.audit(data)) == {}
    table = tmp_path / "table.csv"
    found = near(headstart.audit(data, deep=True, fix=str(table)))
    pairs = [
        frozenset((f"animals/{one.name}", f"animals/{cut}.png"))
        for one, cut in ((first, "cut"), (second, "cut_mirrored"))
    ]
    assert set(found) == set(pairs)
    told = sorted(reason.partition("; ")[2] for reason in found.values())
    assert (
        "is another cut of a mirror image of" in told[1] or "is another cut of a mirror image of" in told[0]
    )
    assert all("is another cut of" in one for one in told)
    split = {row["example"]: row["split"] for row in bad.rows_of(table)}
    assert all(len({split[name] for name in pair}) == 1 for pair in pairs)


def test_of_few_pixels_no_cut_is_told(tmp_path: Path, headstart_home: Path) -> None:
    task = plugins.load("task", "image-classification")
    fingerprint = plugins.load("fingerprint", "picture")
    picture = on_white(sorted((EMOJI / "animals").iterdir())[0])
    told = []
    for side in (64, 32, 31):
        files = [tmp_path / f"{name}{side}.png" for name in ("whole", "cut")]
        picture.resize((side, side)).save(files[0])
        picture.crop((3, 3, 61, 61)).save(files[1])
        told.append(fingerprint.closely(task, *(Example(one.name, "", one) for one in files)))
    assert [one is not None for one in told] == [True, True, False]


def mails(count: int) -> list[dict[str, str]]:
    with MAILS.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    short = [one for one in rows if 40 <= len(one["text"].split()) <= 120]
    return short[:: len(short) // count][:count]  # both classes


def reworded(text: str, share: float, seed: int) -> str:
    words, generator = text.split(), random.Random(seed)
    for place in generator.sample(range(len(words)), round(len(words) * share)):
        words[place] = generator.choice(("", "indeed", words[place] + " also"))
    return " ".join(word for word in words if word)


def test_reworded_texts_are_found(tmp_path: Path, headstart_home: Path) -> None:
    rows = mails(60)
    again = [{**rows[place], "text": reworded(rows[place]["text"], 0.12, place)} for place in (8, 20, 41)]
    data = bad.write_csv(tmp_path / "mails.csv", [*rows, *again])
    before, found = near(headstart.audit(data)), near(headstart.audit(data, deep=True))
    expected = {frozenset((f"mails.csv:{a + 2}", f"mails.csv:{62 + b}")) for b, a in enumerate((8, 20, 41))}
    assert not expected & set(before)
    assert expected <= set(found)
    assert all("is another wording of" in found[pair] for pair in expected)


def test_either_side_of_pairs_is_looked_at(tmp_path: Path, headstart_home: Path) -> None:
    texts = [one["text"] for one in mails(80)]
    pairs = [{"document": a, "summary": b} for a, b in zip(texts[:40], texts[40:], strict=True)]
    pairs[1]["summary"] = reworded(pairs[0]["summary"], 0.1, 0)
    bad.write_lines(tmp_path / "data" / "train.jsonl", [pairs[0], *pairs[2:30]])
    bad.write_lines(tmp_path / "data" / "test.jsonl", [pairs[1], *pairs[30:]])
    audited = headstart.audit(tmp_path / "data", task="summarization", deep=True)
    what = "nearly the same target text in test and train, from other sources"
    assert near(audited)[frozenset(("train.jsonl:1", "test.jsonl:1"))] == what
    assert "label-error" not in audited.checks
