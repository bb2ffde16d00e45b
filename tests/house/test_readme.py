"""Every command that a README or a tutorial shows is one that works, in both languages."""

import io
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from headstart import cli
from tests.house.pages import READMES, TUTORIALS, blocks, commands
from tests.house.tree import ROOT

PAGES = (*READMES, *TUTORIALS)


def headstart(name: str) -> list[list[str]]:
    return [words for words in commands(name) if words[0] == "headstart"]


def parse(words: list[str]) -> tuple[str, object]:
    """Return the verb and its checked spec."""
    given = vars(cli._parser().parse_args(words[1:]))
    verb = given.pop("verb")
    given.pop("json")
    return verb, cli.VERBS[verb](**given)


def targets() -> set[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return {name for line in re.findall(r"^([\w -]+):(?!=)", text, re.MULTILINE) for name in line.split()}


@pytest.mark.parametrize("name", READMES)
def test_there_are_commands_to_test(name: str) -> None:
    verbs = {words[1] for words in headstart(name)}
    assert {"fit", "predict", "evaluate"} <= verbs
    assert any(words[0] == "make" for words in commands(name))


@pytest.mark.parametrize("name", PAGES)
def test_every_headstart_command_parses(name: str) -> None:
    for words in headstart(name):
        if "--help" not in words:
            parse(words)


@pytest.mark.parametrize("name", PAGES)
def test_every_make_target_exists(name: str) -> None:
    for words in commands(name):
        if words[0] == "make":
            assert {word for word in words[1:] if "=" not in word} <= targets(), words


def test_both_languages_show_the_same_commands() -> None:
    assert commands("README.md") == commands("README.zh.md")


@pytest.mark.parametrize("name", READMES)
def test_every_file_that_is_linked_exists(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", text)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("name", READMES)
def test_every_test_that_is_named_exists(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for path, test in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text):
        assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{test}"


@pytest.mark.parametrize("name", PAGES)
def test_every_option_that_is_named_exists(name: str) -> None:
    flags = {"--" + field.name.replace("_", "-") for spec in cli.VERBS.values() for field in fields(spec)}
    for script in (ROOT / "examples").glob("*/*.py"):
        flags |= set(re.findall(r"add_argument\(\"(--[a-z-]+)", script.read_text(encoding="utf-8")))
    text = (ROOT / name).read_text(encoding="utf-8")
    shown = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", re.sub(r"`[^`\n]*\bpip[^`\n]*`|pip .*", "", text)))
    assert shown - flags - {"--json", "--help", "--version"} == set()


@pytest.mark.timeout(900)
def test_the_commands_on_our_own_data_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Run, in order and in one folder, all commands whose data lies in the repository."""
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    ran: list[str] = []
    for words in [words for block in blocks("README.md") if block.runs for words in block.commands()]:
        if words[0] == "python":
            subprocess.run([sys.executable, *words[1:]], check=True, capture_output=True)
        if words[0] == "headstart" and runnable(words):
            assert cli.main(words[1:]) == 0, (words, capsys.readouterr().err)
            ran.append(words[1])
    assert {"fit", "predict", "evaluate"} <= set(ran)


def runnable(words: list[str]) -> bool:
    if "--help" in words or "--version" in words:
        return False
    verb, spec = parse(words)
    needed: dict[str, Callable[[], list[str]]] = {
        "fit": lambda: [getattr(spec, "data", "")],
        "evaluate": lambda: [getattr(spec, "run", ""), getattr(spec, "data", "")],
        "predict": lambda: [getattr(spec, "run", ""), *getattr(spec, "inputs", ())],
    }
    return all(Path(path).exists() for path in needed.get(verb, lambda: [])())
