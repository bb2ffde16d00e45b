"""``run:FOLDER:head``: training goes on from a run's head where that is stepped; else the reason is told."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headstart
from headstart.core.errors import UserError
from headstart.core.records import Fitted
from headstart.maths.softmax import Linear, Scaling
from headstart.model.saved import load_model
from tests.sources.test_run import TORCH
from tests.verbs.conftest import ROOT, copy_pictures

FIXED = {**TORCH, "image_size": 64}
STILL = {"learning_rate": 1e-12, "weight_decay": 0.0, "warmup": 0}
"""Steps that go nowhere: what comes out is what was begun with."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_pictures(tmp_path_factory.mktemp("data") / "emoji", ("animals", "vehicles"), 8)


@pytest.fixture(scope="module")
def solved(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose head was solved above a frozen model."""
    out = tmp_path_factory.mktemp("runs") / "solved"
    headstart.fit(str(data), base="pack:squeezenet1_1", layers="deep", out=str(out), **FIXED)
    return out


def fitted(data: Path, base: Path, out: Path, **how: Any) -> Fitted:
    return headstart.fit(str(data), base=f"run:{base}:head", out=str(out), **{**FIXED, **how})


def same_head(one: Path | str, other: Path | str, atol: float = 1e-5) -> bool:
    """Say whether two heads are one but for a factor of each tensor: temperatures are set anew."""
    found, right = (load_model(Path(run)).head.tensors() for run in (one, other))
    return found.keys() == right.keys() and all(
        np.allclose(found[name] * factor(array, found[name]), array, rtol=1e-4, atol=atol)
        for name, array in right.items()
    )


def factor(array: np.ndarray, other: np.ndarray) -> float:  # type: ignore[type-arg]
    if not np.issubdtype(array.dtype, np.floating):
        return 1
    by = float(np.linalg.norm(array) / np.linalg.norm(other))
    assert 0.1 < by < 10
    return by


def test_a_layer_for_standardised_features_gives_the_same_logits() -> None:
    random = np.random.default_rng(0)
    scaling = Scaling(random.normal(size=5), np.array([0.5, 2.0, 0.0, 1.0, 3.0]))
    x_ND = random.normal(size=(7, 5))
    x_ND[:, 2] = scaling.mean_D[2]  # it does not vary
    layer = Linear(random.normal(size=(5, 3)), random.normal(size=3))
    logits_NK = scaling.unfold(layer).logits((x_ND - scaling.mean_D) * scaling.gain_D)
    np.testing.assert_allclose(logits_NK, layer.logits(x_ND), atol=1e-12)


def test_below_the_line_training_goes_on_from_the_runs_head(data: Path, solved: Path, tmp_path: Path) -> None:
    still = fitted(data, solved, tmp_path / "still", strategy="last-1", epochs=1, **STILL)
    assert still.base == f"run:{solved}:head"
    assert same_head(still.run, solved)
    assert (
        load_model(Path(still.run)).head.columns == load_model(solved).head.columns
    )  # its layers, not "last"
    moved = fitted(data, solved, tmp_path / "moved", strategy="full", epochs=1, learning_rate=1e-3)
    assert not same_head(moved.run, solved)
    assert load_model(Path(moved.run)).frozen.pretrained.head_of is None


def test_a_hidden_layer_is_trained_further(data: Path, tmp_path: Path) -> None:
    first = headstart.fit(
        str(data), base="pack:squeezenet1_1", head_hidden=6, epochs=1, out=str(tmp_path / "first"), **FIXED
    )
    still = fitted(data, Path(first.run), tmp_path / "still", epochs=1, **STILL)
    assert same_head(still.run, first.run, 1e-4)
    further = fitted(data, Path(first.run), tmp_path / "further", strategy="last-1", epochs=1, **STILL)
    assert same_head(further.run, first.run, 1e-4)
    with pytest.raises(UserError, match="--head-hidden with"):
        fitted(data, Path(first.run), tmp_path / "other", head_hidden=7)


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({}, "where it begins changes nothing"),
        ({"strategy": "auto"}, "climbs from a head of its own"),
        ({"layers": "last"}, "--layers with"),
        ({"random_init": True}, "--random-init of"),
        ({"image_size": 96, "strategy": "full"}, ""),
    ],
)
def test_what_a_head_cannot_go_on_with_is_said(
    how: dict[str, Any], match: str, data: Path, solved: Path, tmp_path: Path
) -> None:
    if not match:  # pooled features are as wide at any size
        assert fitted(data, solved, tmp_path / "run", **how, epochs=1).metrics
        return
    with pytest.raises(UserError, match=match):
        fitted(data, solved, tmp_path / "run", **how)


def test_other_classes_are_told_before_any_feature_is_computed(solved: Path, tmp_path: Path) -> None:
    other = copy_pictures(tmp_path / "emoji", ("animals", "places"), 8)
    with pytest.raises(UserError, match=r"it does not know 'places' and the data have no 'vehicles'"):
        fitted(other, solved, tmp_path / "run", strategy="full")
    assert not (tmp_path / "run").exists()


def test_choose_compares_models_alone(data: Path, solved: Path) -> None:
    with pytest.raises(UserError, match="with a head"):
        headstart.choose(str(data), bases=f"run:{solved}:head", image_size=64)


@pytest.fixture
def pairs(tmp_path: Path) -> str:
    lines = (ROOT / "examples" / "docstrings" / "pairs.jsonl").read_text().splitlines()[:30]
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines))
    return str(tmp_path / "pairs.jsonl")


def test_a_new_decoder_is_trained_further_with_its_own_words(
    family_folder: Callable[[str], Path], pairs: str, tmp_path: Path
) -> None:
    small = {"epochs": 1, "beams": 1, "max_length": 16, "task": "summarization", "head": "writer", **TORCH}
    first = headstart.fit(
        pairs, base=f"hf:{family_folder('bert')}", out=str(tmp_path / "first"), target_length=8, **small
    )
    run = tmp_path / "first"
    rows = [json.loads(line) for line in Path(pairs).read_text().splitlines()]
    for row in rows:  # words that a vocabulary which is learnt anew would hold
        row["summary"] = f"zebra quagga {row['summary']}"
    Path(pairs).write_text("".join(json.dumps(row) + "\n" for row in rows))
    still = headstart.fit(
        pairs, base=f"run:{first.run}:head", out=str(tmp_path / "still"), **small, **STILL, average=1
    )
    assert same_head(still.run, run)
    with pytest.raises(UserError, match="at most 8, the decoder's positions"):
        headstart.fit(
            pairs, base=f"run:{first.run}:head", out=str(tmp_path / "long"), target_length=9, **small
        )
