"""What the page shows of texts: side by side from where they differ, with what is right of them."""

from pathlib import Path

from headstart.contracts import Example
from headstart.core import plugins


def shown(*texts: str, target: str | None = None) -> str:
    examples = [
        Example(f"row {place}", "", Path("x"), text=text, target=target) for place, text in enumerate(texts)
    ]
    task = plugins.load("task", "translation" if target else "text-classification")
    return str(plugins.load("fingerprint", "text").show(task, examples)["text"])


def test_a_text_alone_is_shown_from_its_beginning() -> None:
    assert shown("some words") == "row 0: some words"
    assert shown("word " * 300) == "row 0: " + ("word " * 120) + " ..."


def test_texts_that_differ_late_are_shown_where_they_do() -> None:
    same = "the same beginning of both " * 20
    one, other = shown(f"{same} one end", f"{same} another end").split("\n\n")
    assert one.startswith("row 0: ... ")
    assert one.endswith("one end")
    assert other.endswith("another end")
    assert len(one) < 200


def test_the_other_side_of_a_pair_is_shown() -> None:
    assert shown("good day", target="bonjour") == "row 0: good day → bonjour"
