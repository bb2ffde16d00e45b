"""Debian's package descriptions as JSON Lines: the long description and its one-line synopsis.

Fetched with apt's own tools from the mirror that this machine is set up for (about 20 MB, seconds);
not to be redistributed in bulk. Command: ``python -m benchmarks.debian_descriptions --train 10000
--test 2000 OUT`` writes ``OUT/train.jsonl``, ``OUT/val.jsonl`` and ``OUT/test.jsonl``.
"""

import argparse
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import BenchmarkError

CACHE = Path(__file__).with_name(".data") / "debian-descriptions"
APT_HELPER = "/usr/lib/apt/apt-helper"
LEAST_WORDS = 15
VALIDATION = 1_000


def fetch(lists: Path, *languages: str) -> None:
    """Fetch the package lists, and their descriptions in some languages, into a folder of their own."""
    if _has(lists, languages):
        return
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    options = [
        "-o",
        f"Dir::State::Lists={lists.resolve()}",
        "-o",
        f"Acquire::Languages={','.join(languages)}",
    ]
    done = subprocess.run(["apt-get", "update", *options], capture_output=True, text=True, check=False)
    if done.returncode != 0 or not _has(lists, languages):
        raise BenchmarkError(f"apt-get update could not fetch descriptions:\n{done.stderr[-2000:]}")


def _has(lists: Path, languages: tuple[str, ...]) -> bool:
    return all(any(lists.glob(f"*_Translation-{language}*")) for language in languages)


def stanzas(file: Path) -> Iterator[dict[str, str]]:
    """Yield the paragraphs of one of apt's lists as field to text."""
    content = subprocess.run([APT_HELPER, "cat-file", str(file)], capture_output=True, check=True).stdout
    for stanza in content.decode().split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.split("\n"):
            if line[:1] in (" ", "\t"):
                fields[name] += "\n" + line
            elif ":" in line:
                name, value = line.split(":", 1)
                fields[name] = value.strip()
        yield fields


def unwrapped(lines: str) -> str:
    """Return a long description as plain text: paragraphs joined, items of lists on lines of their own."""
    paragraphs: list[str] = [""]
    for line in lines.split("\n"):
        text = line.strip()
        if text in ("", "."):
            paragraphs.append("")
        elif line.startswith("  ") or re.match(r"[-–*•] ", text):
            paragraphs.append(text)
        else:
            paragraphs[-1] = f"{paragraphs[-1]} {text}".strip()
    return "\n".join(paragraph for paragraph in paragraphs if paragraph)


def pairs(lists: Path) -> Iterator[tuple[str, str, str]]:
    """Yield (package, long description, synopsis), each text once, of those with 15 words or more."""
    known = {
        fields["Description-md5"]
        for file in sorted(lists.glob("*_Packages*"))
        for fields in stanzas(file)
        if "Description-md5" in fields
    }
    seen: set[str] = set()
    for file in sorted(lists.glob("*_Translation-en*")):
        for fields in stanzas(file):
            if fields.get("Description-md5") not in known:
                continue
            synopsis, _, rest = fields.get("Description-en", "").partition("\n")
            text = unwrapped(rest)
            if synopsis and len(text.split()) >= LEAST_WORDS and text not in seen:
                seen.add(text)
                yield fields["Package"], text, synopsis


def prepare(train: int, test: int, out: Path, lists: Path = CACHE / "lists") -> Path:
    """Write the three splits, drawn by a hash of the source package's leading word; return ``out``.

    Packages of one family (``libfoo1``, ``libfoo-dev`` ...) often share their text: all of a family
    are in one split, so that the test split is not flattered.
    """
    fetch(lists, "en")
    ranked = sorted(pairs(lists), key=lambda pair: (digest(family(pair[0])), pair[0]))
    wanted = {"test": test, "val": VALIDATION, "train": train}
    if len(ranked) < sum(wanted.values()):
        raise BenchmarkError(f"{len(ranked):,} descriptions, fewer than {sum(wanted.values()):,}")
    out.mkdir(parents=True, exist_ok=True)
    start = 0
    for split, count in wanted.items():
        part = ranked[start : start + count]
        start += count
        while start < len(ranked) and family(ranked[start][0]) == family(part[-1][0]):
            start += 1
        lines = [json.dumps({"package": p, "description": d, "synopsis": s}) for p, d, s in part]
        (out / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    return out


def family(package: str) -> str:
    """Return what the names of packages that share their text have in common: ``libfoo1`` is of ``foo``."""
    return re.split(r"[-+.\d]", package.removeprefix("lib"))[0] or package


def digest(text: str) -> str:
    """Return what an order is drawn by: the same on every machine."""
    return hashlib.sha256(text.encode()).hexdigest()


def main() -> int:
    """Fetch and write."""
    parser = argparse.ArgumentParser(description="Debian's descriptions as pairs to summarise.")
    parser.add_argument("--train", type=int, default=10_000)
    parser.add_argument("--test", type=int, default=2_000)
    parser.add_argument("out", type=Path, nargs="?", default=CACHE / "pairs")
    options = parser.parse_args()
    try:
        print(prepare(options.train, options.test, options.out))
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
