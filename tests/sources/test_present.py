"""Which models are here: those whose weights lie in a package or a cache, by the name that finds them."""

from pathlib import Path

import pytest

from headstart.catalogue import CATALOGUE
from headstart.contracts import Source
from headstart.core import plugins
from headstart.sources.pack import PACKS


def source(name: str) -> Source:
    found: Source = plugins.load("source", name)
    return found


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub's cache with two whole models and one without its weights."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for name in ("timm--resnet18.a1_in1k", "google-bert--bert-base-uncased", "owner--no--weights"):
        folder = tmp_path / f"models--{name}" / "snapshots" / "0"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        if "no--" not in name:
            (folder / "model.safetensors").write_bytes(b"")
    return tmp_path


def test_packs_that_are_installed_are_found() -> None:
    for name in source("pack").present():
        assert source("pack").find(name).weights.is_file()


def test_a_pack_that_is_not_installed_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert source("pack").present() == []


def test_the_hubs_cache_is_shared_between_timm_and_transformers(hub: Path) -> None:
    assert source("timm").present() == ["resnet18.a1_in1k"]
    assert source("hf").present() == ["google-bert/bert-base-uncased"]


def test_torchvisions_weights_are_told_by_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    for file in ("resnet18-f37072fd.pth", "resnet50.pth", "other-1.pth"):
        (folder / file).write_bytes(b"")
    assert source("torchvision").present() == ["resnet18"]


def test_nothing_is_here_where_there_is_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "none"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "none"))
    assert [list(source(name).present()) for name in ("hf", "timm", "torchvision")] == [[], [], []]


def test_the_catalogue_knows_every_pack_and_names_sources_that_are_there() -> None:
    assert {f"pack:{name}" for name in PACKS} <= CATALOGUE.keys()
    assert {base.partition(":")[0] for base in CATALOGUE} <= set(plugins.names("source"))


@pytest.mark.parametrize("base", [base for base in CATALOGUE if base.startswith("timm:")])
def test_the_catalogue_names_models_of_timm(base: str) -> None:
    assert source("timm").find(base.partition(":")[2], weights=False).licence == "not stated"
