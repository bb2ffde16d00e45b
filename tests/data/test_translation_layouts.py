"""The layouts of texts with their translations: what belongs together, which way, and what is refused."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from headstart.contracts import Listing
from headstart.core import plugins
from headstart.core.errors import UserError
from headstart.data import dataset
from headstart.data.split import arrange

EN = ("The house is old.", "It rains.", "Nobody was hurt.", "We go home.")
FR = ("La maison est vieille.", "Il pleut.", "Personne n'a été blessé.", "Nous rentrons.")
VI = ("Ngôi nhà cũ.", "Trời mưa.", "Không ai bị thương.", "Chúng tôi về nhà.")
LAYOUTS = plugins.load("task", "translation").layouts


def read(path: Path, source: str = "", target: str = "") -> Listing:
    return dataset.read(path, LAYOUTS, (source, target))


def sides(found: Listing, split: str = "all") -> list[tuple[str | None, str | None]]:
    return [(example.text, example.target) for example in found.splits[split]]


def told(found: Listing) -> dict[str, int]:
    return {note.what: note.count for note in found.notes}


def certain(path: Path) -> list[str]:
    """Return the tasks whose layouts recognise a path."""
    return [
        name for name in plugins.names("task") if dataset.layout_of(path, plugins.load("task", name).layouts)
    ]


def write(folder: Path, **sentences: Sequence[str]) -> Path:
    """Write files of a sentence a line; ``__`` stands for ``.`` and ``_`` for ``-`` in their names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in sentences.items():
        file = folder / name.replace("__", ".").replace("_", "-")
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder


def sgm(kind: str, lines: Sequence[str], language: str = "any") -> str:
    """Return a set of two documents as WMT publishes it."""
    segments = [f'<seg id="{number}"> {line} </seg>' for number, line in enumerate(lines, 1)]
    half = len(lines) // 2
    documents = [
        f'<doc sysid="ref" docid="{name}" genre="news" origlang="en">\n<p>\n{inner}\n</p>\n</doc>'
        for name, inner in (("b/1", "\n".join(segments[:half])), ("a/2", "\n".join(segments[half:])))
    ]
    inside = "\n".join(documents)
    return f'<{kind}set setid="newstest2013" srclang="{language}" trglang="en">\n{inside}\n</{kind}set>\n'


def wmt(path: Path) -> Path:
    write(path / "training", europarl_v7__fr_en__en=EN, europarl_v7__fr_en__fr=FR)
    dev = path / "dev"
    dev.mkdir()
    for year, lines in (("2012", EN[:2]), ("2013", EN)):
        for language, content in (("en", lines), ("fr", FR[: len(lines)]), ("de", ["x"] * len(lines))):
            for kind, role in (("src", "src"), ("ref", "ref")):
                (dev / f"newstest{year}-{role}.{language}.sgm").write_text(sgm(kind, content), "utf-8")
            write(dev, **{f"newstest{year}__{language}": content})
    return path


def test_wmt14_as_published(tmp_path: Path) -> None:
    found = read(wmt(tmp_path))
    assert (found.layout, found.languages) == ("wmt14", ("fr", "en"))  # as europarl-v7.fr-en says
    assert sides(found, "train") == list(zip(FR, EN, strict=True))
    assert {name: len(part) for name, part in found.splits.items()} == {"train": 4, "val": 2, "test": 4}
    assert [example.key for example in found.splits["test"]] == [
        "dev/newstest2013:a/2:3",
        "dev/newstest2013:a/2:4",
        "dev/newstest2013:b/1:1",
        "dev/newstest2013:b/1:2",
    ]
    assert dict(sides(found, "test")) == dict(zip(FR, EN, strict=True))
    assert told(found)["other files of the same text left out"] == 8  # plain lines, and the other roles
    assert told(found)["files in other languages left out"] == 6
    assert found.splits["train"][0].language == "en"
    assert certain(tmp_path) == ["translation"]


def test_the_user_turns_the_direction(tmp_path: Path) -> None:
    wmt(tmp_path)
    assert sides(read(tmp_path, "en"), "train") == list(zip(EN, FR, strict=True))
    assert read(tmp_path, target="fra").languages == ("en", "fr")
    assert read(tmp_path / "dev", "en", "deu").languages == ("en", "de")
    with pytest.raises(
        UserError, match=r"has 3 languages .de, en, fr.; expected one direction; give --source"
    ):
        read(tmp_path / "dev")
    with pytest.raises(
        UserError, match=r"several languages besides en .de, en, fr.*give --target-language de"
    ):
        read(tmp_path / "dev", "en")
    with pytest.raises(UserError, match=r"has no es .it has de, en, fr"):
        read(tmp_path / "dev", "en", "es")


def test_segments_are_paired_by_document_and_number(tmp_path: Path) -> None:
    source, target = sgm("src", EN), sgm("ref", FR)
    turned = target.replace('"b/1"', '"c"').replace('"a/2"', '"b/1"').replace('"c"', '"a/2"')
    (tmp_path / "set-src.en.sgm").write_text(source)
    (tmp_path / "set-ref.fr.sgm").write_text(turned)
    with pytest.raises(UserError, match=r"set-src.en.sgm has segment .* and set-ref.fr.sgm has not"):
        read(tmp_path)
    (tmp_path / "set-ref.fr.sgm").write_text(sgm("ref", [*FR, "Cinq."]))
    with pytest.raises(UserError, match=r"has 4 segments and set-ref.fr.sgm 5; expected a translation"):
        read(tmp_path)
    (tmp_path / "set-ref.fr.sgm").write_text(target)
    assert read(tmp_path).languages == ("en", "fr")  # the roles say so


def test_marked_text_is_read_without_a_parser(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE srcset [<!ENTITY a "ha"><!ENTITY b "&a;&a;"><!ENTITY c SYSTEM "file:///etc/passwd">]>\n'
    lines = ("A &amp; B &lt;b&gt; &#233; &#x2019;", "&b; &c; &nbsp;", "R&D < 3 and > 2", "two\n  lines")
    (tmp_path / "set-src.en.sgm").write_text(bomb + sgm("src", lines))
    (tmp_path / "set-ref.fr.sgm").write_text(sgm("ref", FR))
    found = {example.text for example in read(tmp_path).splits["all"]}
    assert found == {"A & B <b> é ’", "&b; &c; &nbsp;", "R&D < 3 and > 2", "two lines"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '<srcset><doc docid="a"><seg id="1">one<seg id="2">two</seg></doc></srcset>',
            "line 1: <seg> inside",
        ),
        ('<srcset><doc docid="a"><seg id="1">one</doc></srcset>', "line 1: </doc> inside segment a:1"),
        ('<srcset><doc docid="a"><seg id="1">one', "ends inside segment a:1"),
        ("<srcset></srcset>", "has no <seg> in it"),
        (" \n", "is empty"),
        ("\0\0\0\0", "binary file"),
    ],
)
def test_a_broken_set_is_one_sentence(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "set-src.en.sgm").write_text(content)
    (tmp_path / "set-ref.fr.sgm").write_text(sgm("ref", FR))
    with pytest.raises(UserError, match=message) as error:
        read(tmp_path)
    assert "\n" not in str(error.value)


def test_several_references_of_a_set(tmp_path: Path) -> None:
    (tmp_path / "set-src.en.sgm").write_text(sgm("src", EN))
    (tmp_path / "set-ref.fr.sgm").write_text(sgm("ref", FR) + sgm("ref", [f"Ou : {line}" for line in FR]))
    found = read(tmp_path)
    assert dict(sides(found)) == dict(zip(EN, FR, strict=True))
    assert told(found)["further references of a segment left out"] == 4


def iwslt(path: Path) -> Path:
    tags = ("<url>http://x</url>", "<title>Home</title>", "<talkid>1</talkid>")
    write(
        path,
        train__tags__en_vi__en=(*tags, *EN),
        train__tags__en_vi__vi=(*tags, "<reviewer>R</reviewer>", *VI),
    )
    for name, lines in (("tst2012", EN[:3]), ("tst2013", EN[1:])):
        for language, content in (("en", lines), ("vi", VI[: len(lines)])):
            segments = "\n".join(f'<seg id="{n}"> {line} </seg>' for n, line in enumerate(content, 1))
            (path / f"IWSLT15.TED.{name}.en-vi.{language}.xml").write_text(
                f'<?xml version="1.0" encoding="UTF-8"?>\n<mteval>\n<srcset setid="{name}">\n'
                f'<doc docid="535" genre="lectures">\n<title>A title</title>\n{segments}\n</doc>\n'
                "</srcset>\n</mteval>\n",
                "utf-8",
            )
    return path


def test_iwslt15_in_tags_and_xml(tmp_path: Path) -> None:
    found = read(iwslt(tmp_path / "data"))
    assert (found.layout, found.languages) == ("iwslt15", ("en", "vi"))
    assert sides(found, "train") == list(zip(EN, VI, strict=True))
    assert {name: len(part) for name, part in found.splits.items()} == {"train": 4, "val": 3, "test": 3}
    assert found.splits["test"][0].key == "IWSLT15.TED.tst2013.en-vi:535:1"
    left_out = {what: count for what, count in told(found).items() if what.startswith("lines that are tags")}
    assert left_out == {
        "lines that are tags left out: <url>": 2,
        "lines that are tags left out: <title>": 2,
        "lines that are tags left out: <talkid>": 2,
        "lines that are tags left out: <reviewer>": 1,
    }
    assert certain(tmp_path / "data") == ["translation"]


def test_iwslt15_in_plain_lines(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "iwslt15.en-vi",
        **{
            f"{name}__{code}": lines
            for name in ("train", "tst2012", "tst2013")
            for code, lines in (("en", EN), ("vi", VI))
        },
        vocab__en=("the", "a"),
        vocab__vi=("nhà",),
        dict__en_vi=("house nhà",),
    )
    found = read(folder)
    assert (found.layout, found.languages) == ("iwslt15", ("en", "vi"))  # as the folder is called
    assert {name: len(part) for name, part in found.splits.items()} == {"train": 4, "val": 4, "test": 4}
    assert {one.file for one in found.dropped} == {"vocab.en", "vocab.vi", "dict.en-vi"}
    folder.rename(tmp_path / "talks")
    with pytest.raises(
        UserError, match=r"has en, vi, and nothing says which is translated.*--source-language en"
    ):
        read(tmp_path / "talks")
    assert read(tmp_path / "talks", "vi").languages == ("vi", "en")


def test_moses_pairs(tmp_path: Path) -> None:
    (tmp_path / "README").write_text("A corpus.")
    folder = write(tmp_path, corpus__en_fr__en=EN, corpus__en_fr__fr=FR, corpus__de_en__en=EN)
    found = read(folder)
    assert (found.layout, found.languages, set(found.splits)) == ("parallel-lines", ("en", "fr"), {"all"})
    assert [example.key for example in found.splits["all"]] == [f"corpus.en-fr:{n}" for n in range(1, 5)]
    assert {one.file: one.reason for one in found.dropped} == {
        "README": "no side of a translation, by its name",
        "corpus.de-en.en": "no file of the same text in the other language",
    }
    alone = read(folder / "corpus.en-fr.fr")
    assert sides(alone) == list(zip(EN, FR, strict=True))
    assert alone.dropped == ()


@pytest.mark.parametrize(
    ("names", "split"),
    [
        (("train", "dev", "test"), {"train": "train", "dev": "val", "test": "test"}),
        (("train", "valid", "test2016"), {"train": "train", "valid": "val", "test2016": "test"}),
        (("europarl", "newsdev2014", "newstest2015"), {"newsdev2014": "val", "europarl": "train"}),
        (("corpus", "test_2016_flickr", "test_2017_flickr"), {"test_2016_flickr": "val"}),
        (("train", "dev", "devtest"), {"dev": "val", "devtest": "test"}),
        (("testament", "device"), {"testament": "all", "device": "all"}),
        (("train/a", "val/a"), {"train/a": "train", "val/a": "val"}),
    ],
)
def test_names_tell_splits(tmp_path: Path, names: tuple[str, ...], split: dict[str, str]) -> None:
    for name in names:
        for code, lines in (("en", EN), ("fr", FR)):
            file = tmp_path / f"{name}.{code}"
            file.parent.mkdir(exist_ok=True)
            file.write_text("".join(f"{line}\n" for line in lines))
    found = read(tmp_path, "en")
    where = {example.key.rpartition(":")[0]: name for name, part in found.splits.items() for example in part}
    assert split.items() <= where.items()
    assert len(where) == len(names)


def test_roles_in_place_of_languages(tmp_path: Path) -> None:
    folder = write(tmp_path, train__src=EN, train__tgt=FR)
    found = read(folder)
    assert (sides(found, "train"), found.languages) == (list(zip(EN, FR, strict=True)), ())
    assert read(folder, "en", "fr").languages == ("en", "fr")


def test_files_that_do_not_match_are_refused(tmp_path: Path) -> None:
    write(tmp_path, a__en_fr__en=EN, a__en_fr__fr=FR[:3])
    with pytest.raises(UserError, match=r"a.en-fr.en has 4 lines and a.en-fr.fr 3; expected"):
        read(tmp_path)


def test_only_line_feeds_end_lines(tmp_path: Path) -> None:
    odd = ("One\u2028two.", "A\x85b.", "C\x0cd\x1ce.", "Last")
    write(tmp_path, a__en_fr__en=odd, a__en_fr__fr=FR)
    assert [text for text, _ in sides(read(tmp_path))] == list(odd)
    (tmp_path / "a.en-fr.fr").write_bytes("\r\n".join(FR).encode("utf-16"))  # no line feed at the end
    assert [text for _, text in sides(read(tmp_path))] == list(FR)
    (tmp_path / "a.en-fr.fr").write_bytes("\n".join(FR).encode("cp1252"))
    found = read(tmp_path)
    assert [text for _, text in sides(found)] == list(FR)
    assert told(found)["text is not UTF-8, read as Windows-1252"] == 1


def test_empty_sides_are_listed_and_likenesses_noted(tmp_path: Path) -> None:
    write(
        tmp_path,
        a__en_fr__en=("One", "", "Three", " ", "Paris", "One", "One"),
        a__en_fr__fr=("Un", "Deux", "  ", "", "Paris", "Un", "Une"),
    )
    found = read(tmp_path)
    assert {one.file: one.reason for one in found.dropped} == {
        "a.en-fr:2": "empty source",
        "a.en-fr:3": "empty target",
        "a.en-fr:4": "empty source and target",
    }
    notes = {note.what: (note.count, note.examples) for note in found.notes}
    assert notes["pairs that stand in the same split already"] == (1, ("a.en-fr:6",))
    assert notes["source and target are the same text"] == (1, ("a.en-fr:5",))
    assert len(found.splits["all"]) == 4


def table(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".arrow":
        content = pa.Table.from_pylist(rows)
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, content.schema) as file:
            file.write_table(content)
    else:
        lines = ["\t".join(rows[0]), *("\t".join(row.values()) for row in rows)]
        path.write_text("\n".join(lines) + "\n")
    return path


def rows(source: str, target: str) -> list[dict[str, Any]]:
    return [{source: one, target: other} for one, other in zip(EN, FR, strict=True)]


@pytest.mark.parametrize("suffix", [".tsv", ".jsonl", ".parquet", ".arrow"])
@pytest.mark.parametrize(
    ("names", "languages"),
    [
        (("en", "fr"), ("en", "fr")),
        (("eng_Latn", "fra_Latn"), ("en_Latn", "fr_Latn")),
        (("sentence_en", "sentence_fr"), ("en", "fr")),
        (("source", "target"), ()),
        (("src", "tgt"), ()),
    ],
)
def test_tables_of_pairs(
    tmp_path: Path, suffix: str, names: tuple[str, str], languages: tuple[str, ...]
) -> None:
    file = table(tmp_path / f"pairs{suffix}", rows(*names))
    found = read(file)
    assert (found.layout, sides(found), found.languages) == (
        "pair-table",
        list(zip(EN, FR, strict=True)),
        languages,
    )
    assert found.splits["all"][0].key in (f"pairs{suffix}:1", f"pairs{suffix}:2")
    assert f"read column {names[0]!r} as the source" in told(found)
    assert certain(file) == ["translation"]
    if languages:
        assert sides(read(file, "fr")) == list(zip(FR, EN, strict=True))
    else:
        assert read(file, "en", "fr").languages == ("en", "fr")


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_column_of_objects(tmp_path: Path, suffix: str) -> None:
    nested = [{"id": str(n), "translation": row} for n, row in enumerate(rows("en", "fr"))]
    nested.append({"id": "4", "translation": {"en": "Alone.", "fr": None}})
    file = table(tmp_path / f"train{suffix}", nested)
    found = read(file, "fr", "en")
    assert (sides(found), found.languages) == (list(zip(FR, EN, strict=True)), ("fr", "en"))
    assert [one.reason for one in found.dropped] == ["empty source"]
    assert told(found)["columns left out"] == 1
    assert certain(file) == ["translation"]


def test_columns_that_may_be_anything_are_looked_at(tmp_path: Path) -> None:
    more = [{"id": f"row-{n}", "no": str(n), **row} for n, row in enumerate(rows("en", "fr"))]
    assert read(table(tmp_path / "a.jsonl", more)).languages == ("en", "fr")
    three = [{**row, "de": "Ja, gut."} for row in more]
    with pytest.raises(UserError, match=r"has 3 languages .en, fr, de.; expected one direction"):
        read(table(tmp_path / "b.jsonl", three))
    assert read(tmp_path / "b.jsonl", "de", "fr").languages == ("de", "fr")
    classes = [{"source": f"A text of number {n}.", "target": "good" if n % 2 else "bad"} for n in range(20)]
    assert certain(table(tmp_path / "c.jsonl", classes)) == ["text-classification"]
    with pytest.raises(UserError, match=r"has no two columns of texts .it has 'id', 'text'"):
        read(table(tmp_path / "d.jsonl", [{"id": "1", "text": "x"}]))


def test_splits_of_tables(tmp_path: Path) -> None:
    for name in ("train-00000-of-00002", "train-00001-of-00002", "validation-00000-of-00001"):
        table(tmp_path / "hub" / f"{name}.parquet", [{"translation": row} for row in rows("de", "en")])
    assert {name: len(part) for name, part in read(tmp_path / "hub").splits.items()} == {"train": 8, "val": 4}
    (tmp_path / "hub" / "train-00000-of-00002.parquet").unlink()
    with pytest.raises(UserError, match="the train split has 1 of 2 pieces"):
        read(tmp_path / "hub")
    for name in ("wmt14_de-en_train", "wmt14_de-en_test"):
        table(tmp_path / "named" / f"{name}.tsv", rows("de", "en"))
    assert set(read(tmp_path / "named").splits) == {"train", "test"}
    by_row = [
        {**row, "split": split}
        for row, split in zip(rows("en", "fr"), ("train", "train", "dev", ""), strict=True)
    ]
    found = read(table(tmp_path / "one.tsv", by_row))
    assert {name: len(part) for name, part in found.splits.items()} == {"train": 2, "val": 1}
    assert [one.reason for one in found.dropped] == ["empty split"]
    table(tmp_path / "mixed" / "train.tsv", rows("en", "fr"))
    table(tmp_path / "mixed" / "test.tsv", rows("fr", "en"))
    with pytest.raises(UserError, match="goes from fr to en, what was read before from en to fr"):
        read(tmp_path / "mixed")


def test_data_sets_saved_by_the_library(tmp_path: Path) -> None:
    library: Any = pytest.importorskip("datasets")
    features = library.Features(
        id=library.Value("string"), translation=library.Translation(languages=["en", "fr"])
    )
    columns = {"id": list("abcd"), "translation": rows("en", "fr")}
    pairs = library.Dataset.from_dict(columns, features=features)
    library.DatasetDict(train=pairs, validation=pairs, other=pairs).save_to_disk(tmp_path / "wmt")
    found = read(tmp_path / "wmt")
    assert (found.layout, found.languages) == ("hf-translations", ("en", "fr"))
    assert {name: len(part) for name, part in found.splits.items()} == {"train": 4, "val": 4}
    assert sides(found, "train") == list(zip(EN, FR, strict=True))
    assert certain(tmp_path / "wmt") == ["translation"]
    library.Dataset.from_list(rows("source", "target")).save_to_disk(tmp_path / "plain")
    assert sides(read(tmp_path / "plain", "en", "fr")) == list(zip(EN, FR, strict=True))
    assert certain(tmp_path / "plain") == ["translation"]


PO = """# A comment
msgid ""
msgstr ""
"Project-Id-Version: x\\n"
"Language: fr\\n"
"Content-Type: text/plain; charset=UTF-8\\n"

#: a.py:1
msgid "The house is old."
msgstr "La maison est vieille."

#. told
#, python-format
msgctxt "weather"
msgid ""
"It rains in "
"%(town)s.\\n"
"\\"Always\\"\\t."
msgstr ""
"Il pleut à %(town)s.\\n"
"« Toujours »."

#, fuzzy
#| msgid "Old"
msgid "We go home."
msgstr "Nous rentrons ?"

msgid "Untranslated"
msgstr ""

msgid "%d day"
msgid_plural "%d days"
msgstr[0] "%d jour"
msgstr[1] "%d de jours"
msgstr[2] "%d jours"
#~ msgid "Gone"
#~ msgstr "Parti"
"""


def test_po_files(tmp_path: Path) -> None:
    folder = tmp_path / "locale" / "fr" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "django.po").write_text(PO, "utf-8")
    (folder / "django.mo").write_bytes(b"\xde\x12\x04\x95")
    found = read(tmp_path / "locale")
    assert (found.layout, found.languages) == ("po-files", ("en", "fr"))
    assert set(sides(found)) == {
        ("The house is old.", "La maison est vieille."),
        ('It rains in %(town)s. "Always"\t.', "Il pleut à %(town)s. « Toujours »."),
        ("%d day", "%d jour"),
        ("%d days", "%d jours"),
    }
    key = "fr/LC_MESSAGES/django.po"
    assert {one.file: one.reason for one in found.dropped} == {
        f"{key}:25": "fuzzy: no translator has checked it",
        f"{key}:28": "untranslated",
        f"{key}:36": "obsolete",
    }
    assert told(found)["messages with a plural read as two pairs"] == 1
    assert told(found)["forms of a plural between the first and the last left out"] == 1
    assert certain(tmp_path / "locale") == certain(folder / "django.po") == ["translation"]
    turned = read(folder / "django.po", target="en")
    assert (turned.languages, ("%d jour", "%d day") in sides(turned)) == (("fr", "en"), True)


def test_the_language_of_po_files(tmp_path: Path) -> None:
    bare = 'msgid "It rains."\nmsgstr "{}"\n'
    for name, text in (("pt.po", "Chove."), ("pt_BR.po", "Está chovendo."), ("app.de.po", "Es regnet.")):
        (tmp_path / name).write_text(bare.format(text), "utf-8")
    with pytest.raises(UserError, match=r"has translations into de, pt, pt_BR; .*give --target-language"):
        read(tmp_path)
    assert sides(read(tmp_path, target="pt")) == [("It rains.", "Chove.")]
    assert sides(read(tmp_path, "pt-br")) == [("Está chovendo.", "It rains.")]
    assert read(tmp_path, "nl", "de").languages == ("nl", "de")  # the messages are whatever the user says
    with pytest.raises(UserError, match="has translations into de, pt, pt_BR"):
        read(tmp_path, "en", "es")
    with pytest.raises(UserError, match="messages in en with translations into de, no es"):
        read(tmp_path / "app.de.po", target="es")
    (tmp_path / "messages.po").write_text(bare.format("Piove."))
    assert read(tmp_path / "messages.po", "en", "it").languages == ("en", "it")
    assert read(tmp_path / "messages.po").languages == ()


def test_po_files_of_old_and_of_none(tmp_path: Path) -> None:
    header = 'msgid ""\nmsgstr "Language: cs\\nContent-Type: text/plain; charset=ISO-8859-2\\n"\n\n'
    (tmp_path / "a.po").write_bytes(f'{header}msgid "Horse"\nmsgstr "Kůň"\n'.encode("iso-8859-2"))
    (tmp_path / "b.po").write_text('msgid "Horse"\nmsgstr Kůň\n')
    found = read(tmp_path)
    assert sides(found) == [("Horse", "Kůň")]
    assert {one.file: one.reason for one in found.dropped} == {
        "b.po": "line 2 is no part of a .po file ('msgstr Kůň')"
    }


def test_languages_mean_nothing_to_other_layouts(tmp_path: Path) -> None:
    mails = [{"text": f"Mail {n} of a kind.", "label": "ab"[n % 2]} for n in range(10)]
    file = table(tmp_path / "mails.jsonl", mails)
    with pytest.raises(UserError, match="languages named for data in the text-table layout"):
        dataset.read(file, plugins.load("task", "text-classification").layouts, ("en", ""))
    with pytest.raises(UserError, match="--source-language is 'english'; expected an ISO 639 code"):
        read(table(tmp_path / "pairs.jsonl", rows("en", "fr")), "english")
    with pytest.raises(UserError, match="are both en"):
        read(tmp_path / "pairs.jsonl", "en", "eng")


def test_what_is_no_translation_is_not_recognised(tmp_path: Path) -> None:
    recognises = [plugins.load("layout", name).recognises for name in LAYOUTS]
    write(tmp_path / "one", train__en=EN)
    write(tmp_path / "code", tool__py=EN, tool__md=EN, data__csv=("a,b",))
    for path in (tmp_path / "one", tmp_path / "code", tmp_path / "gone", tmp_path / "one" / "train.en"):
        assert not any(one(path) for one in recognises)


def test_pairs_are_filtered_in_training_alone_and_the_same_source_stays_in_one_split(tmp_path: Path) -> None:
    long, odd = " ".join(["word"] * 201), "far too long for what it is said to be a translation of, " * 2
    source = [f"A sentence of number {n // 3}." for n in range(90)]
    target = [f"Phrase numéro {n}." for n in range(90)]
    parts = {"train": (long, "Short.", *source), "test": (long, "Short.", *source)}
    for name, lines in parts.items():
        write(tmp_path / "given", **{f"{name}__en": lines, f"{name}__fr": ("Long.", odd, *target)})
    data = arrange(read(tmp_path / "given", "en"), 0)
    assert (len(data.train), len(data.test), data.languages) == (90, 92, ("en", "fr"))
    assert {one.file: one.reason for one in data.dropped} == {
        "train:1": "source of over 200 words: not trained on",
        "train:2": "target over 3 times as long as the source: not trained on",
    }
    drawn = arrange(read(write(tmp_path / "drawn", a__en_fr__en=source, a__en_fr__fr=target)), 0)
    texts = [{example.text for example in part} for part in (drawn.train, drawn.val, drawn.test)]
    assert sum(map(len, texts)) == len(set.union(*texts)) == 30
    assert [len(part) for part in (drawn.train, drawn.val, drawn.test)] == [60, 15, 15]
    unfit = read(write(tmp_path / "unfit", train__en=(long,), train__fr=("Non.",)), "en")
    with pytest.raises(UserError, match=r"too few examples"):
        arrange(unfit, 0)
    write(tmp_path / "unfit", test__en=EN, test__fr=FR)
    with pytest.raises(UserError, match=r"none of 1 examples is fit to train on .the first: source of over"):
        arrange(read(tmp_path / "unfit", "en"), 0)


def test_texts_without_spaces_are_measured_in_letters(tmp_path: Path) -> None:
    chinese, english = "我们今天回家吃饭。", "We are going home to have our dinner today. "
    write(
        tmp_path,
        train__zh=(chinese * 10, chinese, chinese * 60, chinese * 10),
        train__en=(english * 8, english, english * 20, "Yes."),
        test__zh=EN,
        test__en=EN,
    )
    data = arrange(read(tmp_path, "zh"), 0)
    assert {one.file: one.reason for one in data.dropped} == {
        "train:3": "source of over 200 words: not trained on",
        "train:4": "source over 3 times as long as the target: not trained on",
    }
