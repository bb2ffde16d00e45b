"""Weights in one safetensors file or in several, as Transformers saves them.

Of several files, ``model.safetensors.index.json`` says which tensor is in which: ``weight_map``.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.core import tensor_file
from headstart.core.errors import UserError
from headstart.core.files import digest_bytes, digest_file

if TYPE_CHECKING:
    from torch import Tensor

INDEX = "model.safetensors.index.json"
_LARGEST_INDEX = 64 << 20


def check(weights: Path) -> None:
    """Raise UserError where a file is damaged, or an index and its files disagree; nothing is loaded."""
    for file, names in _files(weights).items():
        found = tensor_file.shapes(file).keys()
        lacking = sorted(names - found)
        if lacking:
            raise UserError(
                f"{file} has no {lacking[0]!r} ({len(lacking)} tensors), which {weights.name} says it has",
                "an index and files that belong together",
                "get them again",
            )


def digest(weights: Path) -> str:
    """Return one digest of all files of the weights."""
    if weights.name != INDEX:
        return digest_file(weights)
    files = [weights, *_files(weights)]
    return digest_bytes(*(digest_file(file).encode() for file in files))


def load(weights: Path) -> "dict[str, Tensor]":
    """Return all tensors by name. Raises UserError for what ``check`` refuses."""
    import torch

    # What NumPy has no type for, torch sees in the same bits.
    seen = {"BF16": torch.bfloat16, "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2}
    check(weights)
    found: dict[str, Tensor] = {}
    for file, names in _files(weights).items():
        for name, (kind, values) in tensor_file.load(file).items():
            if not names or name in names:
                tensor = torch.from_numpy(values)
                found[name] = tensor.view(seen[kind]) if kind in seen else tensor
    return found


def _files(weights: Path) -> Mapping[Path, set[str]]:
    """Return each file with the tensors that are read of it; of a single file all, told by an empty set."""
    if weights.name != INDEX:
        return {weights: set()}
    of_file: dict[Path, set[str]] = defaultdict(set)
    for name, file in _weight_map(weights).items():
        # A link may lead elsewhere, as in a hub's cache; a name may not.
        if not isinstance(file, str) or Path(file).name != file or "\\" in file or file in ("", ".", ".."):
            raise UserError(
                f"{weights} names {file!r:.100}", "files in its own folder", "get a model of a trusted source"
            )
        of_file[weights.with_name(file)].add(name)
    return dict(sorted(of_file.items()))


def _weight_map(weights: Path) -> Mapping[str, object]:
    try:
        large = weights.stat().st_size > _LARGEST_INDEX
        found = None if large else json.loads(weights.read_bytes()).get("weight_map")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise UserError(f"{weights} cannot be read ({error})", "JSON", "get it again") from None
    if not isinstance(found, dict) or not found:
        raise UserError(f"{weights} names no tensors", "a weight_map from tensors to files", "get it again")
    return found
