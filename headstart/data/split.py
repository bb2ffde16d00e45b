"""Train, validation and test: as given, or drawn; always a function of the seed and the keys alone."""

import hashlib
import itertools
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from headstart.contracts import Example, Listing
from headstart.core.errors import UserError
from headstart.core.records import Dropped, Note
from headstart.data.listing import UNSPLIT, check_learnable, in_order, lacking
from headstart.data.stratify import deal, deal_roles

SHARE = 0.15
"""The share of unsplit data that goes to validation, and again to test."""
FOLDS = 5
"""Parts of the training data for cross-validation."""

Indices = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """Examples in their roles.

    ``val`` is empty where selection is to be carved out of ``train`` (see ``folds``); ``test`` is what
    is reported on, and ``reported`` is the name the data itself gives it; ``made`` says in a sentence
    how the splits came about; ``languages`` are those of text and target, empty where nobody named them.
    """

    layout: str
    classes: tuple[str, ...]
    train: tuple[Example, ...]
    val: tuple[Example, ...]
    test: tuple[Example, ...]
    reported: Literal["test", "val"]
    made: str
    dropped: tuple[Dropped, ...]
    notes: tuple[Note, ...]
    languages: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """Name the kind of truth (``Truth.kind``)."""
        return self.train[0].kind


def arrange(listing: Listing, seed: int) -> Dataset:
    """Give every example its role: given splits are kept, unsplit data is divided 70/15/15 by class.

    Examples that are not to be trained on are dropped from the train split alone, and those of a class that
    training never sees from the one to select on. Raises UserError for a class with too few examples (3
    unsplit, 2 in a given train split), for a split without any class that training sees, and where there is
    nothing to train on.
    """
    splits = {name: tuple(examples) for name, examples in listing.splits.items() if examples}
    check_learnable(splits)
    train, val, test = (splits.get(name, ()) for name in ("train", "val", "test"))
    reported: Literal["test", "val"] = "test"
    drawn = set(splits) in ({UNSPLIT}, {"train"})
    if drawn:
        train, val, test = _drawn(splits.get(UNSPLIT, train), seed)
        made = f"70/15/15 drawn from all examples with seed {seed}"
        made += ", each class in proportion" if any(example.label for example in train) else ""
        made += ", groups kept together" if any(example.group is not None for example in train) else ""
    elif not train:
        raise UserError(f"only {_named(splits)} found", "examples to train on", "add a train split")
    elif not test:
        test, val, reported = val, (), "val"
        made = "train and val as given; reported on val, selection within train by cross-validation"
    elif not val:
        made = "train and test as given; selection within train by cross-validation"
    else:
        made = "train, val and test as given"
    told = lacking({"train": train, "val": val, "test": test}) if drawn else ()
    train, unfit = _fit_to_train(train, listing)
    val, unlearnt = _fit_to_select(val, train)
    if not drawn:
        _check_given(train)
    labelled = all(example.truth is None for example in train)
    classes = in_order(name for example in train for name in example.names()) if labelled else listing.classes
    if len(classes) == 1:
        raise UserError(f"a single class, {classes[0]!r}, to train on", "two or more", "add a second class")
    return Dataset(
        layout=listing.layout,
        classes=classes,
        train=train,
        val=val,
        test=test,
        reported=reported,
        made=made,
        dropped=(*listing.dropped, *unfit, *unlearnt),
        notes=(*listing.notes, *told),
        languages=listing.languages,
    )


def folds(labels: Sequence[int] | Indices, seed: int, count: int = FOLDS) -> list[tuple[Indices, Indices]]:
    """Divide examples for cross-validation, each class spread over the folds: (fit, validation) indices.

    An example that is alone in its class is always fitted on, never validated on. Fewer folds come
    back where no class has ``count`` examples. Raises ValueError where no class has two.
    """
    labels_N = np.asarray(labels)
    generator = np.random.default_rng(seed)
    fold_N = np.full(len(labels_N), -1)
    _, sizes = np.unique(labels_N, return_counts=True)
    used = min(count, int(sizes.max(initial=0)))
    if used < 2:
        raise ValueError("no class has two examples: nothing can be held out")
    dealt = 0
    for label in np.unique(labels_N):
        members = generator.permutation(np.flatnonzero(labels_N == label))
        if len(members) > 1:
            # Dealing goes on where the class before stopped, so that the folds stay equally large.
            fold_N[members] = (dealt + np.arange(len(members))) % used
            dealt += len(members)
    return [(np.flatnonzero(fold_N != fold), np.flatnonzero(fold_N == fold)) for fold in range(used)]


def folds_of(examples: Sequence[Example], seed: int, count: int = FOLDS) -> list[tuple[Indices, Indices]]:
    """Divide examples for cross-validation, each class or label in proportion, groups whole; see ``folds``.

    A group that alone has a class is always fitted on. Raises UserError where nothing is left to hold out.
    """
    groups = list(_groups(examples).values())
    if _several(examples) or len(groups) < len(examples):
        return _group_folds(examples, groups, np.random.default_rng(seed), count)
    _, label_ids = np.unique([example.label for example in examples], return_inverse=True)
    return folds(label_ids, seed, count)


def _group_folds(
    examples: Sequence[Example],
    groups: Sequence[Sequence[Example]],
    generator: np.random.Generator,
    count: int,
) -> list[tuple[Indices, Indices]]:
    """Deal groups to folds, all but those without which nothing would be left of a class to fit on."""
    order = generator.permutation(len(groups))
    names = [[name for one in groups[place] for name in one.names() or ("",)] for place in order]
    used = min(count, len(groups))
    dealt = deal(names, [1 / used] * used)
    holders: dict[str, list[int]] = defaultdict(list)
    for place, some in enumerate(names):
        for name in dict.fromkeys(some):
            holders[name].append(place)
    for name in sorted(holders):
        if len({dealt[place] for place in holders[name]}) == 1 and dealt[holders[name][0]] >= 0:
            dealt[max(holders[name], key=lambda place: names[place].count(name))] = -1
    fold_of = {id(one): fold for place, fold in zip(order, dealt, strict=True) for one in groups[place]}
    fold_N = np.array([fold_of[id(one)] for one in examples])
    held = sorted(set(fold_N.tolist()) - {-1})
    if not held:
        found = f"{len(examples):,} examples to train on in {len(groups):,} groups, none like another"
        remedy = "add groups, give a val split, or leave --group out"
        raise UserError(found, "each class in two groups or more, so that one can be held out", remedy)
    return [(np.flatnonzero(fold_N != fold), np.flatnonzero(fold_N == fold)) for fold in held]


def _several(examples: Sequence[Example]) -> bool:
    """Say whether an example may have several labels."""
    return any(example.truth is not None and example.names() for example in examples)


def _fit_to_train(
    train: tuple[Example, ...], listing: Listing
) -> tuple[tuple[Example, ...], tuple[Dropped, ...]]:
    """Return the examples to train on, and those that are not fit for it, with reasons."""
    if listing.unfit is None:
        return train, ()
    reasons = [listing.unfit(example) for example in train]
    fit = tuple(example for example, reason in zip(train, reasons, strict=True) if reason is None)
    unfit = tuple(
        Dropped(file=example.key, reason=reason)
        for example, reason in zip(train, reasons, strict=True)
        if reason is not None
    )
    if not fit:
        found = f"none of {len(train):,} examples is fit to train on (the first: {unfit[0].reason})"
        raise UserError(found, "some that are", "look at the data, or give other data")
    return fit, unfit


def _fit_to_select(
    val: tuple[Example, ...], train: tuple[Example, ...]
) -> tuple[tuple[Example, ...], tuple[Dropped, ...]]:
    """Return the examples to select on, and those whose one class training never sees, with the reason."""
    known = {"", *(one.label for one in train)}
    reason = "no training example has its class: nothing is selected on it"
    return (
        tuple(one for one in val if one.label in known),
        tuple(Dropped(file=one.key, reason=reason) for one in val if one.label not in known),
    )


def _drawn(examples: Sequence[Example], seed: int) -> tuple[tuple[Example, ...], ...]:
    """Divide 70/15/15, each class or label in proportion; groups stay together."""
    grouped = examples[0].label and len(_groups(examples)) < len(examples)
    parts = (_by_label if grouped or _several(examples) else _by_class)(examples, seed)
    return tuple(tuple(sorted(part, key=lambda example: example.key)) for part in parts)


def _groups(examples: Sequence[Example]) -> dict[str, list[Example]]:
    """Return the examples by group; what is in none is a group of its own."""
    groups: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        groups[example.key if example.group is None else example.group].append(example)
    return groups


def _by_label(examples: Sequence[Example], seed: int) -> tuple[list[Example], ...]:
    """Divide groups, or examples, of several labels, each label in proportion; training lacks none."""
    groups = _groups(examples)
    ranked = [groups[name] for name in sorted(groups, key=lambda name: rank(seed, name))]
    # A group counts in each of its classes as often as it has examples of it.
    names = [[name for one in group for name in sorted(set(one.names()))] for group in ranked]
    dealt = deal_roles(names, [1 - 2 * SHARE, SHARE, SHARE])
    if not {0, 2} <= set(dealt):
        where = f" in {len(ranked)} groups" if len(ranked) < len(examples) else ""
        found = f"{len(examples)} examples{where}: none can be held out without all of a class"
        raise UserError(found, "three or more of each class", "add examples, or give a test split")
    return tuple(
        [one for group, at in zip(ranked, dealt, strict=True) for one in group if at == part]
        for part in range(3)
    )


def _by_class(examples: Sequence[Example], seed: int) -> tuple[list[Example], ...]:
    """Divide each class, at least one of it in each part."""
    by_class: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        by_class[example.label].append(example)
    grouped = {name: _groups(members) for name, members in by_class.items()}
    few = {name: len(groups) for name, groups in grouped.items() if len(groups) < 3}
    if few:
        remedy = "add examples, or remove the class"
        raise UserError(
            f"too few examples of {_counted(few)}", "3 or more of each class (train, val, test)", remedy
        )
    train, val, test = list[Example](), list[Example](), list[Example]()
    for groups in grouped.values():
        ranked = deque(groups[name] for name in sorted(groups, key=lambda name: rank(seed, name)))
        held = max(1, int(SHARE * sum(map(len, ranked)) + 0.5))
        for part, left in ((val, 2), (test, 1)):
            taken = 0
            while taken < held and len(ranked) > left:
                taken += len(ranked[0])
                part.extend(ranked.popleft())
        train += itertools.chain.from_iterable(ranked)
    return train, val, test


def rank(seed: int, key: str) -> bytes:
    """Place an example by a hash: files that come or go later hardly move the others."""
    return hashlib.sha256(f"{seed}\0{key}".encode()).digest()


def _check_given(train: Sequence[Example]) -> None:
    alone = {name: count for name, count in Counter(example.label for example in train).items() if count < 2}
    if alone:
        raise UserError(
            f"too few training examples of {_counted(alone)}", "2 or more of each class", "add examples"
        )


def _counted(counts: dict[str, int]) -> str:
    if list(counts) == [""]:  # no labels: the examples are all of a kind
        return f"the one kind there is ({counts['']})"
    shown = [f"{name!r} ({counts[name]})" for name in in_order(counts)]
    return ", ".join(shown[:5]) + (f" and {len(shown) - 5} more classes" if len(shown) > 5 else "")


def _named(splits: dict[str, tuple[Example, ...]]) -> str:
    return " and ".join(f"a {name} split" for name in splits)
