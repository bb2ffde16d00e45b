"""Files that Keras saves: ``.keras`` archives and HDF5, opened without trusting what they say of themselves.

HDF5 can point at other files, and a Keras archive can hold anything: only what Keras itself writes for a
model of plain arrays is let through. Run in a child process, as HDF5's own library reads the file.
"""

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from headstart.contracts import Array
from headstart.core import archive
from headstart.core.errors import UserError
from headstart.model.keras.config import computing

OLDER = "weights.h5"
"""What an HDF5 file of the layout before Keras 3 is called, so that Keras reads it as one."""
_WEIGHTS = "model.weights.h5"
_MEMBERS = re.compile(r"config\.json|metadata\.json|model\.weights\.h5")
"""What Keras writes for a model without assets."""
_CONFIG_BYTES = 64 << 20
_TIMES_SIZE, _SPARE_BYTES = 20, 64 << 20
_DEEPEST, _MOST = 64, 200_000
_PIECE = 1 << 20
_REMEDY = "save the model again with Keras, or get the file from its publisher"


def described(base: str, file: Path) -> dict[str, Any]:
    """Return Keras' JSON of the model in a ``.keras`` archive or an HDF5 file of a whole model, checked.

    Raises UserError where there is none, or it names anything but layers that only compute.
    """
    text = _archived(base, file) if zipfile.is_zipfile(file) else _attribute(base, file)
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{base} describes itself in damaged JSON ({error})", "JSON", _REMEDY) from error
    return computing(base, config)


def plain_weights(base: str, file: Path, folder: Path) -> Path:
    """Return an HDF5 file of arrays alone, out of an archive too, called so that Keras knows it.

    Raises UserError where it holds or points to anything else.
    """
    inner = folder / "inside.h5"
    if zipfile.is_zipfile(file):
        _extract(base, file, inner)
    else:
        inner.symlink_to(file.resolve())
    legacy = _examined(base, inner)
    named = folder / (OLDER if legacy else "of.weights.h5")
    named.symlink_to(inner)
    return named


def layers(weights: Path) -> Iterator[tuple[str, list[Array]]]:
    """Yield each layer's name and arrays, in the file's order, of either of Keras' layouts."""
    import h5py

    with h5py.File(weights, "r") as file:
        root = file.get("model_weights", file)
        if _is_older(root):
            for name in _texts(root, "layer_names"):
                group = root[name]
                yield name, [np.asarray(group[one]) for one in _texts(group, "weight_names")]
        else:
            yield from _groups(root)


def _groups(group: Any) -> Iterator[tuple[str, list[Array]]]:
    """Yield the layers of Keras 3's layout: groups ``vars`` of numbered arrays, with the layer's name."""
    for name in sorted(group, key=_natural):
        inner = group[name]
        if name == "vars":
            arrays = [np.asarray(inner[number]) for number in sorted(inner, key=_natural)]
            if arrays:
                yield str(inner.attrs.get("name", group.name)), arrays
        elif not hasattr(inner, "shape"):
            yield from _groups(inner)


def _natural(name: str) -> list[Any]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def _is_older(root: Any) -> bool:
    return "layer_names" in root.attrs or "layer_names0" in root.attrs


def _texts(group: Any, name: str) -> list[str]:
    """Return an attribute's texts; long ones are written in parts, numbered."""
    parts = [group.attrs[name]] if name in group.attrs else []
    while f"{name}{len(parts)}" in group.attrs:
        parts.append(group.attrs[f"{name}{len(parts)}"])
    return [one.decode() if isinstance(one, bytes) else str(one) for part in parts for one in part]


def _archived(base: str, file: Path) -> str:
    size = archive.check(file, _MEMBERS, _TIMES_SIZE).get("config.json", 0)
    if not 0 < size <= _CONFIG_BYTES:
        raise UserError(
            f"{base} describes itself in {size} bytes", f"1 to {_CONFIG_BYTES} in its config.json", _REMEDY
        )
    with zipfile.ZipFile(file) as opened, opened.open("config.json") as member:
        return member.read(size).decode("utf-8", "replace")


def _extract(base: str, file: Path, target: Path) -> None:
    left = archive.check(file, _MEMBERS, _TIMES_SIZE).get(_WEIGHTS, 0)
    if not left:
        raise UserError(f"{base} holds a model without weights", f"{_WEIGHTS} in it", _REMEDY)
    with zipfile.ZipFile(file) as opened, opened.open(_WEIGHTS) as member, target.open("wb") as out:
        while left > 0 and (piece := member.read(min(_PIECE, left))):
            out.write(piece)
            left -= len(piece)


def _attribute(base: str, file: Path) -> str:
    """Return the description in an HDF5 file of a whole model."""
    import h5py

    try:
        with h5py.File(file, "r") as content:
            said = content.attrs.get("model_config")
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise UserError(f"{base} is neither a .keras archive nor HDF5", "one of them", _REMEDY) from error
    if said is None:
        raise UserError(
            f"{base} holds weights without a model",
            "a whole model",
            "write keras:NAME@FILE, as in keras:VGG16@FILE",
        )
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)


def _examined(base: str, file: Path) -> bool:
    """Say whether an HDF5 file is of the older layout. Raises UserError where it holds more than arrays."""
    import h5py

    try:
        with h5py.File(file, "r") as content:
            reason = _wrong(content, file.stat().st_size)
            root = content.get("model_weights", content)
            legacy = _is_older(root)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        reason = f"is damaged ({' '.join(str(error).split())[:100]})"
    if reason:
        raise UserError(f"{base} {reason}", "an HDF5 file of plain arrays, as Keras saves weights", _REMEDY)
    return legacy


def _wrong(content: Any, size: int) -> str:
    """Return what an open HDF5 file holds that it may not, empty where all are arrays in groups."""
    import h5py

    waiting, total = [("", content, 0)], 0
    seen: set[Any] = set()
    while waiting:
        path, group, depth = waiting.pop()
        for name in group:
            place, link = f"{path}/{name}", group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                return f"points elsewhere at {place}"
            one = group[name]
            address = h5py.h5o.get_info(one.id).addr
            if address in seen or depth > _DEEPEST or len(seen) > _MOST:
                return f"is nested beyond reason at {place}"
            seen.add(address)
            if isinstance(one, h5py.Group):
                waiting.append((place, one, depth + 1))
                continue
            if not isinstance(one, h5py.Dataset) or one.dtype.kind not in "fiub" or one.dtype.subdtype:
                return f"holds something other than numbers at {place}"
            if one.external or one.is_virtual:
                return f"reads another file at {place}"
            total += one.size * one.dtype.itemsize
            if total > _SPARE_BYTES + _TIMES_SIZE * size:
                return "would unpack to many times its size"
    return ""
