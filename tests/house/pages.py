"""The commands that a page shows in its fenced blocks."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from tests.house.tree import ROOT

READMES = ("README.md", "README.zh.md")
TUTORIALS = tuple(f"docs/{file.name}" for file in sorted((ROOT / "docs").glob("tutorial-*.md")))
_FENCE = re.compile(
    r"^(?:<!-- (?P<why>not run in the tests[^\n]*) -->\n)?"
    r" *```+ *(?P<language>\w*)[^\n]*\n(?P<text>.*?)^ *```+ *$",
    re.MULTILINE | re.DOTALL,
)
_SHELL = {"", "sh", "bash", "shell", "console"}
_SHOWN = ("headstart", "make", "python")


@dataclass(frozen=True)
class Block:
    """Commands for a shell; ``runs`` is whether the tests run them: what takes long says why they do not."""

    text: str
    runs: bool

    def commands(self) -> list[list[str]]:
        """Return the words of each command that is ours or make's or Python's, in order."""
        found = []
        for line in self.text.replace("\\\n", " ").splitlines():
            lexer = shlex.shlex(line.strip().removeprefix("$ "), posix=True, punctuation_chars="|&;<>")
            lexer.whitespace_split = True
            words: list[str] = []
            for word in [*lexer, ";"]:
                if set(word) <= set("|&;<>"):
                    found.append(words)
                    words = []
                else:
                    words.append(word)
        return [plain for words in found if (plain := _plain(words))[0] in _SHOWN]


def _plain(words: list[str]) -> list[str]:
    """Leave out what stands before the command: its folder, or variables that are set for it."""
    while words and re.fullmatch(r"\w+=.*", words[0]):
        words = words[1:]
    return [Path(words[0]).name, *words[1:]] if words else [""]


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page that are for a shell, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        Block(found["text"], runs=found["why"] is None)
        for found in _FENCE.finditer(text)
        if found["language"] in _SHELL
    ]


def commands(page: str) -> list[list[str]]:
    """Return the words of each command that a page shows."""
    return [words for block in blocks(page) for words in block.commands()]
