"""The model card: what it says of base, licence, data and figures, and that its header is read again."""

from pathlib import Path
from typing import Any

import pytest

from headstart.model.transformers.folder import licence_of
from headstart.ship.card import card
from tests.ship.invented import fitted


@pytest.fixture
def run() -> dict[str, Any]:
    found = fitted()
    found["model"] |= {
        **{"revision": "0.1.0", "weights_sha256": "9d3f", "random_init": False},
        "adapted": ["its positions are interpolated"],
    }
    return found


def test_it_says_where_the_model_comes_from_and_how_good_it_is(run: dict[str, Any]) -> None:
    text = card(run)
    for part in (run["base"], run["data_digest"], run["model"]["weights_sha256"], "its positions are interp"):
        assert part in text
    for name, one in run["metrics"].items():
        (row,) = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
        assert f" {one['value']:.3f} |" in row
        assert f" {one['low']:.3f} - {one['high']:.3f} |" in row
        assert row.count("|") == 4 + len(run["baselines"])


def test_its_licence_is_read_again(run: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(card(run))
    assert licence_of(tmp_path) == "apache-2.0"
    run["model"]["licence"] = "not stated"
    (tmp_path / "README.md").write_text(card(run))
    assert licence_of(tmp_path) == "not stated"


def test_a_header_holds_whatever_a_name_may_be(run: dict[str, Any]) -> None:
    run["base"] = 'hf:"owner": x/name\n- y'
    header = card(run).split("---")[1].splitlines()
    assert [line.partition(":")[0] for line in header if line] == [
        "license", "base_model", "library_name", "tags",
    ]  # fmt: skip
