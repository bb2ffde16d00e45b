"""Which column of a table plays which part: told by its name, else by what it holds, else asked for."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headstart.core.errors import UserError
from headstart.data import listing

PATHS = (
    *("path", "file", "filename", "file_name", "filepath", "file_path", "image_path", "img_path"),
    *("image_file", "image_filename", "image_name", "image", "img", "picture", "image_id"),
)
PICTURE_LABELS = (
    *("label", "class", "category", "target", "class_name", "label_name", "category_name"),
    *("labels", "species", "breed"),
)
TEXTS = (
    *("text", "sentence", "content", "body", "document", "review", "review_text", "review_body"),
    *("message", "comment", "comment_text", "tweet", "post", "article", "email", "mail", "sms"),
    *("utterance", "passage", "abstract", "transcript", "description", "question", "query"),
    *("headline", "title", "subject"),
)
MANY = ("labels", "tags", "classes", "categories", "topics", "targets", "genres")
"""Label columns whose name says that a text may have several."""
LABELS = (
    *("label_text", "label_name", "label", "class_name", "class", "category_name", "category"),
    *("target", "topic", "sentiment", "intent", "emotion", "genre", "section", "polarity"),
    *("class_index", "class_label", "y", *MANY),
)
SPLITS = ("split", "subset", "partition", "set", "fold")

PICTURE_NAME = re.compile(
    rf"[^\n]+({'|'.join(re.escape(suffix) for suffix in listing.PICTURE_SUFFIXES)})", re.IGNORECASE
)
_NUMBERS = re.compile(r"(id|.*_id|index|idx|no|nr|number|unnamed:_\d+|)")
_MOST_CLASSES = 1_000
_FLAGS_TO_OTHERS = 4
FLAGS = {**dict.fromkeys(("1", "1.0", "true"), True), **dict.fromkeys(("0", "0.0", "false"), False)}
"""What a cell of a column of yes and no says."""


@dataclass(frozen=True, slots=True)
class Roles:
    """Places of the columns; ``split`` is None where there is none, ``guessed`` the parts told by content.

    ``labels`` is the one label column, or several of 0 and 1, one a label.
    """

    text: int
    labels: tuple[int, ...]
    split: int | None
    guessed: frozenset[str]


def find(columns: Sequence[str], names: Sequence[str]) -> int | None:
    """Return the place of the column with the first of ``names`` that there is, in any letter case."""
    known = [folded(column) for column in columns]
    return next((known.index(name) for name in names if name in known), None)


def choose(columns: Sequence[str], rows: Callable[[], Iterable[Sequence[object]]], file: Path) -> Roles:
    """Return which column is the text, the label and the split; ``rows`` are read where names do not tell.

    By content, the text is the column of the longest cells, at least twice those of any other, and the
    label the only column with few distinct values, or all columns of 0 and 1 where there are several and
    hardly another that may be it. Raises UserError, with the columns, where that is not clear.
    """
    text, label, split = find(columns, TEXTS), find(columns, LABELS), find(columns, SPLITS)
    if text is not None and label is not None:
        return Roles(text, (label,), split, frozenset())
    guessed = frozenset(part for part, place in (("text", text), ("label", label)) if place is None)
    _check_header(columns, file)
    profiles = _profiles(columns, rows)
    known = {place for place in (text, label, split) if place is not None}
    if text is None:
        text = _longest(columns, profiles, known, file)
    if label is not None:
        return Roles(text, (label,), split, guessed)
    return Roles(text, _labels(columns, profiles, {text, *known}, file), split, guessed)


def text(columns: Sequence[str], rows: Callable[[], Iterable[Sequence[object]]], file: Path) -> int:
    """Return which column of an unlabelled table is the text. Raises UserError where that is not clear."""
    place = find(columns, TEXTS)
    if place is not None:
        return place
    _check_header(columns, file)
    if len(columns) == 1:
        return 0
    return _longest(columns, _profiles(columns, rows), set(), file)


def again(columns: Sequence[str], names: Sequence[str], file: Path) -> Roles | None:
    """Return the columns called as in a table before, the text's first; None where there is no such label.

    Raises UserError where there is no such text, or where only some of its labels are there.
    """
    text, *labels = (find(columns, (folded(name),)) for name in names)
    there = tuple(place for place in labels if place is not None)
    if text is None or 0 < len(there) < len(labels):
        lacking = names[0] if text is None else names[1:][labels.index(None)]
        found = f"{file} has no column {lacking!r} (it has {', '.join(map(repr, columns))})"
        raise UserError(found, "the same columns in each table", "rename the column that holds it")
    return Roles(text, there, None, frozenset()) if there else None


@dataclass(slots=True)
class _Profile:
    """What one column holds."""

    cells: int = 0
    filled: int = 0
    letters: int = 0
    wordy: int = 0
    pictures: int = 0
    odd: int = 0
    values: set[str] = field(default_factory=set)

    def add(self, cell: object) -> None:
        self.cells += 1
        if cell is None or cell != cell:  # noqa: PLR0124 - only NaN differs from itself
            return
        if isinstance(cell, list | dict | bytes):
            self.odd += 1
            return
        value = str(cell).strip()
        if not value:
            return
        self.filled += 1
        self.letters += len(value)
        self.wordy += (" " in value or not value.isascii()) and any(map(str.isalpha, value))
        self.pictures += PICTURE_NAME.fullmatch(value) is not None
        if len(self.values) <= _MOST_CLASSES:
            self.values.add(value)

    @property
    def length(self) -> float:
        """Return the mean length, in characters."""
        return self.letters / self.filled if self.filled else 0.0

    @property
    def may_be_text(self) -> bool:
        """Say whether most cells hold words rather than numbers, codes or names of pictures."""
        return self.wordy * 2 > self.filled > self.pictures * 2 and not self.odd

    @property
    def may_be_label(self) -> bool:
        """Say whether nearly all cells are filled, with few values, each of them three times or more."""
        few = 2 <= len(self.values) <= min(_MOST_CLASSES, self.filled // 3)
        return few and self.filled >= 0.9 * self.cells and self.length <= 50 and not self.odd

    @property
    def may_be_flag(self) -> bool:
        """Say whether nearly all cells are filled, and all of them say yes or no."""
        known = {value.casefold() for value in self.values} <= FLAGS.keys()
        return known and self.filled >= max(1, 0.9 * self.cells) and not self.odd


def _profiles(columns: Sequence[str], rows: Callable[[], Iterable[Sequence[object]]]) -> list[_Profile]:
    profiles = [_Profile() for _ in columns]
    for cells in rows():
        for profile, cell in zip(profiles, cells, strict=True):
            profile.add(cell)
    return profiles


def _longest(columns: Sequence[str], profiles: Sequence[_Profile], known: set[int], file: Path) -> int:
    lengths = sorted(((profile.length, place) for place, profile in enumerate(profiles)), reverse=True)
    free = [(length, place) for length, place in lengths if place not in known]
    if free and profiles[free[0][1]].may_be_text and (len(free) < 2 or free[0][0] >= 2 * free[1][0]):
        return free[0][1]
    raise unclear(columns, "text", TEXTS, file)


def _labels(
    columns: Sequence[str], profiles: Sequence[_Profile], known: set[int], file: Path
) -> tuple[int, ...]:
    free = [
        place
        for place in range(len(profiles))
        if place not in known and not _NUMBERS.fullmatch(folded(columns[place]))
    ]
    flags = [place for place in free if profiles[place].may_be_flag]
    others = [place for place in free if profiles[place].may_be_label and place not in flags]
    vary = [place for place in flags if profiles[place].may_be_label]
    # Beside a few columns of 0 and 1, any other of few values may be what is meant.
    if len(vary) > 1 and len(flags) > _FLAGS_TO_OTHERS * len(others):
        return tuple(flags)
    if len(others) + len(vary) == 1:
        return (*others, *vary)
    raise unclear(columns, "label", LABELS, file)


def unclear(columns: Sequence[str], part: str, names: Sequence[str], file: Path) -> UserError:
    """Return what to say where no column, or more than one, may be the part."""
    found = f"{file} has no {part} column (it has {', '.join(map(repr, columns))})"
    remedy = f"rename the column that holds the {part}"
    known = [name for name in names if name != "label_text"][:4]
    return UserError(found, f"one named {', '.join(known)} ...", remedy)


def _check_header(columns: Sequence[str], file: Path) -> None:
    for name in columns:
        if len(name) > 80 or re.fullmatch(r"[-+.\d]+", name):
            found = f"{file} begins with {name[:40]!r} where the names of the columns should be"
            raise UserError(found, "a header", "put the names (text, label ...) into a first row")


def folded(column: str) -> str:
    """Return a column's name as it is compared."""
    return column.casefold().replace(" ", "_").replace("-", "_")
