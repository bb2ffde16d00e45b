"""Whose word is taken for the weights that a run began with: that of runs made on this machine.

Features are kept under a model's weights as its source digests them, so that a run finds those that its own
training has computed. A run only says which weights they were. So each one that is saved here is noted with
the files it consists of; any other is known by its files, and shares features with nothing else.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from headstart.core.files import digest_json, home, write_bytes
from headstart.model.trunk import FrozenModel


def note(frozen: FrozenModel, digests: Mapping[str, str]) -> None:
    """Note that a model was saved here in files of some SHA-256, by name."""
    write_bytes(_path(frozen, digests), b"")


def known(frozen: FrozenModel, digests: Mapping[str, str]) -> FrozenModel:
    """Return a saved model under the digest that it says where that was noted, else under its files' own."""
    if _path(frozen, digests).is_file():
        return frozen
    pretrained = replace(frozen.pretrained, weights_digest=digest_json(["saved", dict(digests)]))
    return replace(frozen, pretrained=pretrained)


def _path(frozen: FrozenModel, digests: Mapping[str, str]) -> Path:
    source = frozen.pretrained.base.partition(":")[0]
    return home() / "saved-here" / digest_json([frozen.key, source, dict(digests)])
