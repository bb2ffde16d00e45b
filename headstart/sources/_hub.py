"""The caches of the Hugging Face hub and of torch: where downloaded models lie."""

import os
from collections.abc import Sequence
from pathlib import Path

from headstart.core.errors import UserError
from headstart.model.weights import weights_in

_FILES = ("*.json", "*.txt", "*.spm", "*.model", "README.md", "1_Pooling/config.json")
_SAFE, _PICKLED = "model.safetensors", "pytorch_model.bin"


def snapshot(base: str, repository: str, weights: bool, instead: str) -> Path:
    """Return the model's folder in the cache, with or without weights.

    Raises UserError where it is neither there nor can be had, naming what is cached; ``instead`` says what
    to do then.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    wanted = [*_FILES, *((_SAFE,) if weights else ())]
    try:
        folder = Path(snapshot_download(repository, local_files_only=True, allow_patterns=wanted))
        if (folder / "config.json").is_file() and (not weights or weights_in(folder).is_file()):
            return folder
    except LocalEntryNotFoundError:
        pass
    except HFValidationError as error:
        raise UserError(
            f"{base} is no folder and no model's name", "OWNER/NAME or a folder", "check it"
        ) from error
    try:
        folder = Path(snapshot_download(repository, allow_patterns=wanted))
        if weights and not weights_in(folder).is_file():  # older models have a pickle alone
            snapshot_download(repository, allow_patterns=[_PICKLED])
        return folder
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        here = cached(repository.partition("/")[0])
        raise UserError(
            f"{base} is not in the local cache and could not be downloaded ({type(error).__name__})",
            f"a cached model ({', '.join(here) or 'there is none'}), a folder, or a hub that can be reached",
            instead,
        ) from error


def cached(owner: str) -> Sequence[str]:
    """Return the names of an owner's models that the local cache holds with weights, without the owner's."""
    return [name.partition("/")[2] for name in all_cached() if name.partition("/")[0] == owner]


def all_cached() -> Sequence[str]:
    """Return the names, OWNER/NAME, of all models that the local cache holds with weights."""
    from huggingface_hub.constants import HF_HUB_CACHE

    folders = sorted(Path(HF_HUB_CACHE).glob("models--*--*"))
    return [
        one.name.removeprefix("models--").replace("--", "/", 1)
        for one in folders
        if any(weights_in(snapshot).is_file() for snapshot in one.glob("snapshots/*"))
    ]


def torch_cache() -> Path:
    """Return the folder that ``torch.hub`` downloads into."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "torch"
    return Path(os.environ.get("TORCH_HOME") or cache).expanduser() / "hub" / "checkpoints"


def in_torch_cache(address: str) -> Path | None:
    """Return the file that ``torch.hub`` has downloaded from an address, None where it has not."""
    file = torch_cache() / Path(address).name
    return file if file.suffix in (".pth", ".pt", ".bin", ".safetensors") and file.is_file() else None
