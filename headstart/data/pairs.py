"""Pictures with their masks: paired by name, every mask looked at before anything is learnt.

What a mask's values mean is given by the layout, or by a list of classes, or else found in the masks.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from headstart.contracts import Example, Listing
from headstart.core.errors import BadExample, UserError
from headstart.data import listing
from headstart.data.listing import Collector
from headstart.data.mask import Coding, Mask, distinct, read_values, show_value, unknown_reason, upright_size

_ADDED = re.compile(r"[-_ .]*(masks?|labels?|gt|seg(mentation)?|annot(ation)?|colou?r|l)$", re.IGNORECASE)
_MOST_COLOURS = 256
_AT_ONCE = 200
TURNED = "picture with an EXIF orientation: its mask is taken to be of the upright picture"


@dataclass(frozen=True, slots=True)
class Pair:
    """A picture and its mask."""

    split: str
    key: str
    picture: Path
    mask: Path


@dataclass(frozen=True, slots=True)
class Seen:
    """What one mask holds: its values, and whether they are colours; or why the pair is of no use."""

    pair: Pair
    values: tuple[int, ...] = ()
    in_colour: bool = False
    reason: str = ""
    turned: bool = False


Files = Mapping[str, tuple[str, Path]]
"""Files by their path within their folder: the key that people see, and the file."""


def match(split: str, pictures: Files, masks: Files, collector: Collector) -> list[Pair]:
    """Pair files by their path without its suffix, else without what was added for masks (``_mask`` ...).

    What has no partner is listed as dropped.
    """
    by_stem = _by_stem(masks, collector)
    by_short = {_ADDED.sub("", stem): stem for stem in sorted(by_stem, reverse=True)}
    pairs, used = [], set()
    for stem, (key, path) in sorted(_by_stem(pictures, collector).items()):
        found = stem if stem in by_stem else by_short.get(stem)
        if found is None or found in used:
            collector.drop(key, "picture without a mask of the same name")
            continue
        used.add(found)
        pairs.append(Pair(split, key, path, by_stem[found][1]))
    for stem in sorted(set(by_stem) - used):
        collector.drop(by_stem[stem][0], "mask without a picture of the same name")
    return pairs


def look(pairs: Sequence[Pair]) -> list[Seen]:
    """Look at every mask, on threads, some at a time: one that waits for its turn takes kilobytes."""
    seen = list[Seen]()
    with ThreadPoolExecutor(min(8, (os.cpu_count() or 1) + 1)) as pool:
        for start in range(0, len(pairs), _AT_ONCE):
            seen += pool.map(_look, pairs[start : start + _AT_ONCE])
    return seen


def listed(pairs: Sequence[Pair], coding: Coding, classes: Sequence[str], collector: Collector) -> Listing:
    """List the pairs whose masks fit the coding. Raises UserError where none does."""
    return collect(look(pairs), coding, classes, collector)


def collect(seen: Iterable[Seen], coding: Coding, classes: Sequence[str], collector: Collector) -> Listing:
    """List what was seen, as a coding reads it; everything else is dropped, with the reason."""
    held: dict[str, set[str]] = {}
    for one in seen:
        reason = one.reason or _misfit(one, coding)
        if reason:
            collector.drop(one.pair.key, reason)
            continue
        if one.turned:
            collector.note(TURNED, one.pair.key)
        held.setdefault(one.pair.split, set()).update(
            coding.names[value] for value in one.values if value in coding.names
        )
        truth = Mask(one.pair.mask, coding)
        collector.add(one.pair.split, Example(one.pair.key, "", one.pair.picture, truth=truth))
    _tell_absent(held, classes, collector)
    return collector.listing(classes=classes)


def infer(seen: Sequence[Seen], names: Sequence[str], collector: Collector) -> Coding:
    """Tell what the masks' values mean, from the names of the classes in order, or from the values alone.

    Raises UserError where the masks are in colour and too many, or partly in colour.
    """
    usable = [one for one in seen if not one.reason]
    values = sorted({value for one in usable for value in one.values})
    # A mask of nothing but black reads as grey.
    coloured = [one for one in usable if one.in_colour]
    if coloured:
        return _of_colours(usable, coloured, collector)
    if values and set(values) <= {0, 255} and 255 in values and len(names) in (0, 2):
        background, foreground = names or ("background", "foreground")
        collector.note(f"masks hold 0 and 255: read as {background} and {foreground}")
        return Coding(names={0: background, 255: foreground})
    ignored = frozenset({255}) if len(names) <= 255 else frozenset[int]()
    if 255 in values and 255 in ignored:
        collector.note("masks hold 255: those pixels are ignored")
    if names:
        return Coding(names=dict(enumerate(names)), ignored=ignored)
    numbers = [value for value in values if value not in ignored]
    collector.note(f"no list of classes (classes.txt): named by their numbers {_range(numbers)}")
    return Coding(names={value: str(value) for value in numbers}, ignored=ignored)


def _of_colours(usable: Sequence[Seen], coloured: Sequence[Seen], collector: Collector) -> Coding:
    plain = {value for one in usable if not one.in_colour for value in one.values}
    if plain - {0, 255}:
        other = next(one for one in usable if not one.in_colour)
        raise UserError(
            f"masks in colour ({coloured[0].pair.key}) and masks in numbers ({other.pair.key})",
            "one kind of mask", "save all masks alike",
        )  # fmt: skip
    colours = sorted({value for one in coloured for value in one.values})
    if len(colours) > _MOST_COLOURS:
        raise UserError(
            f"masks with {len(colours):,} colours and no palette file",
            f"at most {_MOST_COLOURS} colours, one a class",
            "save the masks without smoothing, or add a palette.txt with lines NAME R G B",
        )
    shown = ", ".join(show_value(value, True) for value in colours[:6])
    collector.note(
        f"masks in colour and no palette file: the {len(colours)} colours found are the classes ({shown})"
    )
    return Coding(names={value: show_value(value, True) for value in colours}, in_colour=True)


def _look(pair: Pair) -> Seen:
    try:
        values_HW, in_colour = read_values(pair.mask)
        size, turned = upright_size(pair.picture)
        values = tuple(distinct(values_HW)[0])
    except BadExample as error:
        return Seen(pair, reason=str(error))
    height, width = values_HW.shape
    if (width, height) != size:
        reason = f"mask of {width} x {height} pixels for a picture of {size[0]} x {size[1]}"
        return Seen(pair, reason=reason)
    return Seen(pair, values, in_colour, turned=turned)


def _misfit(one: Seen, coding: Coding) -> str:
    """Say why a mask cannot be read with a coding; empty where it can."""
    values: Sequence[int] = one.values
    if one.in_colour != coding.in_colour:
        if one.in_colour or set(values) - {0, 255}:
            return f"mask in {'colour' if one.in_colour else 'numbers'}, unlike the classes"
        values = [value * 0x010101 for value in values]  # black and white are grey and colours alike
    unknown = coding.unknown(values)
    if unknown:
        return unknown_reason(unknown, coding)
    return "" if any(value in coding.names for value in values) else "every pixel of the mask is ignored"


def _tell_absent(held: Mapping[str, set[str]], classes: Sequence[str], collector: Collector) -> None:
    everywhere = set().union(*held.values()) if held else set()
    for name in classes:
        if name not in everywhere:
            collector.note("class of the list without a pixel in any mask", name)
        elif "train" in held and name not in held["train"]:
            collector.note("class without a pixel to train on: it cannot be learnt", name)


def _by_stem(files: Files, collector: Collector) -> dict[str, tuple[str, Path]]:
    found: dict[str, tuple[str, Path]] = {}
    for inner, (key, path) in sorted(files.items()):
        stem = os.path.splitext(inner)[0]
        if stem in found:
            collector.drop(key, f"same name as {found[stem][0]}")
        else:
            found[stem] = (key, path)
    return found


def _range(numbers: Sequence[int]) -> str:
    shown = [str(number) for number in numbers]
    return ", ".join(shown if len(shown) <= 8 else [*shown[:4], "...", shown[-1]])


def files_below(root: Path, folder: str, collector: Collector) -> dict[str, tuple[str, Path]]:
    """Return the pictures below ``root/folder``, as ``match`` takes them."""
    found = listing.pictures(root / folder, folder, collector)
    return {key[len(folder) :].lstrip("/"): (key, Path(path)) for path, key in found}
