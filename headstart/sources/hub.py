"""``hub:OWNER/REPO:MODEL``: picture models of torch.hub, from GitHub or a clone, `hub:./FOLDER:MODEL`.

Their code runs only with `--trust OWNER/REPO`, or `--trust ./FOLDER`; `@COMMIT` at the end pins it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from safetensors.numpy import load_file, save

from headstart.contracts import Array, Network, Pretrained, Source
from headstart.core.errors import UserError
from headstart.core.files import digest_bytes, digest_file, digest_json, home, write_bytes
from headstart.core.frameworks import prepare_torch
from headstart.core.remembered import remembered
from headstart.model.any_pictures import any_network
from headstart.model.picture_network import size_of
from headstart.sources import _github, _stated
from headstart.sources._clone import head_of, licence_of
from headstart.sources._hubconf import Entry, code_digest, entry, files_of

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9_][\w.-]*")
"""An owner has no underscore, so that no two repositories share a folder of torch's cache."""
_WRITTEN = "hub:OWNER/REPO:MODEL or hub:./FOLDER:MODEL, with @COMMIT to pin it"
_FORMAT = 1  # raised when the same code would be described otherwise


@dataclass(frozen=True, kw_only=True, slots=True)
class _Code:
    """Code that the user trusts: whose it is, where it lies, and its commit, empty where none is known."""

    owner: str
    folder: Path
    commit: str


@final
class HubSource(Source):
    """Models that a repository's ``hubconf.py`` makes."""

    name = "hub"

    def names(self) -> Sequence[str]:
        """Return nothing: repositories are named by whoever trusts them."""
        return ()

    def present(self) -> Sequence[str]:
        """Return nothing: what a repository holds is known by running it alone."""
        return ()

    def find(self, name: str, weights: bool = True) -> Pretrained:
        """Describe a model by running its code once. Raises UserError where that is not trusted, or fails."""
        base = f"hub:{name}"
        owner, model, commit = _parsed(base, name)
        code = self._trusted(base, owner, commit)
        if commit and not _REPOSITORY.fullmatch(owner) and not code.commit.startswith(commit):
            found = f"{owner} is at commit {code.commit or 'unknown'}"
            raise UserError(found, f"commit {commit}", "check it out there")
        digest = code_digest(code.folder)
        said = self._described(base, code, digest, model, weights)
        return Pretrained(
            base=base,
            architecture=f"hub/{model}",
            licence=licence_of(code.folder),
            revision=code.commit or f"code {digest[:12]}",
            weights=_kept(said["weights"]) if weights else Path(),
            weights_digest=digest_json([said["weights"], digest]),
            preprocess=_stated.restored(said["preprocess"]),
            adapted=tuple(said["adapted"]),
            config={"code_of": code.owner, "commit": code.commit, "code_sha256": digest, "model": model},
        )

    def sized(self, pretrained: Pretrained) -> Pretrained:
        """Return the model as it is: whether it runs at a size shows when it is run."""
        return pretrained

    def state(self, pretrained: Pretrained) -> dict[str, Array]:
        """Return the weights that the code has loaded."""
        return dict(load_file(pretrained.weights))

    def network(self, pretrained: Pretrained) -> Network:
        """Build the architecture by running the code, whose digest must be the one that was described.

        Raises UserError where the code is not trusted, not here, or another.
        """
        base, config = pretrained.base, pretrained.config
        code = self._trusted(base, str(config["code_of"]), str(config["commit"]))
        if code_digest(code.folder) != config["code_sha256"]:
            commit = config["commit"] or "none is known"
            raise UserError(
                f"the code of {base} in {code.folder} has changed since the model was made with it",
                f"the code whose SHA-256 begins with {str(config['code_sha256'])[:12]} (commit: {commit})",
                "restore it, or fit anew",
            )
        with entry(base, code.folder, str(config["model"]), self.allowed.offline) as made:
            return any_network(base, made.built(weights=not made.can_be_random), size_of(pretrained))

    def own_files(self, pretrained: Pretrained) -> Mapping[str, Any]:
        """Return nothing: torch.hub loads a state dict into the model that its code has made."""
        return {}

    def _trusted(self, base: str, owner: str, commit: str) -> _Code:
        """Return code that the user trusts. Raises UserError where not, before anything is fetched or run."""
        if not owner or (commit and not re.fullmatch(r"[\w.-]+", commit)):
            raise UserError(f"{base} names no code", _WRITTEN, "check the name")
        if _REPOSITORY.fullmatch(owner):
            _refuse(base, owner, owner in self.allowed.trusted)
            folder, commit = _github.code_of(base, owner, commit, self.allowed.offline)
            return _Code(owner=owner, folder=folder, commit=commit)
        folder = Path(owner).expanduser().resolve()
        if not folder.is_dir():
            raise UserError(f"{owner} is no folder", _WRITTEN, "check the path")
        named = {
            Path(one).expanduser().resolve() for one in self.allowed.trusted if not _REPOSITORY.fullmatch(one)
        }
        _refuse(base, owner, folder in named)
        return _Code(owner=str(folder), folder=folder, commit=head_of(folder))

    def _described(self, base: str, code: _Code, digest: str, model: str, weights: bool) -> dict[str, Any]:
        """Return what running the code has shown, once for each state of its files on a machine."""
        files = [
            (str(path.relative_to(code.folder)), (stat := path.stat()).st_size, stat.st_mtime_ns)
            for path in files_of(code.folder)
        ]
        state = digest_json([str(code.folder), model, weights, digest, files])

        def learn() -> dict[str, Any]:
            with entry(base, code.folder, model, self.allowed.offline) as made:
                return _learnt(base, made, weights)

        said = remembered("hub", str(_FORMAT), state, learn)
        kept = _kept(said["weights"])
        return said if kept.is_file() and digest_file(kept) == said["weights"] else learn()


def _parsed(base: str, name: str) -> tuple[str, str, str]:
    """Return whose code is named, the model, and the commit, empty where none is pinned."""
    owner, _, rest = name.rpartition(":")
    model, _, commit = rest.partition("@")
    if "\0" in name or not owner or not model.isidentifier():
        raise UserError(f"{base} names no model of a repository", _WRITTEN, "check the name")
    return owner, model, commit


def _refuse(base: str, owner: str, trusted: bool) -> None:
    """Raise UserError unless the code is trusted."""
    if not trusted:
        raise UserError(
            f"{base} runs the code of {owner}",
            "that you trust it, said with this very command",
            f"read the code, then add --trust {owner}",
        )


def _learnt(base: str, made: Entry, weights: bool) -> dict[str, Any]:
    """Make a model once: keep its weights as safetensors, and note what it states of itself."""
    torch = prepare_torch()
    if not weights and not made.can_be_random:
        raise UserError(
            f"--random-init of {base}, whose function takes neither pretrained= nor weights=",
            "a model that can be made without its weights",
            "leave it out",
        )
    with torch.random.fork_rng(devices=[]):
        module = made.built(weights)
    preprocess, adapted = _stated.preprocess(base, *made.stated(module))
    # A copy of each: tensors that share memory have no place in safetensors.
    state = {name: one for name, one in module.state_dict().items() if weights and torch.is_tensor(one)}
    content = save({name: np.array(one.detach().numpy(), order="C") for name, one in state.items()})
    digest = digest_bytes(content)
    write_bytes(_kept(digest), content)
    return {"weights": digest, "preprocess": asdict(preprocess), "adapted": adapted}


def _kept(digest: str) -> Path:
    return home() / "weights" / "hub" / f"{digest}.safetensors"
