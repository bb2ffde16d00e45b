"""What every reader needs to list a data set: names of splits, safe walking of folders, one collector."""

import os
import stat
import unicodedata
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headstart.contracts import Example, Listing
from headstart.core.errors import UserError
from headstart.core.records import Dropped, Note
from headstart.data.signature import HEAD_BYTES, describe, picture_format

UNSPLIT = "all"
SPLITS = ("train", "val", "test", UNSPLIT)
SPLIT_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "eval"), "test"),
}
PICTURE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".bmp", ".dib"),
    *(".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"),
)
Refuse = Callable[[os.DirEntry[str]], str | None]
"""Says why an entry that is no folder is left out; None where it is not."""
_SHOWN = 5


@dataclass(slots=True)
class Collector:
    """Gathers what one reader finds; ``listing`` checks it and puts it in order."""

    layout: str
    splits: dict[str, list[Example]] = field(default_factory=dict)
    dropped: list[Dropped] = field(default_factory=list)
    _noted: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _counts: Counter[str] = field(default_factory=Counter)

    def add(self, split: str, example: Example) -> None:
        """Take an example into a split."""
        self.splits.setdefault(split, []).append(example)

    def drop(self, file: str, reason: str) -> None:
        """List an input that is left out."""
        self.dropped.append(Dropped(file=printable(file), reason=reason))

    def note(self, what: str, example: str = "") -> None:
        """Count something the user should know of, with a few instances."""
        self._counts[what] += 1
        if example and len(self._noted[what]) < _SHOWN:
            self._noted[what].append(printable(example))

    def listing(self, declared: Iterable[str] = (), classes: Sequence[str] | None = None) -> Listing:
        """Return everything in order: examples by key, classes by name.

        ``declared`` are classes the layout names whether or not they have examples; ``classes`` are,
        in their order, those of examples whose truth is no label. Raises UserError where there is no
        example at all, or where the classes contradict each other.
        """
        splits = {name: sorted(self.splits[name], key=_key) for name in SPLITS if self.splits.get(name)}
        if not splits:
            raise _nothing(self.layout, self.dropped)
        labels = in_order(name for examples in splits.values() for name in _names(examples))
        classes = labels if classes is None else tuple(classes)
        check_names(splits)
        for name in in_order(set(declared) - set(classes)):
            self.note("class without examples, left out", name)
        notes = (Note(what=w, count=c, examples=tuple(self._noted[w])) for w, c in self._counts.items())
        dropped = tuple(sorted(self.dropped, key=lambda item: item.file))
        return Listing(
            layout=self.layout, splits=splits, classes=classes, dropped=dropped, notes=tuple(notes)
        )


def check_names(splits: Mapping[str, Sequence[Example]]) -> None:
    """Raise UserError for classes that differ only in case."""
    by_fold: dict[str, set[str]] = defaultdict(set)
    for name in {name for examples in splits.values() for name in _names(examples)}:
        by_fold[name.casefold()].add(name)
    for names in by_fold.values():
        if len(names) > 1:
            pair = " and ".join(repr(name) for name in sorted(names))
            raise UserError(
                f"classes {pair} differ only in letter case", "one name per class", "rename one of them"
            )


def check_learnable(splits: Mapping[str, Sequence[Example]]) -> None:
    """Raise UserError for a split of which training sees no class.

    Single classes that training never sees are no reason to raise: see ``lacking``.
    """
    if not splits.get("train"):
        return
    learnt = _names(splits["train"])
    for split, examples in splits.items():
        count = Counter(example.label for example in examples if example.truth is None and example.label)
        unseen = in_order(set(count) - learnt)
        if unseen and len(unseen) == len(count):
            listed = ", ".join(f"{name!r} ({count[name]:,})" for name in unseen[:_SHOWN])
            more = f" and {len(unseen) - _SHOWN} more" if len(unseen) > _SHOWN else ""
            found = f"the {split} split has only classes that the train split lacks: {listed}{more}"
            remedy = f"add examples of them to train, or remove them from {split}"
            raise UserError(found, "some that have training examples", remedy)


def lacking(splits: Mapping[str, Sequence[Example]]) -> tuple[Note, ...]:
    """Return what to say of the classes that training and another split do not share."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for what, name in _unshared(splits):
        kinds[what].append(printable(name))
    return tuple(
        Note(what=what, count=len(names), examples=tuple(names[:_SHOWN])) for what, names in kinds.items()
    )


def _unshared(splits: Mapping[str, Sequence[Example]]) -> Iterator[tuple[str, str]]:
    trained = _names(splits.get("train", ()))
    for split, examples in splits.items() if trained else ():
        there = _names(examples)
        what = f"class of the training split that is missing from {split}"
        yield from ((what, name) for name in in_order(trained - there))
        what = f"class of {split} that nothing in the training split has: it cannot be learnt"
        yield from ((what, name) for name in in_order(there - trained))


def _names(examples: Sequence[Example]) -> set[str]:
    return {name for example in examples for name in example.names()}


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Sort class names; by value where all are whole numbers ('2' before '10')."""
    unique = set(names)
    if all(name.isascii() and name.isdigit() for name in unique):
        return tuple(sorted(unique, key=lambda name: (int(name), name)))
    return tuple(sorted(unique))


def class_name(folder: str) -> str:
    """Return a folder's or cell's text as a class name: composed Unicode (NFC), so that spellings agree."""
    return unicodedata.normalize("NFC", printable(folder))


def printable(name: str) -> str:
    """Return a file name as valid Unicode; bytes that are not UTF-8 are shown as backslash escapes."""
    return name.encode("utf-8", "backslashreplace").decode() if not name.isascii() else name


def is_hidden(name: str) -> bool:
    """Say whether a file or folder belongs to the system rather than to the data."""
    return name.startswith(".") or name in {"__MACOSX", "@eaDir", "lost+found"}


def subfolders(folder: Path) -> list[str]:
    """Return the names of the folder's visible subfolders. Raises UserError where it is unreadable."""
    return [entry.name for entry in entries(folder) if not is_hidden(entry.name) and is_folder(entry)]


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return a folder's entries, links last, by name. Raises UserError where it cannot be read."""
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: (entry.is_symlink(), entry.name))
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        remedy = "grant yourself access or name another folder"
        raise UserError(f"{folder} cannot be read ({reason})", "a readable folder", remedy) from error


def pictures(folder: Path, shown: str, collector: Collector) -> Iterator[tuple[str, str]]:
    """Yield (path, key) of every picture file below ``folder``; see ``files``."""
    return files(folder, shown, collector, refusal)


def files(folder: Path, shown: str, collector: Collector, refuse: Refuse) -> Iterator[tuple[str, str]]:
    """Yield (path, key) of every file below ``folder``; list in ``collector`` what ``refuse`` turns down.

    ``shown`` is the folder's own key. Links are followed, but no folder is entered twice; nothing
    but regular files is ever opened.
    """
    pending, entered = deque([(folder, shown)]), {_identity(parent) for parent in folder.resolve().parents}
    while pending:
        here, prefix = pending.popleft()
        found, identity = _enter(here, prefix, collector)
        if identity in entered:
            collector.drop(prefix, "leads to a folder that contains it or was read already")
            continue
        entered.add(identity)
        for entry in found:
            key = f"{prefix}/{entry.name}" if prefix else entry.name
            if is_hidden(entry.name):
                collector.note("hidden files and folders left out", key)
            elif is_folder(entry):
                pending.append((Path(entry.path), key))
            elif (reason := refuse(entry)) is None:
                yield entry.path, printable(key)
            else:
                collector.drop(key, reason)


def refusal(entry: os.DirEntry[str]) -> str | None:
    """Say why an entry that is no folder is not a picture file; None where it is one."""
    suffix = os.path.splitext(entry.name)[1].lower()
    reason, head = peek(entry, 0 if suffix in PICTURE_SUFFIXES else HEAD_BYTES)
    if reason is not None or suffix in PICTURE_SUFFIXES:
        return reason
    if picture_format(head) not in (None, "BMP", "PPM"):  # those two begin like many a text
        return None
    kind = describe(head) if picture_format(head) is None else "text"
    looks = f", looks like {kind}" if "picture" in kind else ""
    return f"not a picture file ({f'suffix {suffix}' if suffix else 'no suffix'}{looks})"


def peek(entry: os.DirEntry[str], count: int) -> tuple[str | None, bytes]:
    """Return why an entry is no readable file, or None, and its first ``count`` bytes."""
    try:
        # Without a link, the folder's own listing tells a regular file: no call per file.
        if not (entry.is_file(follow_symlinks=False) or stat.S_ISREG(entry.stat().st_mode)):
            return "not a regular file", b""
        if not count:
            return None, b""
        with open(entry.path, "rb") as file:
            return None, file.read(count)
    except FileNotFoundError:
        return "broken link", b""
    except OSError as error:
        return f"cannot be read ({(error.strerror or 'unreadable').lower()})", b""


def _enter(folder: Path, shown: str, collector: Collector) -> tuple[list[os.DirEntry[str]], object]:
    """Return a folder's entries and its identity; an unreadable one is listed, and empty."""
    try:
        return entries(folder), _identity(folder)
    except OSError as error:
        collector.drop(shown, f"cannot be read ({(error.strerror or 'unreadable').lower()})")
    except UserError as error:
        collector.drop(shown, error.found.removeprefix(f"{folder} "))
    return [], folder


def _identity(folder: Path) -> object:
    status = folder.stat()
    return status.st_dev, status.st_ino


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Say whether an entry is a folder or leads to one; a link that leads nowhere or in circles is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _key(example: Example) -> str:
    return example.key


def _nothing(layout: str, dropped: Sequence[Dropped]) -> UserError:
    reasons = Counter(item.reason for item in dropped)
    why = "; ".join(f"{count:,} x {reason}" for reason, count in reasons.most_common(3))
    found = f"no usable example ({why})" if why else "no example"
    return UserError(
        found, f"labelled examples in the {layout} layout", "see the files named, or name another folder"
    )
