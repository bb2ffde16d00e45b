"""GitHub's repositories as ``torch.hub`` keeps them: TORCH_HOME/hub/OWNER_REPO_COMMIT, whole or absent."""

import json
import logging
import re
import shutil
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headstart.core import archive
from headstart.core.errors import UserError
from headstart.core.files import sync_folder
from headstart.core.frameworks import prepare_torch
from headstart.sources import _hub

API, SITE = "https://api.github.com", "https://github.com"
COMMIT = re.compile(r"[0-9a-f]{40}")
_MOST_BYTES, _MOST_ANSWER_BYTES = 2 << 30, 16 << 20
_SECONDS = 30
_MEMBERS, _MOST_TIMES = re.compile(r".+"), 1000

log = logging.getLogger(__name__)


def code_of(base: str, repository: str, commit: str, offline: bool) -> tuple[Path, str]:
    """Return the folder of a repository's code and its commit: the one asked for, else the one that is here.

    Nothing is fetched where a commit is here, or where the user is ``offline``. Raises UserError.
    """
    here = cached(repository)
    found = [one for one in here if one.startswith(commit)]
    if len(found) > 1:
        raise UserError(
            f"{len(found)} commits of {repository} in torch's cache may be meant",
            "one that is named",
            f"write @ and one of {', '.join(one[:12] for one in found)} behind the model's name",
        )
    if found:
        return _folder(repository, found[0]), found[0]
    if offline:
        raise _unreachable(base, here, "--offline")
    try:
        head = _resolved(repository, "HEAD")
        if not COMMIT.fullmatch(commit):
            commit = _resolved(repository, commit) if commit else head
        _refuse_forks(repository, commit, head)
        _download(repository, commit)
    except (OSError, zipfile.BadZipFile) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise _unreachable(base, here, f"{type(error).__name__}: {reason}") from error
    return _folder(repository, commit), commit


def cached(repository: str) -> Sequence[str]:
    """Return the commits of a repository that torch's cache holds."""
    start = _folder(repository, "").name
    folders = sorted(_hub.torch_cache().parent.glob(f"{start}*"))
    names = [one.name.removeprefix(start) for one in folders if one.is_dir()]
    return [name for name in names if COMMIT.fullmatch(name)]


def _folder(repository: str, commit: str) -> Path:
    return _hub.torch_cache().parent / f"{repository.replace('/', '_')}_{commit}"


def _resolved(repository: str, name: str) -> str:
    """Return the commit that a branch, a tag or the beginning of a commit means now."""
    commit = _asked(f"{repository}/commits/{name}", "application/vnd.github.sha").decode("ascii", "replace")
    if not COMMIT.fullmatch(commit.strip()):
        raise OSError(f"{SITE} names no commit of {repository}")
    return commit.strip()


def _refuse_forks(repository: str, commit: str, head: str) -> None:
    """Raise UserError for a commit that is not below the repository's head, a branch or a tag.

    GitHub gives a fork's commits under the name of the repository that was forked, and whoever is trusted
    did not write them.
    """
    if commit == head:
        return
    compared = _listed(f"{repository}/compare/{head}...{commit}?per_page=1")
    if compared["status"] in ("behind", "identical"):
        return
    named = [one for kind in ("branches", "tags") for one in _listed(f"{repository}/{kind}?per_page=100")]
    if commit not in [one["commit"]["sha"] for one in named]:
        raise UserError(
            f"commit {commit} belongs to no branch or tag of {repository}",
            "a commit of its own, not of a fork",
            "name the fork, if you trust it",
        )


def _listed(what: str) -> Any:
    """Return what GitHub says about repositories. Raises OSError where that is no JSON."""
    try:
        return json.loads(_asked(what, "application/vnd.github+json"))
    except ValueError as error:
        raise OSError(f"{SITE} gives no JSON") from error


def _asked(what: str, kind: str) -> bytes:
    request = urllib.request.Request(f"{API}/repos/{what}", headers={"Accept": kind})  # noqa: S310
    with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310  # the address is ours
        return bytes(answer.read(_MOST_ANSWER_BYTES))


def _download(repository: str, commit: str) -> None:
    """Fetch a commit's archive, and put its folder where torch.hub looks for it, whole."""
    torch = prepare_torch()
    target = _folder(repository, commit)
    target.parent.mkdir(parents=True, exist_ok=True)
    log.info("fetching %s at %s", repository, commit)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".partial-") as name:
        packed, inside = Path(name) / "code.zip", Path(name) / "code"
        torch.hub.download_url_to_file(f"{SITE}/{repository}/zipball/{commit}", str(packed), progress=True)
        _extract(packed, inside, commit)
        (top,) = inside.iterdir()
        shutil.move(top, target)
    sync_folder(target.parent)


def _extract(path: Path, folder: Path, commit: str) -> None:
    """Unpack regular files below one folder. Raises OSError for whatever else an archive may hold."""
    try:
        sizes = archive.check(path, _MEMBERS, _MOST_TIMES, commit.encode())  # git writes it behind
    except UserError as error:
        raise OSError(error.found.replace(str(path), "its archive")) from error
    tops = {name.partition("/")[0] for name in sizes}
    if len(tops) != 1:
        raise OSError(f"its archive is no single folder of files ({sorted(tops)[:2]})")
    if sum(sizes.values()) > _MOST_BYTES:
        raise OSError(f"its archive unpacks to more than {_MOST_BYTES >> 30} GiB")
    with zipfile.ZipFile(path) as opened:
        opened.extractall(folder)  # checked above


def _unreachable(base: str, here: Sequence[str], why: str) -> UserError:
    return UserError(
        f"the code of {base} is not in torch's cache and could not be fetched ({why})",
        f"a commit that is there ({', '.join(here) or 'there is none'}), or GitHub within reach",
        "clone the repository where there is internet and name its folder: hub:./FOLDER:MODEL",
    )
