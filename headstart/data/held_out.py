"""Which of several texts are to train on, to select on and to test on: told by their names."""

import re
from collections.abc import Collection

from headstart.data import listing

_SET = re.compile(
    r"(?:news)?(?:discuss)?-?(?P<kind>devtest|dev|test|tst|valid|val|syscomb)-?(?:\d{2,4})?(?:-[a-z]+)?"
)
_TESTS = ("devtest", "test", "tst")
_YEAR = re.compile(r"(?<!\d)\d{4}(?!\d)")


def splits(texts: Collection[str]) -> dict[str, str]:
    """Return the role of each text, by its name and the folders above it.

    Where several are held out and the names tell no validation from test, the newest is the test, as
    custom has it for newstest2013 and newstest2014; what is left when some are held out is to train on.
    """
    held: dict[str, tuple[str, str]] = {}
    for text in texts:
        found = _held_out(text)
        if found is not None:
            held[text] = found
    tests = sorted((year, text) for text, (split, year) in held.items() if split == "test")
    roles = {text: split for text, (split, _) in held.items()}
    for _, text in tests[:-1]:
        roles[text] = "val"
    rest = "train" if roles or any(_names_train(text) for text in texts) else listing.UNSPLIT
    return {text: roles.get(text, rest) for text in texts}


def _held_out(text: str) -> tuple[str, str] | None:
    """Return validation or test, and the year, of a text that is one of them by its name."""
    *folders, name = text.lower().split("/")
    if _names_train(name):
        return None
    for part in (*re.split(r"[._]", name), *re.split(r"[._-]", name), *reversed(folders)):
        match = _SET.fullmatch(part)
        if match is not None:
            year = _YEAR.search(part) or _YEAR.search(name)
            return "test" if match["kind"] in _TESTS else "val", year[0] if year else ""
        if part in listing.SPLIT_NAMES and listing.SPLIT_NAMES[part] != "train":
            return listing.SPLIT_NAMES[part], ""
    return None


def _names_train(text: str) -> bool:
    return any(listing.SPLIT_NAMES.get(part) == "train" for part in re.split(r"[/._-]", text.lower()))
