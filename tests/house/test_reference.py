"""The documents say what the code says: the reference is fresh, and what the README names is there."""

import re
import subprocess
import sys

import pytest

from tests.house.tree import ROOT

READMES = ("README.md", "README.zh.md")
DOCUMENTS = (
    *READMES,
    "CHANGELOG.md",
    *(f"docs/{file.name}" for file in sorted((ROOT / "docs").glob("*.md"))),
)


def text(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def test_the_reference_is_not_stale() -> None:
    # A process of its own: the script puts invented records in place of the verbs.
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "make_reference.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("readme", READMES)
def test_each_promise_names_a_test_that_is_there(readme: str) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text(readme))
    assert named
    missing = [f"{file}::{name}" for file, name in named if f"def {name}(" not in text(file)]
    assert not missing


def test_both_languages_give_the_same_commands_and_figures() -> None:
    def blocks(readme: str) -> list[str]:
        return [
            re.sub(r"#.*", "", block) for block in re.findall(r"```\w+\n(.*?)```", text(readme), re.DOTALL)
        ]

    assert blocks("README.md") == blocks("README.zh.md")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", text(document))
    assert [link for link in links if not (ROOT / document).parent.joinpath(link).exists()] == []
