"""``--group``: what belongs together stays together, and counts as one in every interval."""

from pathlib import Path

import numpy as np
import pytest

from headstart.core.run import read_part
from headstart.core.tallies import load_tallies
from tests.verbs.conftest import CLASSES, SMALL, Call, copy_pictures

PATTERN = r"artist-(\d+)"


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve artists of three or four pictures, of two classes each."""
    root = copy_pictures(tmp_path_factory.mktemp("data") / "drawings")
    for place, name in enumerate(CLASSES):
        for number, file in enumerate(sorted((root / name).iterdir())):
            file.rename(file.with_name(f"{file.stem}-artist-{(number // 2 + 2 * place) % 12}.png"))
    return root


def artist(key: str) -> str:
    return key.rpartition("-")[2]


def test_splits_folds_and_intervals_hold_groups(
    drawings: Path, tmp_path: Path, headstart_home: Path, call: Call
) -> None:
    run = tmp_path / "run"
    done = call("fit", drawings, "--out", run, *SMALL, "--layers", "last", "--group", PATTERN, "--json").json
    assert "groups kept together" in done["split"]["made"]
    assert f"grouped by the pattern '{PATTERN}': 11 groups" in [one["what"] for one in done["notes"]]
    role_of: dict[str, set[str]] = {}
    for role, examples in read_part(run, "split.json").items():
        for one in examples:
            role_of.setdefault(artist(one["key"]), set()).add(role)
    assert {len(roles) for roles in role_of.values()} == {1}
    tallies = load_tallies(run)
    artists = {name for name, roles in role_of.items() if roles == {"test"}}
    assert len(np.unique(tallies.units_N)) == len(artists) < len(tallies)
    assert f"--group '{PATTERN}'" in read_part(run, "run.json")["command"]
    usual = call("evaluate", run, drawings, "--json").json  # as the run was fitted
    assert "fits none of 42 examples" in call("evaluate", run, drawings, "--group", "()").complaint
    assert usual["metrics"]["accuracy"]["low"] == done["metrics"]["accuracy"]["low"]
    other = copy_pictures(tmp_path / "other", each=18)
    found = call("evaluate", run, other, "--json").json
    told = [one["what"] for one in found["notes"] if "not grouped as the run was fitted" in one["what"]]
    assert len(told) == 1


def test_audit_and_choose_know_groups(
    drawings: Path, tmp_path: Path, headstart_home: Path, call: Call
) -> None:
    for number, file in enumerate(sorted(drawings.rglob("*.png"))):
        split = ("train", "test")[number % 3 == 0]
        target = tmp_path / "split" / split / file.parent.name / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    found = call("audit", tmp_path / "split", "--group", PATTERN, "--json").json["findings"]
    torn = [one for one in found if one["kind"] == "group-leak"]
    assert "group '0' (as given) is in test and train" in {one["reason"] for one in torn}
    assert not any(one["kind"] == "group-leak" for one in call("audit", drawings, "--json").json["findings"])
    words = ("--bases", "pack:efficientnet-lite0", "--image-size", "64", "--group", PATTERN, "--json")
    chosen = call("choose", drawings, *words).json
    assert chosen["ranking"][0]["score"] > 0.3
    assert any(one["what"].startswith("grouped by") for one in chosen["notes"])
