"""``run:FOLDER``: what a run has trained is where the next one starts, whatever source it began with."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import headstart
from headstart.core.errors import HeadstartError, MachineError, UserError
from headstart.core.plugins import load
from headstart.model.saved import load_model
from headstart.model.trunk import find_model
from tests.ever_better import ever_better
from tests.verbs.conftest import ROOT, copy_pictures

SIZES = {"image_size": None, "max_length": None}
TORCH = {"engine": "torch"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_pictures(tmp_path_factory.mktemp("data") / "emoji", ("animals", "vehicles"), 8)


@pytest.fixture(scope="module")
def timm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    load("source", "timm")
    from headstart.core.frameworks import prepare_torch

    torch = prepare_torch()
    import timm

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = timm.create_model("test_vit")
    folder = tmp_path_factory.mktemp("timm") / "vit"
    timm.models.save_for_hf(model, folder, safe_serialization=True)
    return folder


@pytest.fixture(scope="module")
def moved(data: Path, timm_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose trunk has moved, its positions resampled for 64 px."""
    out = tmp_path_factory.mktemp("runs") / "first"
    how = {"strategy": "last-1", "epochs": 1, "image_size": 64, "learning_rate": 1e-2}
    with ever_better():
        headstart.fit(str(data), base=f"timm:{timm_folder}", out=str(out), **how, **TORCH)
    return out


@pytest.fixture
def finished(moved: Path, tmp_path: Path) -> Path:
    return shutil.copytree(moved, tmp_path / "finished")


def test_a_base_is_the_runs_trunk_with_the_weights_it_moved(moved: Path, timm_folder: Path) -> None:
    base = find_model(f"run:{moved}", "picture", SIZES, None)
    run, first = load_model(moved).frozen, find_model(f"timm:{timm_folder}", "picture", SIZES, None)
    state = base.state
    assert set(state) == set(run.state)
    assert all(np.array_equal(state[name], array) for name, array in run.state.items())
    unmoved = [name for name, array in first.state.items() if np.array_equal(state[name], array)]
    assert len(unmoved) < len(state) - 2  # more than the positions and the block's
    assert base.pretrained.preprocess == run.pretrained.preprocess
    assert (base.pretrained.licence, base.pretrained.lineage) == (
        first.pretrained.licence,
        (f"timm:{timm_folder}",),
    )
    from headstart.core.frameworks import prepare_torch

    torch = prepare_torch()
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8))
    with torch.inference_mode():
        torch.testing.assert_close(base.module(pixels), run.module(pixels), rtol=0, atol=0)


def test_another_size_than_the_runs_is_fitted_by_the_models_own_source(moved: Path) -> None:
    base = find_model(f"run:{moved}", "picture", {**SIZES, "image_size": 96}, None)
    assert any("resamples its positions for 96 px" in what for what in base.pretrained.adapted)
    grid = base.state["pos_embed"].shape[1]
    assert grid > load_model(moved).frozen.state["pos_embed"].shape[1]
    assert base.columns()[-1].stop > 0


def test_a_run_on_a_run_needs_neither(data: Path, finished: Path, timm_folder: Path, tmp_path: Path) -> None:
    second = headstart.fit(str(data), base=f"run:{finished}", out=str(tmp_path / "second"), **TORCH)
    assert second.model["lineage"] == [f"timm:{timm_folder}"]
    assert second.model["preprocess"]["size"] == 64
    third = headstart.fit(str(data), base=f"run:{second.run}", out=str(tmp_path / "third"), **TORCH)
    assert third.model["lineage"] == [f"run:{finished}", f"timm:{timm_folder}"]
    file = str(next(data.rglob("*.png")))
    (before,) = headstart.predict(third.run, [file], **TORCH)
    shutil.rmtree(finished)
    shutil.rmtree(second.run)
    (after,) = headstart.predict(third.run, [file], **TORCH)
    assert after.scores == before.scores


def test_choose_compares_runs_with_other_models(data: Path, moved: Path, timm_folder: Path) -> None:
    bases = [f"run:{moved}", f"timm:{timm_folder}"]
    found = headstart.choose(str(data), bases=",".join(bases), image_size=64)
    assert {one.base for one in found.ranking} == set(bases)


def test_a_decoder_of_the_models_own_goes_on_from_where_the_run_left_it(
    family_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    lines = (ROOT / "examples" / "docstrings" / "pairs.jsonl").read_text().splitlines()[:30]
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines))
    small = {"epochs": 1, "beams": 1, "target_length": 8, "max_length": 16, "task": "summarization", **TORCH}
    data = str(tmp_path / "pairs.jsonl")
    t5 = family_folder("t5")
    first = headstart.fit(
        data, base=f"hf:{t5}", out=str(tmp_path / "first"), head="writer", learning_rate=0.05, **small
    )
    trained = load_file(tmp_path / "first" / "model" / "model.safetensors")
    base = find_model(f"run:{first.run}", "text-states", SIZES, None)
    assert base.pretrained.writes == "above"
    begun = find_model(f"hf:{t5}", "text-states", SIZES, None).state
    decoder = next(name for name in trained if name.startswith("decoder.block"))
    assert np.array_equal(base.state[decoder], trained[decoder])
    assert not np.array_equal(base.state[decoder], begun[decoder])
    second = headstart.fit(
        data, base=f"run:{first.run}", out=str(tmp_path / "second"), head="writer", **small
    )
    assert second.model["lineage"] == [f"hf:{t5}"]


def test_random_weights_are_told_of(data: Path, moved: Path, tmp_path: Path) -> None:
    drawn = headstart.fit(
        str(data), base=f"run:{moved}", random_init=True, out=str(tmp_path / "drawn"), **TORCH
    )
    base = find_model(f"run:{drawn.run}", "picture", SIZES, None)
    assert any("began with random weights" in what for what in base.pretrained.adapted)


def test_what_is_no_finished_run_is_refused_in_a_sentence(finished: Path, tmp_path: Path) -> None:
    source = load("source", "run")
    config = finished / "model" / "headstart.json"
    told = json.loads(config.read_text())
    for change in ({"pretrained": 1}, {"pretrained": {}}, {"sha256": []}, {"sha256": {"no.bin": "0"}}):
        config.write_text(json.dumps({**told, **change}))
        with pytest.raises(HeadstartError, match=r"damaged|describes no model|is missing"):
            source.find(str(finished))
    config.write_text(json.dumps(told))
    weights = finished / "model" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(MachineError, match="damaged: its SHA-256"):
        source.find(str(finished))
    weights.unlink()
    with pytest.raises(HeadstartError, match="is missing"):
        source.find(str(finished))
    (finished / "run.json").unlink()  # it is written last: without it the run is not finished
    with pytest.raises(UserError, match=r"holds no run\.json"):
        source.find(str(finished))
    with pytest.raises(UserError, match=r"holds no run\.json"):
        source.find(str(tmp_path))
