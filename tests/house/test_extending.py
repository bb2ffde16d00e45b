"""The page about extending runs as it stands: its Python, its source, its pack and its commands, in order."""

import importlib
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from headstart import cli
from headstart.core import plugins
from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch
from headstart.sources.own import OwnSource
from tests.house.pages import blocks
from tests.house.tree import ROOT
from tests.verbs.conftest import copy_pictures

PAGE = "docs/extending.md"
_PYTHON = re.compile(r"^```(?P<kind>python|toml)(?: file=(?P<file>\S+))?\n(?P<text>.*?)^```$", re.M | re.S)
NETWORK = """
from torch import nn

def small():
    layers = [nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 12, 3, 2, 1), nn.ReLU()]
    layers += [nn.Conv2d(12, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 24, 3, 2, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 4))
"""


def shown(kind: str) -> dict[str, str]:
    """Return the page's blocks of a language by the file that they are to be, else by number."""
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    found = [one for one in _PYTHON.finditer(text) if one["kind"] == kind]
    return {one["file"] or str(place): one["text"] for place, one in enumerate(found)}


def forget() -> None:
    plugins.installed.cache_clear()
    plugins.names.cache_clear()
    plugins.load.cache_clear()
    importlib.invalidate_caches()


def install(folder: Path, groups: dict[str, dict[str, str]]) -> None:
    """Lay a package's metadata into a folder on the path, as pip does."""
    about = folder / "zoo_models-1.0.dist-info"
    about.mkdir(exist_ok=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: zoo-models\nVersion: 1.0\n")
    (about / "top_level.txt").write_text("zoo_weights\n")
    lines = []
    for group, named in groups.items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in named.items())]
    (about / "entry_points.txt").write_text("\n".join(lines))
    forget()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A reader's folder with few pictures, and the page's package installed beside it."""
    copy_pictures(tmp_path / "examples" / "emoji" / "noto")
    site = tmp_path / "site"
    site.mkdir()
    for file, text in shown("python").items():
        if file.endswith(".py"):
            (site / file).write_text(text)
    (site / "zoo_networks.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(site))
    install(site, tomllib.loads(shown("toml")["pyproject.toml"])["project"]["entry-points"])
    yield site
    monkeypatch.undo()
    forget()
    for name in ("zoo_source", "zoo_pack", "zoo_networks", "zoo_weights"):
        sys.modules.pop(name, None)


def weights_of_the_reader(site: Path) -> None:
    """Write what the page takes to be there: the zoo's weights, and a model as timm saves it."""
    torch = prepare_torch()
    import timm
    from safetensors.torch import save_file
    from zoo_networks import small  # type: ignore[import-not-found]

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        save_file(small().state_dict(), "small.safetensors")
        (site / "zoo_weights").mkdir()
        (site / "zoo_weights" / "__init__.py").touch()
        vit = timm.create_model("test_vit", img_size=64)
        timm.models.save_for_hf(vit, site / "zoo_weights" / "small", safe_serialization=True)


@pytest.mark.usefixtures("one_thread")
def test_the_source_and_the_pack(
    package: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    weights_of_the_reader(package)
    ran = [words for block in blocks(PAGE) if block.runs for words in block.commands()]
    assert [words[1] for words in ran] == ["fit", "predict", "fit"]
    for words in ran:
        assert cli.main(words[1:]) == 0, capsys.readouterr().err[-2000:]
    assert "zoo:small.safetensors, licence mit" in caplog.messages
    assert "pack:zoo-small, licence mit" in caplog.messages
    assert '"revision": "1.0"' in Path("runs/zoo-small/run.json").read_text()
    assert "pretrained_cfg" in Path("runs/zoo-small/model/config.json").read_text()


def test_the_source_is_short() -> None:
    lines = [line for line in shown("python")["zoo_source.py"].splitlines() if line.strip()]
    assert len(lines) < 40


@pytest.mark.usefixtures("one_thread")
def test_the_python_of_the_page(
    package: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(OwnSource, "_known", {})
    scripts = [text for file, text in shown("python").items() if not file.endswith(".py")]
    assert len(scripts) == 2
    for text in scripts:
        exec(compile(text, PAGE, "exec"), {"__name__": "__main__"})
    assert "Metric(value=" in capsys.readouterr().out
    shutil.rmtree("runs")


def test_a_package_takes_no_name_of_ours(package: Path) -> None:
    install(
        package, {"headstart.source": {"hf": "zoo_source:ZooSource"}, "headstart.pack": {"minilm-l6": "os"}}
    )
    assert type(plugins.load("source", "hf")).__module__ == "headstart.sources.hf"
    assert plugins.load("source", "pack").names().count("minilm-l6") == 1


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("zoo_source:Nothing", "of the package zoo-models cannot be imported"),
        ("no_such_module:Zoo", "of the package zoo-models cannot be imported"),
        ("zoo_networks:small", "a class with name = 'zoo'"),
        ("zoo_half:Half", "which lacks find, names, network, own_files, present, sized, state"),
    ],
)
def test_a_broken_package_is_one_sentence(package: Path, value: str, told: str) -> None:
    (package / "zoo_half.py").write_text(
        "from headstart.contracts import Source\nclass Half(Source):\n    name = 'zoo'\n"
    )
    install(package, {"headstart.source": {"zoo": value}})
    with pytest.raises(UserError) as found:
        plugins.load("source", "zoo")
    assert told in str(found.value)
    assert "\n" not in str(found.value)
    assert "zoo" in plugins.names("source")
