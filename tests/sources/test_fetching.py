"""Models of a hub: fetched once, gone on with, checked, pinned; and nothing at all where that is asked."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from headstart.core.errors import UserError
from headstart.core.offline import Offline, nothing_fetched
from headstart.sources import _download
from headstart.specs import FitSpec
from headstart.verbs.common import allowed
from tests.sources.fake_hub import COMMIT, NAME, Hub, git_digest, served

FIND = """
import json, sys
from headstart.contracts import Allowed
from headstart.core.errors import HeadstartError
from headstart.model.trunk import find
from huggingface_hub import constants
constants.DOWNLOAD_CHUNK_SIZE = 4096
try:
    found = find(sys.argv[1], True, Allowed(offline=len(sys.argv) > 2))[1]
    print(json.dumps({"revision": found.revision, "digest": found.weights_digest}))
except HeadstartError as error:
    print(json.dumps({"error": str(error)}))
"""


@pytest.fixture
def hub(family_folder: Callable[[str], Path]) -> Iterator[Hub]:
    with served(family_folder("bert")) as one:
        yield one


@pytest.fixture
def find(hub: Hub, tmp_path: Path) -> Callable[..., tuple[dict[str, str], str]]:
    """Return a function that finds a model in a process of its own; it returns what was found and said."""

    def asked(*words: str, **more: str) -> tuple[dict[str, str], str]:
        done = subprocess.run(
            [sys.executable, "-c", FIND, *words],
            capture_output=True,
            text=True,
            check=True,
            env={**own(hub, tmp_path), **more},
        )
        return json.loads(done.stdout), done.stderr

    return asked


def own(hub: Hub, tmp_path: Path) -> dict[str, str]:
    """Return the variables of a process that knows this hub alone."""
    kept = {key: one for key, one in os.environ.items() if not key.startswith(("HF_", "TRANSFORMERS_"))}
    here = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
    return {**kept, **here}


def files(tmp_path: Path) -> list[Path]:
    return [one for one in (tmp_path / "hf" / "hub").rglob("*") if one.is_file() and "blobs" in one.parts]


def test_a_model_is_fetched_once_and_its_commit_is_told(
    hub: Hub, find: Callable[..., tuple[dict[str, str], str]], family_folder: Callable[[str], Path]
) -> None:
    found, said = find(f"hf:{NAME}")
    assert found["revision"] == COMMIT
    assert "model.safetensors" in said or "Fetching" in said  # progress, on standard error
    fetched = len(hub.asked)
    # From then on nothing is asked: not of the hub, and not where everything is refused.
    assert find(f"hf:{NAME}")[0] == found
    assert find(f"hf:{NAME}", "offline")[0] == found
    assert find(f"hf:{NAME}@{COMMIT}", HF_HUB_OFFLINE="1")[0] == found
    assert len(hub.asked) == fetched
    assert hub.got("model.safetensors") == [""]
    assert not [one for one in hub.asked if one[1].endswith(".bin")]


def test_a_download_that_is_cut_off_goes_on(
    hub: Hub, find: Callable[..., tuple[dict[str, str], str]]
) -> None:
    hub.cut_off = {"model.safetensors"}
    found, _ = find(f"hf:{NAME}")
    assert found["revision"] == COMMIT
    first, second = hub.got("model.safetensors")
    assert first == ""
    half = len(hub.files["model.safetensors"]) // 2
    assert half - 4096 < int(second.removeprefix("bytes=").removesuffix("-")) <= half


def test_a_download_that_was_killed_goes_on(
    hub: Hub, find: Callable[..., tuple[dict[str, str], str]], tmp_path: Path
) -> None:
    hub.stalled = {"model.safetensors"}
    killed = subprocess.Popen([sys.executable, "-c", FIND, f"hf:{NAME}"], env=own(hub, tmp_path))
    assert hub.halfway.wait(60)
    half, size = len(hub.files["model.safetensors"]) // 2, 0
    while size < half - (1 << 13):  # what it has buffered may be lost
        size = max((one.stat().st_size for one in files(tmp_path)), default=0)
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    found, _ = find(f"hf:{NAME}")
    assert found["revision"] == COMMIT
    first, second = hub.got("model.safetensors")
    assert first == ""
    assert half - (1 << 13) <= int(second.removeprefix("bytes=").removesuffix("-")) <= half
    (kept,) = [one for one in files(tmp_path) if one.stat().st_size > half]
    assert sha256(kept.read_bytes()).hexdigest() == kept.name
    assert not [one for one in files(tmp_path) if "partial" in one.name]


def test_what_damage_a_killed_download_has_left_is_found(
    hub: Hub, find: Callable[..., tuple[dict[str, str], str]], tmp_path: Path
) -> None:
    digest = sha256(hub.files["model.safetensors"]).hexdigest()
    blobs = tmp_path / "hf" / "hub" / f"models--{NAME.replace('/', '--')}" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f".{digest}.partial").write_bytes(b"no such beginning")
    error = find(f"hf:{NAME}")[0]["error"]
    assert "model.safetensors of hf:owner/model was not fetched as it is" in error
    assert "try again" in error
    assert find(f"hf:{NAME}")[0]["revision"] == COMMIT
    assert hub.got("model.safetensors") == ["bytes=17-", ""]


def published(hub: Hub, **other: str) -> dict[str, str]:
    digest = sha256(hub.files["model.safetensors"]).hexdigest()
    address = f"{hub.address}/{NAME}/resolve/main/model.safetensors"
    return {"file": "there.h5", "address": address, "hash": digest, **other}


@pytest.mark.parametrize(
    ("left", "ranges"),
    [
        (0, ["", "bytes={half}-"]),  # the first connection is lost in the middle
        (100, ["bytes=100-", "bytes={half}-"]),
        (-1, []),  # all of it had come
        (-2, ["bytes={more}-", ""]),  # more than there is: it is begun anew
    ],
)
def test_published_weights_go_on_where_they_ended(
    left: int, ranges: list[str], hub: Hub, tmp_path: Path
) -> None:
    content, said = hub.files["model.safetensors"], published(hub)
    kept = {-1: content, -2: content + b"more"}.get(left, content[:left])
    if kept:
        (tmp_path / f".{said['hash']}.partial").write_bytes(kept)
    hub.cut_off = {"model.safetensors"} if left >= 0 else set()
    file = _download.fetched("keras:X", tmp_path, said, "instead")
    assert file.read_bytes() == content
    assert [one.name for one in tmp_path.iterdir()] == ["there.h5"]
    named = {"half": str(len(content) // 2), "more": str(len(content) + 4)}
    assert hub.got("model.safetensors") == [one.format(**named) for one in ranges]


def test_what_was_not_published_is_removed_and_a_file_without_a_hash_begins_anew(
    hub: Hub, tmp_path: Path
) -> None:
    hub.wrong = {"model.safetensors"}
    with pytest.raises(UserError, match=r"there\.h5 was not fetched as it is .*; try again"):
        _download.fetched("keras:X", tmp_path, published(hub), "")
    assert not list(tmp_path.iterdir())
    hub.wrong = set()
    (tmp_path / "..partial").write_bytes(b"another's")
    file = _download.fetched("keras:X", tmp_path, published(hub, hash=""), "")
    assert file.read_bytes() == hub.files["model.safetensors"]


def test_offline_is_named_where_weights_are_published(hub: Hub, tmp_path: Path) -> None:
    with nothing_fetched(), pytest.raises(UserError, match=r"downloaded \(--offline\); .*; give a file"):
        _download.fetched("keras:X", tmp_path, published(hub), "give a file")
    assert hub.asked == []


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_other_bytes_than_the_hub_names_are_refused_and_removed(
    name: str, hub: Hub, find: Callable[..., tuple[dict[str, str], str]], tmp_path: Path
) -> None:
    hub.wrong = {name}
    error = find(f"hf:{NAME}")[0]["error"]
    assert f"{name} of hf:{NAME} was not fetched as it is" in error
    kept = {one.name: one.read_bytes() for one in files(tmp_path)}
    assert kept or name == "model.safetensors"  # which is fetched first
    assert all(
        digest in (sha256(content).hexdigest(), git_digest(content)) for digest, content in kept.items()
    )
    hub.wrong = set()
    assert find(f"hf:{NAME}")[0]["revision"] == COMMIT
    assert len(hub.got(name)) == 2


@pytest.mark.parametrize(
    ("base", "how", "why"),
    [
        ("hf:owner/other", {}, "the hub answers 404"),
        (f"hf:{NAME}@{'b' * 40}", {}, "the hub answers 404"),
        (f"hf:{NAME}", {"HF_ENDPOINT": "http://127.0.0.1:9"}, "ConnectError"),
        (f"hf:{NAME}", {"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set"),
        (f"hf:{NAME}", {"offline": "1"}, "--offline"),
    ],
)
def test_what_cannot_be_fetched_is_one_sentence(
    base: str,
    how: dict[str, str],
    why: str,
    find: Callable[..., tuple[dict[str, str], str]],
    hub: Hub,
    tmp_path: Path,
) -> None:
    here = tmp_path / "hf" / "hub" / "models--owner--here" / "snapshots" / "0"
    here.mkdir(parents=True)
    (here / "model.safetensors").touch()
    words = (base, "offline") if how.pop("offline", "") else (base,)
    error = find(*words, **how)[0]["error"]
    assert f"could not be downloaded ({why}); expected a cached model (owner/here), a folder" in error
    assert "\n" not in error
    assert why.endswith("404") or hub.asked == []


def test_offline_refuses_this_threads_connections_alone(hub: Hub) -> None:
    port = int(hub.address.rpartition(":")[2])
    with nothing_fetched():
        with pytest.raises(Offline, match="--offline"):
            socket.create_connection(("127.0.0.1", port), 5)
        with pytest.raises(Offline, match="--offline"):
            socket.getaddrinfo("localhost", port)
        with socket.socket() as plain, pytest.raises(Offline, match="--offline"):
            plain.connect(("127.0.0.1", port))
        others: list[object] = []
        thread = threading.Thread(
            target=lambda: others.append(socket.create_connection(("127.0.0.1", port), 5).close())
        )
        thread.start()
        thread.join()
        assert others == [None]
        one, other = socket.socketpair()
        one.sendall(b"within the machine")
        assert other.recv(18) == b"within the machine"
        one.close()
        other.close()
    socket.create_connection(("127.0.0.1", port), 5).close()


@pytest.mark.parametrize(
    ("said", "expected"), [("1", True), ("true", True), ("ON", True), ("0", False), ("", False)]
)
def test_the_libraries_variables_hold_for_all(
    said: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("TRANSFORMERS_OFFLINE", said)
    assert allowed(FitSpec("x")).offline is expected
    assert allowed(FitSpec("x", offline=True)).offline
