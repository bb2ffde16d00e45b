"""Stopped at any instant, ``fit`` leaves no half-made run, and the next one is as if undisturbed."""

import hashlib
import itertools
import json
import os
import random
import resource
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from headstart.core.run import claim
from tests.verbs.conftest import NOTO, ROOT, SMALL, Call, contents, copy_pictures, run

ALL_OF_IT = ("--engine", "torch")
"""Which engine is fastest is measured, so two homes may choose two: bit-identity needs one engine."""

KILLER = """
import os, random, signal, sys, time
from pathlib import Path
from headstart import cli
from headstart.core.frameworks import prepare_torch
import headstart.terminal, headstart.verbs.fit, headstart.sources.pack
import headstart.tasks.image_classification, headstart.engines.torch, headstart.model.pooling
from headstart.core import plugins
for layout in plugins.names("layout"): plugins.load("layout", layout)
prepare_torch()
import timm
import headstart.fitting.checkpoints, headstart.fitting.tuning
headstart.fitting.checkpoints._EVERY_S = headstart.fitting.checkpoints._SHARE = 0.0

data, work, seed, kills = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])

def start(number):
    # Everything is imported once; each attempt is a fork of it, with a home of its own.
    child = os.fork()
    if child:
        return child
    os.environ["HEADSTART_HOME"] = str(work / f"home{number}")
    os.dup2(os.open(work / f"said{number}", os.O_CREAT | os.O_WRONLY | os.O_APPEND), 2)
    os.dup2(2, 1)
    os._exit(cli.main(["fit", data, "--out", str(work / f"run{number}"),
                       "--image-size", "64", "--engine", "torch", *sys.argv[5:]]))

begin = time.monotonic()
_, status = os.waitpid(start(0), 0)
assert status == 0, status
whole_s = time.monotonic() - begin
chance = random.Random(seed)
for number in range(1, kills + 1):
    child = start(number)
    instant_s = chance.uniform(0.0, whole_s)
    time.sleep(instant_s)
    os.kill(child, signal.SIGKILL)
    _, killed = os.waitpid(child, 0)
    _, status = os.waitpid(start(number), 0)
    print(number, f"{instant_s:.3f}/{whole_s:.3f}", killed, status, flush=True)
"""


SLOWLY = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts behind itself ignores it
from headstart import cli
from headstart.engines.torch import TorchEngine

compile_trunk = TorchEngine.compile

def compile(self, trunk):
    run = compile_trunk(self, trunk)
    def slowly(batch):
        print("batch", file=sys.stderr, flush=True)
        time.sleep(0.3)
        return run(batch)
    return slowly

TorchEngine.compile = compile
sys.exit(cli.main(sys.argv[1:]))
"""


def digests(run_folder: Path) -> dict[str, str]:
    """Return what must be equal to the bit: weights, predictions' figures and the split."""
    files = ("model/head.safetensors", "model/model.safetensors", "evaluation.json", "split.json")
    return {name: hashlib.sha256((run_folder / name).read_bytes()).hexdigest() for name in files}


STEPPED = ("--head-hidden", "16", "--epochs", "12", "--average", "2", "--accumulate", "2", "--resume")
FULL = (
    *("--strategy", "full", "--epochs", "2", "--accumulate", "2", "--resume"),
    *("--augment", "standard", "--mixup", "0.2", "--batch-size", "4"),
)


@pytest.mark.parametrize("options", [(), STEPPED, FULL], ids=["solved", "stepped", "full"])
def test_killed_at_random_instants(
    options: tuple[str, ...],
    fitted: object,
    headstart_home: Path,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    data = copy_pictures(tmp_path / "few", each=7)  # a fit is made seven times
    kills = int(os.environ.get("HEADSTART_TEST_KILLS", "3"))
    for number in range(kills + 1):
        for part in ("weights", "graphs"):
            shutil.copytree(headstart_home / part, tmp_path / f"home{number}" / part, copy_function=os.link)
    words = [
        sys.executable,
        "-c",
        KILLER,
        data,
        tmp_path,
        str(random.SystemRandom().randrange(10**6)),
        kills,
        *options,
    ]
    done = subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=200 + 80 * kills,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr + done.stdout
    expected = digests(tmp_path / "run0")
    for number in range(1, kills + 1):
        said = (tmp_path / f"said{number}").read_text()
        assert digests(tmp_path / f"run{number}") == expected, f"{done.stdout}\n{said}"
        assert "Traceback" not in said
    left = {file.name for file in tmp_path.iterdir() if file.name.startswith(".")}
    assert left == set()
    record_property("count", kills)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_interrupted_while_features_are_computed(
    number: signal.Signals, own_home: Path, tmp_path: Path, call: Call
) -> None:
    words = ("fit", NOTO, "--out", tmp_path / "run", *SMALL, *ALL_OF_IT)
    process = subprocess.Popen(
        [sys.executable, "-c", SLOWLY, *map(str, words)], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    said = list(itertools.islice((line for line in process.stderr if line == "batch\n"), 3))
    process.send_signal(number)
    said += list(process.stderr)
    process.stderr.close()
    assert process.wait(60) == 130
    assert "Traceback" not in "".join(said)
    kept, _, again = said[-1].rstrip("\n").partition("; go on with: ")
    assert kept == "headstart: interrupted; what was computed is kept"
    assert shlex.split(again)[:3] == ["headstart", "fit", str(NOTO)]
    assert "--resume" in shlex.split(again)
    assert [file.name for file in tmp_path.iterdir() if file != own_home] == []
    tables = call("cache", "--json").json["tables"]
    assert sum(table["rows"] for table in tables) >= 32


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file grow beyond ``size`` bytes: to a program that is what a full disk looks like."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    "limit",
    [
        (0, "log.jsonl", True),
        (20_000, "safetensors", True),
        (2_000_000, "model.safetensors", True),
        (500_000, ".seg", False),
    ],
)
def test_a_full_disk(
    limit: tuple[int, str, bool],
    own_home: Path,
    headstart_home: Path,
    emoji: Path,
    tmp_path: Path,
    call: Call,
) -> None:
    room, stops_at, cached = limit
    if cached:
        shutil.copytree(headstart_home / "features", own_home / "features")
    before = contents(own_home)
    with largest_file(room):
        done = call("fit", emoji, "--out", tmp_path / "run", *SMALL, "--engine", "torch")
    assert done.code == 1
    assert stops_at in done.complaint
    assert "file too large" in done.complaint
    if room:
        assert "bytes needed" in done.complaint
    assert [file.name for file in tmp_path.iterdir() if file != own_home] == []
    kept = contents(own_home)
    assert {name: kept[name][1] for name in before} == {
        name: content for name, (_, content) in before.items()
    }
    assert not [name for name in kept if ".partial-" in name]
    assert call("fit", emoji, "--out", tmp_path / "run", *SMALL, "--engine", "torch").code == 0


def test_two_at_once_on_one_folder(emoji: Path, fitted: object, tmp_path: Path, call: Call) -> None:
    with claim(tmp_path / "run") as staging:
        (staging / "run.json").write_text("{}")
        loser = call("fit", emoji, "--out", tmp_path / "run", *SMALL)
        assert loser.code == 2
        assert "another headstart process is writing" in loser.complaint
        assert (staging / "run.json").read_text() == "{}"
    assert contents(tmp_path / "run").keys() == {"run.json"}


def test_a_race_of_two_real_processes(emoji: Path, fitted: object, tmp_path: Path) -> None:
    words = ("fit", emoji, "--out", tmp_path / "run", *SMALL, "--json")
    with ThreadPoolExecutor(2) as pool:
        done = [one.result() for one in [pool.submit(run, *words) for _ in range(2)]]
    assert sorted(one.code for one in done) in ([0, 2], [0, 0])
    for one in done:
        if one.code:
            assert str(tmp_path / "run") in one.complaint
        else:
            assert one.json["metrics"] == json.loads((tmp_path / "run" / "run.json").read_text())["metrics"]
    assert [file.name for file in tmp_path.iterdir()] == ["run"]
