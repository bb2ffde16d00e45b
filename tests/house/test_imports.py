"""``import headstart`` and every ``--help`` load nothing heavy; the public surface is what the specs say."""

import dataclasses
import inspect
import subprocess
import sys
import tomllib

import pytest

import headstart
from headstart import cli, specs
from tests.house.tree import ROOT, modules

HEAVY = (
    *("torch", "timm", "torchvision", "openvino", "onnxruntime", "numpy", "scipy", "PIL", "rich"),
    *("pyarrow", "jinja2", "safetensors", "h5py", "sklearn", "matplotlib", "transformers", "keras"),
)
VERBS = {
    "audit": specs.AuditSpec,
    "choose": specs.ChooseSpec,
    "fit": specs.FitSpec,
    "evaluate": specs.EvaluateSpec,
    "compare": specs.CompareSpec,
    "predict": specs.PredictSpec,
    "sources": specs.SourcesSpec,
    "cache": specs.CacheSpec,
}


def heavy_after(code: str, *arguments: str) -> set[str]:
    """Return which heavy packages a fresh interpreter holds after running ``code``."""
    tell = f"\nimport sys\nprint('LOADED', *[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code + tell, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


AS_MODULE = """
import runpy
try:
    runpy.run_module("headstart", run_name="__main__")
except SystemExit as stop:
    assert stop.code == 0, stop.code
"""


def test_importing_headstart_imports_nothing_heavy() -> None:
    assert heavy_after("import headstart; headstart.fit; headstart.predict") == set()


@pytest.mark.parametrize(
    "arguments", [("--help",), *((verb, "--help") for verb in cli.VERBS), ("--version",)], ids=" ".join
)
def test_help_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    assert heavy_after(AS_MODULE, *arguments) == set()


def test_the_check_would_see_a_heavy_import() -> None:
    assert heavy_after("import numpy") == {"numpy"}


def test_the_public_surface() -> None:
    assert headstart.__all__ == [
        "HeadstartError",
        "MachineError",
        "UserError",
        "audit",
        "cache",
        "choose",
        "compare",
        "evaluate",
        "fit",
        "predict",
    ]
    assert all(getattr(headstart, name).__doc__ for name in headstart.__all__)
    assert issubclass(headstart.UserError, headstart.HeadstartError)
    assert issubclass(headstart.MachineError, headstart.HeadstartError)


@pytest.mark.parametrize("name", headstart.__all__)
def test_no_module_takes_the_place_of_a_public_name(name: str) -> None:
    # Importing headstart.fit.probe would set the attribute ``fit`` of headstart to the package ``fit``:
    # headstart.fit(...) would work once and be "not callable" ever after.
    assert f"headstart.{name}" not in modules()


def test_the_version_is_the_packages() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert headstart.__version__ == declared


def test_the_command_line_has_every_function_and_no_other() -> None:
    functions = {name for name in headstart.__all__ if inspect.isfunction(getattr(headstart, name))}
    # A package of the same name lies where headstart.sources would: the function is in headstart.api.
    assert functions | {"sources"} == set(cli.VERBS) == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_a_functions_signature_is_its_specs_fields(verb: str) -> None:
    parameters = inspect.signature(getattr(headstart.api, verb)).parameters
    fields = dataclasses.fields(VERBS[verb])
    assert list(parameters) == [field.name for field in fields]
    for field in fields:
        missing = field.default is dataclasses.MISSING
        assert parameters[field.name].default is (inspect.Parameter.empty if missing else field.default)
        assert parameters[field.name].annotation == field.type
    assert getattr(headstart.api, verb).__name__ == verb


@pytest.mark.parametrize("verb", VERBS)
def test_help_tells_every_option(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([verb, "--help"])
    assert stop.value.code == 0
    told = "".join(capsys.readouterr().out.split())
    for field in dataclasses.fields(VERBS[verb]):
        name = field.name.upper() if field.metadata.get("positional") else specs.flag(field.name)
        assert name in told
        assert "".join(field.metadata["help"].split()) in told
        for choice in field.metadata.get("choices", ()):
            assert choice in told


@pytest.mark.parametrize("verb", VERBS)
def test_defaults_of_the_command_line_are_the_specs(verb: str) -> None:
    places = [f for f in dataclasses.fields(VERBS[verb]) if f.metadata.get("positional")]
    given = vars(cli._parser().parse_args([verb, *("x" for _ in places)]))
    for field in dataclasses.fields(VERBS[verb]):
        if field not in places:
            assert given[field.name] == field.default
