"""One save of a checkpoint, killed and refused at every call; its files with flipped bits and cut short."""

import errno
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from headstart.core.errors import MachineError
from headstart.fitting import checkpoints
from headstart.fitting.checkpoints import Checkpoints
from tests.core.faults import Disk, Met, disorder, forked, met

ROOT = Path(__file__).resolve().parents[2]
ERRORS = (errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EACCES, errno.EROFS)
FLIPS = 1_000
Tell = Callable[[str, object], None]


def save(folder: Path, step: int) -> None:
    Checkpoints(folder).save(step, {"a": np.arange(30.0) + step, "b": np.ones((2, 2))}, {"step": step})


def restored(folder: Path) -> int:
    """Return the step that training goes on from, checked to be the one that was saved."""
    found = Checkpoints(folder).newest()
    assert found is not None
    tensors, facts = found
    assert np.array_equal(tensors["a"], np.arange(30.0) + facts["step"])
    return int(facts["step"])


def whole(folder: Path) -> bool:
    """Say, in a slow way, whether a folder holds all of a checkpoint."""
    digests = json.loads((folder / "manifest.json").read_text())
    files = {"manifest.json", *digests}
    return files == {file.name for file in folder.iterdir()} and all(
        hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest for name, digest in digests.items()
    )


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two checkpoints, to be copied: the third save removes the first."""
    folder = tmp_path_factory.mktemp("two")
    save(folder, 1)
    save(folder, 2)
    return folder


def third(two: Path, folder: Path, disk: Disk) -> tuple[int, str]:
    """Save a third checkpoint beside a copy of the two, in a process that meets a disk."""
    shutil.copytree(two, folder)

    def work() -> str:
        with met(disk):
            try:
                save(folder, 3)
            except MachineError as error:
                return str(error)
        return ""

    return forked(work)


@pytest.fixture(scope="module")
def calls(two: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Met]:
    """The calls of one save, in order."""
    folder = tmp_path_factory.mktemp("calls") / "copy"
    shutil.copytree(two, folder)
    disk = Disk(folder)
    with met(disk):
        save(folder, 3)
    assert {call for call, _ in disk.calls} >= {
        "mkdir",
        "open",
        "write",
        "fsync",
        "rename",
        "unlink",
        "rmdir",
    }
    return disk.calls


def check(folder: Path, two: Path) -> None:
    """Assert that all that are there are whole, the newest is gone on from, and the next save is well."""
    there = sorted(one.name for one in folder.glob("step-*"))
    assert all(whole(folder / name) for name in there), there
    assert {"step-00000002"} <= set(there)
    assert restored(folder) == int(there[-1][-1])
    save(folder, 4)
    left = sorted(one.name for one in folder.iterdir())
    assert left == [there[-1], "step-00000004"]
    shutil.rmtree(folder)


def test_files_are_synced_before_they_are_named_and_folders_after(calls: list[Met]) -> None:
    assert disorder(calls) == []
    assert [path for call, path in calls if call == "rename"] == [
        *[".partial-00000003/.partial-"] * 3,
        ".partial-00000003",
        "step-00000001",
    ]


def test_a_wrong_order_is_noticed(calls: list[Met]) -> None:
    """Whichever sync is left out, what is written or named before it could be lost."""
    syncs = [place for place, (call, _) in enumerate(calls) if call == "fsync"]
    assert len(syncs) >= 7
    for place in syncs:
        assert disorder([*calls[:place], *calls[place + 1 :]])


def test_killed_at_every_call(two: Path, calls: list[Met], tmp_path: Path, record_property: Tell) -> None:
    for at in range(1, len(calls) + 1):
        status, _ = third(two, tmp_path / "c", Disk(tmp_path / "c", at))
        assert status == -signal.SIGKILL
        check(tmp_path / "c", two)
    record_property("count", len(calls))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: errno.errorcode[error])
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
def test_refused_at_every_call(
    error: int, lasting: bool, two: Path, calls: list[Met], tmp_path: Path, record_property: Tell
) -> None:
    published = calls.index(("rename", ".partial-00000003")) + 1
    for at, (call, path) in enumerate(calls, 1):
        status, said = third(two, tmp_path / "c", Disk(tmp_path / "c", at, error, lasting))
        assert status == 0, (call, path)
        if at <= published:  # what follows makes it last, and clears up
            assert said or call == "mkdir", (call, path)  # a folder that is there may be made again
            assert not said or not (tmp_path / "c" / "step-00000003").exists()
        if said:
            sentence = (
                rf"Writing .*'{tmp_path}/c.*' failed: {os.strerror(error).lower()} \([\d,]+ bytes needed\); "
                r"nothing half-written was kept\."
            )
            assert re.fullmatch(sentence, said), said
        check(tmp_path / "c", two)
    record_property("count", len(calls))


FILLING = """
import sys
from pathlib import Path
from tests.fitting.test_saves import restored, save
import numpy as np
from headstart.fitting.checkpoints import Checkpoints
from headstart.core.errors import MachineError
folder = Path(sys.argv[1])
save(folder, 1)
try:
    Checkpoints(folder).save(2, {"a": np.zeros(100_000)}, {})
except MachineError as error:
    print(error)
print(restored(folder), sorted(one.name for one in folder.iterdir()))
"""


def mounted(folder: Path, size: str, words: list[str]) -> "subprocess.CompletedProcess[str]":
    """Run a command where ``folder`` is a small disk of its own, which only that command sees."""
    script = f"mount -t tmpfs -o size={size} small {folder} && exec {sys.executable} " + '"$@"'
    return subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script, "sh", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_a_small_disk_that_fills(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    if mounted(tmp_path / "disk", "64k", ["-c", ""]).returncode:
        pytest.skip("this machine lets no user mount a disk of his own")
    done = mounted(tmp_path / "disk", "256k", ["-c", FILLING, str(tmp_path / "disk")])
    assert done.returncode == 0, done.stderr
    said, left = done.stdout.splitlines()
    assert said.startswith(f"Writing '{tmp_path / 'disk'}/")
    assert "no space left on device (800,0" in said
    assert left == "1 ['step-00000001']"


def damaged(
    two: Path, folder: Path, caplog: pytest.LogCaptureFixture, changes: list[tuple[str, bytes]]
) -> None:
    """Assert of each changed file of the newest that it is noticed, told, and that the one before is used."""
    shutil.copytree(two, folder)
    newest = folder / "step-00000002"
    for name, content in changes:
        before = (newest / name).read_bytes()
        assert content != before
        caplog.clear()
        (newest / name).write_bytes(content)
        assert restored(folder) == 1, name
        assert f"{newest} is damaged: the checkpoint before it is used" in caplog.text
        (newest / name).write_bytes(before)
    assert restored(folder) == 2


def files_of(two: Path) -> dict[str, bytes]:
    names = (checkpoints.TENSORS, checkpoints.STATE, checkpoints.MANIFEST)
    return {name: (two / "step-00000002" / name).read_bytes() for name in names}


def test_flipped_bits(
    two: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, record_property: Tell
) -> None:
    """A thousand of them, spread evenly over all bits of all files."""
    files = files_of(two)
    bits = [(name, bit) for name, content in files.items() for bit in range(8 * len(content))]
    assert len(bits) > FLIPS
    changes = []
    for name, bit in (bits[place * len(bits) // FLIPS] for place in range(FLIPS)):
        content = bytearray(files[name])
        content[bit // 8] ^= 1 << bit % 8
        changes.append((name, bytes(content)))
    damaged(two, tmp_path / "c", caplog, changes)
    record_property("count", FLIPS)


def test_every_truncation(
    two: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, record_property: Tell
) -> None:
    changes = [
        (name, content[:size]) for name, content in files_of(two).items() for size in range(len(content))
    ]
    damaged(two, tmp_path / "c", caplog, changes)
    record_property("count", len(changes))
