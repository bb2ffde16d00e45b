"""torch.hub's models: trusted or not run, pinned, as torch.hub's own; from a clone and from GitHub."""

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.contracts import Allowed, PicturePreprocess, Source
from headstart.core import plugins
from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch
from headstart.model.trunk import find_model
from headstart.sources import _github
from headstart.sources._clone import head_of
from tests.sources.hub_repository import COMMIT, archive, clone

torch = prepare_torch()

SIZES = {"image_size": None, "max_length": None}
OTHER, OLDER, TAGGED, FORKED = "f" * 40, "a" * 40, "b" * 40, "c" * 40
KNOWN = (COMMIT, OLDER, TAGGED, FORKED)
MARKER = "import pathlib; pathlib.Path({!r}).touch()\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone; not to be changed."""
    return clone(tmp_path_factory.mktemp("hub") / "clone")


@pytest.fixture
def own(folder: Path, tmp_path: Path) -> Path:
    """A clone that may be changed."""
    return shutil.copytree(folder, tmp_path / "own")


def source(*trusted: str | Path, offline: bool = False) -> Source:
    kind = type(plugins.load("source", "hub"))
    found: Source = kind(Allowed(trusted=frozenset(map(str, trusted)), offline=offline))
    return found


def model(base: str, *trusted: str | Path, seed: int | None = None, size: int = 64) -> Any:
    allowed = Allowed(trusted=frozenset(map(str, trusted)))
    return find_model(base, "picture", {**SIZES, "image_size": size}, seed, allowed)


def torch_hubs(folder: Path, name: str = "small_cnn") -> Any:
    """Return the model as torch.hub itself loads it, its modules forgotten again and nothing left there."""
    before, sys.dont_write_bytecode, writes = set(sys.modules), True, sys.dont_write_bytecode
    try:
        return torch.hub.load(str(folder), name, source="local").eval()
    finally:
        sys.dont_write_bytecode = writes
        for one in set(sys.modules) - before:
            if one.startswith("nets"):
                del sys.modules[one]


def test_the_blocks_are_those_of_torch_hubs_own_model(folder: Path) -> None:
    theirs = torch_hubs(folder)
    ours = model(f"hub:{folder}:small_cnn", folder)
    pixels_NCHW = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        x1 = theirs.conv1(pixels_NCHW).relu()
        x2 = theirs.conv2(x1).relu()
        x3 = theirs.bn(theirs.conv3(x2)).relu()
        logits = theirs(pixels_NCHW)
        found = ours.module.network.outputs(pixels_NCHW)
        told = ours.module.inner(pixels_NCHW)
    assert ours.module.network.blocks == ("conv1", "conv2", "conv3", "conv4", "fc.input")
    torch.testing.assert_close(told, logits, rtol=0, atol=0)
    # Activations that are functions are seen where the next layer takes them.
    for output, expected in zip(found[:3], (x1, x2, x3), strict=True):
        torch.testing.assert_close(output, expected, rtol=0, atol=0)
    torch.testing.assert_close(theirs.fc(found[4]), logits)


@pytest.mark.parametrize("engine", ["torch", "onnxruntime", "openvino"])
def test_every_engine_agrees(folder: Path, engine: str) -> None:
    one = model(f"hub:{folder}:small_cnn", folder)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    run = plugins.load("engine", engine).compile(one.trunk())
    with torch.inference_mode():
        expected_ND = one.module(torch.from_numpy(pixels)).numpy()
    whole_ND = run({"pixels": pixels})
    assert np.abs(whole_ND - expected_ND).max() < 1e-4 * np.abs(expected_ND).max()
    np.testing.assert_allclose(run({"pixels": pixels[:1]}), whole_ND[:1], rtol=1e-4, atol=1e-5)


def test_what_is_described(folder: Path) -> None:
    found = source(folder).find(f"{folder}:small_cnn")
    assert (found.licence, found.revision, found.architecture) == ("mit", COMMIT, "hub/small_cnn")
    assert [one.partition(": ")[0] for one in found.adapted] == [
        f"hub:{folder}:small_cnn states no preprocessing"
    ]
    stated = source(folder).find(f"{folder}:stated")
    assert stated.adapted == ()
    assert isinstance(stated.preprocess, PicturePreprocess)
    assert (stated.preprocess.size, stated.preprocess.std) == (48, (0.25, 0.25, 0.25))


def test_the_transform_of_torchvisions_weights_is_honoured(folder: Path) -> None:
    found = source(folder).find(f"{folder}:with_weights")
    assert found.adapted == ()
    assert isinstance(found.preprocess, PicturePreprocess)
    assert (found.preprocess.size, found.preprocess.crop) == (224, 224 / 256)
    plain = source(folder).find(f"{folder}:small_cnn")
    assert found.weights == plain.weights
    assert source(folder).find(f"{folder}:with_weights", weights=False).weights == Path()


def test_nothing_stays_of_the_code(folder: Path) -> None:
    modules, path = set(sys.modules), list(sys.path)
    _ = model(f"hub:{folder}:small_cnn", folder).module
    assert not {name for name in set(sys.modules) - modules if name.startswith(("nets", "hubconf"))}
    assert sys.path == path
    assert not list(folder.rglob("__pycache__"))


def test_modules_of_one_name_in_two_clones_are_two(folder: Path, own: Path) -> None:
    network = own / "nets" / "small.py"
    network.write_text(network.read_text().replace("F.relu(self.conv4(x))", "F.gelu(self.conv4(x))"))
    pixels_NCHW = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        logits = [model(f"hub:{one}:small_cnn", one).module.inner(pixels_NCHW) for one in (folder, own)]
        torch.testing.assert_close(logits[0], torch_hubs(folder)(pixels_NCHW))
        torch.testing.assert_close(logits[1], torch_hubs(own)(pixels_NCHW))
    assert not torch.equal(*logits)


def test_random_weights_are_drawn_anew(folder: Path) -> None:
    base = f"hub:{folder}:small_cnn"
    before = torch.get_rng_state()
    first, again, other = (model(base, folder, seed=seed).state["conv1.weight"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(UserError, match="neither pretrained= nor weights="):
        model(f"hub:{folder}:always", folder, seed=0)
    assert model(f"hub:{folder}:always", folder).columns()


@pytest.mark.parametrize("trusted", ["", "somebody/else", "/", "..", "small_cnn", "hub", "*", "mit"])
def test_code_that_is_not_trusted_does_not_run(own: Path, trusted: str) -> None:
    marker = own.parent / "ran"
    for file in ("hubconf.py", "nets/__init__.py", "nets/small.py"):
        (own / file).write_text(MARKER.format(str(marker)) + (own / file).read_text())
    with pytest.raises(UserError) as told:
        source(trusted).find(f"{own}:small_cnn")
    assert not marker.exists()
    assert f"add --trust {own}." in str(told.value)
    source(own).find(f"{own}:small_cnn")
    assert marker.exists()


def test_trusting_a_repository_trusts_no_folder_of_its_name(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    shutil.copytree(folder, tmp_path / "owner" / "repo")
    with pytest.raises(UserError, match="not in torch's cache"):
        source("owner/repo", offline=True).find("owner/repo:small_cnn")
    with pytest.raises(UserError, match=r"add --trust \./owner/repo"):
        source("owner/repo").find("./owner/repo:small_cnn")
    assert source("owner/../owner/repo").find("./owner/repo:small_cnn").revision == COMMIT


def test_a_described_model_runs_no_code_without_trust(own: Path) -> None:
    """What a file says of a model is not the user's word: neither for the same code nor for another's."""
    described = source(own).find(f"{own}:small_cnn")
    with pytest.raises(UserError, match="add --trust"):
        source().network(described)
    elsewhere = shutil.copytree(own, own.parent / "elsewhere")
    moved = described.config | {"code_of": str(elsewhere)}
    for config in (moved, moved | {"trusted": True, "trust": str(elsewhere)}):
        changed = type(described)(
            **{**{f: getattr(described, f) for f in described.__slots__}, "config": config}
        )
        with pytest.raises(UserError, match=f"add --trust {elsewhere}"):
            source(own).network(changed)


def test_code_that_has_changed_is_refused(own: Path) -> None:
    described = source(own).find(f"{own}:small_cnn")
    (own / "notes.md").write_text("a note is no code")
    assert source(own).network(described)
    (own / ".git" / "refs" / "heads" / "main").write_text(f"{OTHER}\n")
    assert source(own).network(described)  # whatever the commit, it is the same code
    (own / "nets" / "more.py").write_text("x = 1\n")
    with pytest.raises(UserError, match="has changed since"):
        source(own).network(described)


def test_changed_weights_are_other_weights(own: Path) -> None:
    before = source(own).find(f"{own}:small_cnn")
    state = torch.load(own / "small.pth", weights_only=True)
    torch.save({**state, "fc.bias": state["fc.bias"] + 1}, own / "small.pth")
    after = source(own).find(f"{own}:small_cnn")
    assert before.weights_digest != after.weights_digest
    np.testing.assert_allclose(source(own).state(after)["fc.bias"], state["fc.bias"].numpy() + 1)


def test_a_clone_is_at_the_commit_that_is_asked_for(own: Path) -> None:
    assert source(own).find(f"{own}:small_cnn@{COMMIT[:8]}").revision == COMMIT
    with pytest.raises(UserError, match=f"is at commit {COMMIT}; expected commit {OTHER}"):
        source(own).find(f"{own}:small_cnn@{OTHER}")
    shutil.rmtree(own / ".git")
    assert source(own).find(f"{own}:small_cnn").revision.startswith("code ")


def test_the_commit_is_read_as_git_writes_it(tmp_path: Path) -> None:
    git = ("git", "-c", "user.name=x", "-c", "user.email=x@y", "-C", str(tmp_path))
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "file").touch()
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "one"], check=True)
    expected = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout
    assert head_of(tmp_path) == expected.strip()
    subprocess.run([*git, "pack-refs", "--all"], check=True)
    assert head_of(tmp_path) == expected.strip()
    subprocess.run([*git, "checkout", "-q", "--detach"], check=True)
    assert head_of(tmp_path) == expected.strip()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("no_such_model", "expected one of small_cnn, always"),
        ("a_number", "gives a int; expected a torch.nn.Module"),
        ("fails", "RuntimeError: no such file: weights.pth"),
        ("ends", "SystemExit: 3"),
        ("_HERE", "names no model"),
        ("for_texts", "cannot be run at 64 px"),
    ],
)
def test_what_the_code_cannot_give_is_one_sentence(folder: Path, name: str, told: str) -> None:
    with pytest.raises(UserError) as error:
        _ = model(f"hub:{folder}:{name}", folder).module
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_code_that_is_offline_fetches_nothing(folder: Path) -> None:
    with pytest.raises(UserError, match="nothing is fetched: --offline"):
        source(folder, offline=True).find(f"{folder}:fetches")
    with pytest.raises(UserError, match="refused"):  # nobody listens there
        source(folder).find(f"{folder}:fetches")


def test_missing_dependencies_are_named(own: Path) -> None:
    file = own / "hubconf.py"
    file.write_text(file.read_text().replace('["torch"]', '["torch", "no_such_package"]'))
    with pytest.raises(UserError, match="needs no_such_package"):
        source(own).find(f"{own}:small_cnn")


@pytest.fixture
def github(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[bytes], list[str]]]:
    """Return a function that gives a server here an archive to serve, as GitHub; it returns what is asked."""
    asked: list[str] = []
    content = {"archive": archive(folder, f"owner-repo-{COMMIT[:7]}")}

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            compared = f"/repos/owner/repo/compare/{COMMIT}..."
            known = {
                "/repos/owner/repo/commits/HEAD": COMMIT.encode(),
                "/repos/owner/repo/commits/v1": TAGGED.encode(),
                f"{compared}{OLDER}?per_page=1": b'{"status": "behind"}',
                f"{compared}{TAGGED}?per_page=1": b'{"status": "diverged"}',
                f"{compared}{FORKED}?per_page=1": b'{"status": "ahead"}',
                "/repos/owner/repo/branches?per_page=100": b"[]",
                "/repos/owner/repo/tags?per_page=100": json.dumps([{"commit": {"sha": TAGGED}}]).encode(),
                **{
                    f"/owner/repo/zipball/{one}": content["archive"].replace(COMMIT.encode(), one.encode())
                    for one in (COMMIT, OLDER, TAGGED, FORKED)
                },
            }
            body = known.get(self.path, b"")
            self.send_response(200 if self.path in known else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(_github, "API", address)
    monkeypatch.setattr(_github, "SITE", address)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))

    def serving(packed: bytes) -> list[str]:
        content["archive"] = packed or content["archive"]
        return asked

    yield serving
    server.shutdown()
    thread.join()
    server.server_close()


def test_from_github_once_and_pinned(github: Callable[[bytes], list[str]], tmp_path: Path) -> None:
    asked = github(b"")
    with pytest.raises(UserError, match="add --trust owner/repo"):
        source().find("owner/repo:small_cnn")
    assert asked == []  # nothing is fetched before it is trusted
    found = source("owner/repo").find("owner/repo:small_cnn")
    assert found.revision == COMMIT
    assert asked == ["/repos/owner/repo/commits/HEAD", f"/owner/repo/zipball/{COMMIT}"]
    kept = tmp_path / "torch" / "hub"
    assert [one.name for one in kept.iterdir()] == [f"owner_repo_{COMMIT}"]
    # From now on it is here, also offline, by its commit's beginning, and as torch.hub itself looks for it.
    for name in ("owner/repo:small_cnn", f"owner/repo:small_cnn@{COMMIT[:10]}"):
        again = source("owner/repo", offline=True).find(name)
        assert again.revision == COMMIT
        assert source("owner/repo", offline=True).network(again)
    own = torch.hub.load(
        f"owner/repo:{COMMIT}", "small_cnn", skip_validation=True, trust_repo=True, verbose=False
    )
    np.testing.assert_array_equal(source("owner/repo").state(found)["fc.bias"], own.state_dict()["fc.bias"])
    assert len(asked) == 2
    shutil.copytree(kept / f"owner_repo_{COMMIT}", kept / f"owner_repo_{OTHER}")
    with pytest.raises(UserError, match=r"2 commits of owner/repo .*write @ and one of 0123"):
        source("owner/repo").find("owner/repo:small_cnn")
    for name in [one for one in sys.modules if one.startswith("nets")]:
        del sys.modules[name]


def test_commits_of_the_repository_are_taken_and_those_of_forks_are_not(
    github: Callable[[bytes], list[str]], tmp_path: Path
) -> None:
    """GitHub serves a fork's commit under the trusted name, too."""
    for asked, commit in ((OLDER, OLDER), ("v1", TAGGED)):
        assert source("owner/repo").find(f"owner/repo:small_cnn@{asked}").revision == commit
    with pytest.raises(UserError, match=f"commit {FORKED} belongs to no branch or tag of owner/repo"):
        source("owner/repo").find(f"owner/repo:small_cnn@{FORKED}")
    assert not [one for one in github(b"") if one.endswith(f"zipball/{FORKED}")]


def test_github_out_of_reach_is_one_sentence(github: Callable[[bytes], list[str]], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--offline.*there is none") as told:
        source("owner/repo", offline=True).find("owner/repo:small_cnn")
    assert github(b"") == []
    with pytest.raises(UserError, match="Not Found"):
        source("owner/other").find("owner/other:small_cnn")
    with pytest.raises(UserError, match="Not Found"):
        source("owner/repo").find(f"owner/repo:small_cnn@{OTHER}")
    assert "\n" not in str(told.value)
    assert not list((tmp_path / "torch").rglob("owner_repo*"))


def spoilt(kind: str) -> bytes:
    import io
    import zipfile

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as opened:
        opened.writestr("top/hubconf.py", "")
        if kind == "link":
            link = zipfile.ZipInfo("top/link")
            link.external_attr = 0o120777 << 16
            opened.writestr(link, "/etc/passwd")
        elif kind != "cut off":
            opened.writestr({"outside": "top/../../x", "absolute": "/x", "two": "other/x"}[kind], "")
    return packed.getvalue()[: 60 if kind == "cut off" else None]


@pytest.mark.parametrize("kind", ["link", "outside", "absolute", "two", "cut off"])
def test_an_odd_archive_leaves_nothing(
    kind: str, github: Callable[[bytes], list[str]], tmp_path: Path
) -> None:
    github(spoilt(kind))
    with pytest.raises(UserError, match="could not be fetched"):
        source("owner/repo").find("owner/repo:small_cnn")
    assert not [one for one in tmp_path.rglob("*") if one.is_file()]


def test_a_newer_process_describes_without_torch(folder: Path) -> None:
    source(folder).find(f"{folder}:small_cnn")
    code = (
        "import sys; from headstart.contracts import Allowed; from headstart.model.trunk import find\n"
        "find(f'hub:{sys.argv[1]}:small_cnn', True, Allowed(trusted=frozenset(sys.argv[1:])))\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True, env=os.environ
    )
    assert json.loads(done.stdout.lower()) is False


@pytest.mark.parametrize(
    "name",
    [
        *("owner/repo", "owner/repo:", ":model", "owner/repo:two words", "owner/repo:a.b", "a\0b:model"),
        *("owner/repo:model@../..", "owner/repo:model@a b", "a_b/c:model", "./nowhere:model", "owner:model"),
    ],
)
def test_what_names_no_repository_is_one_sentence(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"hub:OWNER/REPO:MODEL or hub:\./FOLDER:MODEL") as told:
        source("owner/repo", "a_b/c", "owner", offline=True).find(name)
    assert "\n" not in str(told.value)
