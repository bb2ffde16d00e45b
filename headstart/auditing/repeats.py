"""What is wrong with a data set that its contents alone can tell."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from headstart.contracts import Array
from headstart.core.records import Note
from headstart.model.features import Features

_SHOWN = 3


def repeats(features: Features, roles: Mapping[str, Array]) -> tuple[Note, ...]:
    """Find the same content in several splits, and with several answers."""
    seen: dict[bytes, list[tuple[str, int]]] = defaultdict(list)
    for role, indices_n in roles.items():
        for index in indices_n:
            seen[features.digests[index]].append((role, int(index)))
    groups = [group for group in seen.values() if len(group) > 1]
    leaks = [group for group in groups if len({role == "test" for role, _ in group}) > 1]
    quarrels = [
        group for group in groups if len({features.examples[index].target_bytes() for _, index in group}) > 1
    ]
    told = flattering(seen_before(features, roles))
    notes = (
        _note(f"same content in the reported split and in training or selection: {told}", leaks, features),
        _note("same content with different answers", quarrels, features),
    )
    return tuple(note for note in notes if note.count)


def seen_before(features: Features, roles: Mapping[str, Array]) -> Array:
    """Return which examples of the reported split have content that has another role too, bool [n]."""
    others = {features.digests[index] for role in roles if role != "test" for index in roles[role]}
    return np.array([features.digests[index] in others for index in roles["test"]], dtype=bool)


def flattering(seen_n: Array) -> str:
    """Say what figures are worth on a split of which this much was seen before."""
    return "all of it is, so the figures say nothing of new data" if seen_n.all() else "the figures flatter"


def _note(what: str, groups: Sequence[Sequence[tuple[str, int]]], features: Features) -> Note:
    shown = [" = ".join(features.examples[index].key for _, index in group) for group in groups[:_SHOWN]]
    return Note(what=what, count=len(groups), examples=tuple(shown))
