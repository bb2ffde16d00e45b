"""The caches of the Hugging Face hub and of torch: where downloaded models lie."""

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO, cast

from headstart.core.errors import UserError
from headstart.core.files import digest_file
from headstart.core.foreign import foreign
from headstart.model.weights import weights_in
from headstart.sources import _partial

_FILES = ("*.json", "*.txt", "*.spm", "*.model", "README.md", "1_Pooling/config.json", "*_Dense/*")
_SAFE, _PICKLED = ("model.safetensors", "model-*.safetensors"), "pytorch_model.bin"
_HASH, _SHA256 = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}"), 64
_TOLD = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """A model of the hub that a user has named ``base``: whether with weights, and where nothing is fetched.

    ``revision`` is a commit, a branch or a tag, empty for the newest; ``instead`` says what to do without it.
    """

    base: str
    repository: str
    revision: str
    weights: bool
    offline: bool
    instead: str


def snapshot(wanted: Wanted) -> Path:
    """Return the model's folder in the cache, whose name is its commit; what was fetched fits its hashes.

    Raises UserError where it is neither there nor can be had, naming what is cached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    fetch = partial(snapshot_download, wanted.repository, revision=wanted.revision or None)
    files = [*_FILES, *(_SAFE if wanted.weights else ())]
    try:
        folder = Path(fetch(local_files_only=True, allow_patterns=files))
        if (folder / "config.json").is_file() and (not wanted.weights or weights_in(folder).is_file()):
            return folder
    except LocalEntryNotFoundError:
        pass
    except HFValidationError as error:
        raise UserError(
            f"{wanted.base} is no folder and no model's name", "OWNER/NAME or a folder", "check it"
        ) from error
    if wanted.offline:
        raise _not_to_be_had(wanted, "--offline")
    with foreign(lambda error: _not_to_be_had(wanted, _why(error))):
        if wanted.weights:
            _fetch_large(wanted, _SAFE)
        folder = Path(fetch(allow_patterns=files))
        if wanted.weights and not weights_in(folder).is_file():  # older models have a pickle alone
            _fetch_large(wanted, (_PICKLED,))
            fetch(allow_patterns=[_PICKLED])
    _check(wanted.base, folder)
    return folder


def _fetch_large(wanted: Wanted, names: Sequence[str]) -> None:
    """Put a model's large files of some names where the library looks for what it has fetched.

    It links what is there and fetches the rest. Of a file that a process was killed over it keeps nothing.
    """
    from huggingface_hub import HfApi, hf_hub_url
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.file_download import http_get, repo_folder_name
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    blobs = Path(HF_HUB_CACHE) / repo_folder_name(repo_id=wanted.repository, repo_type="model") / "blobs"
    about = HfApi().model_info(wanted.repository, revision=wanted.revision or "main", files_metadata=True)
    for one in about.siblings or ():
        if one.lfs is None or not any(fnmatch(one.rfilename, name) for name in names):
            continue
        address, size = hf_hub_url(wanted.repository, one.rfilename, revision=about.sha), one.lfs.size

        def write(out: IO[bytes], address: str = address, size: int = size) -> None:
            http_get(
                address,
                cast(BinaryIO, out),
                resume_size=out.tell(),
                headers=build_hf_headers(),
                expected_size=size,
            )

        _partial.complete(blobs / one.lfs.sha256, one.lfs.sha256, f"{one.rfilename} of {wanted.base}", write)


def _check(base: str, folder: Path) -> None:
    """Compare a snapshot's files with the hashes that the hub calls them by.

    Raises UserError where one differs, which is removed. The library compares sizes alone.
    """
    for path in sorted(folder.rglob("*")):
        file = path.resolve()
        if not path.is_symlink() or not _HASH.fullmatch(file.name):
            continue  # a cache without links, whose files have plain names
        found = digest_file(file) if len(file.name) == _SHA256 else _git_digest(file)
        if found != file.name:
            path.unlink()
            file.unlink()
            raise UserError(
                f"{path.name} of {base} was not fetched as it is (its hash is {found[:12]})",
                f"{file.name[:12]}, as the hub says",
                "try again; the damaged file is removed",
            )


def _git_digest(file: Path) -> str:
    """Return the name that git gives a file's content."""
    content = file.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _why(error: BaseException) -> str:
    """Return in a few words why something could not be fetched."""
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    chain = [one for one in (error, error.__cause__) if one is not None]
    if any(isinstance(one, OfflineModeIsEnabled) for one in chain):
        return "HF_HUB_OFFLINE is set"
    answers = [one.response for one in chain if isinstance(one, HfHubHTTPError) and one.response is not None]
    return f"the hub answers {answers[0].status_code}" if answers else type(chain[-1]).__name__


def _not_to_be_had(wanted: Wanted, why: str) -> UserError:
    owner = wanted.repository.partition("/")[0]
    written = f"{owner}/" if f"{owner}/" in wanted.base else ""  # timm's names have no owner
    here = [f"{written}{one}" for one in cached(owner)]
    more = [f"{len(here) - _TOLD} more"] if len(here) > _TOLD else []
    told = ", ".join([*here[:_TOLD], *more]) or "there is none"
    return UserError(
        f"{wanted.base} is not in the local cache and could not be downloaded ({why})",
        f"a cached model ({told}), a folder, or a hub that can be reached",
        wanted.instead,
    )


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
