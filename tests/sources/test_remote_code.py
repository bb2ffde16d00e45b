"""Code that a folder of Hugging Face's names never runs, whatever its files say; it would leave a marker."""

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headstart.contracts import Allowed
from headstart.core.errors import UserError
from headstart.data import tokens
from headstart.model.trunk import find_model

SIZES = {"image_size": None, "max_length": None}
EVERY = Allowed(trusted=frozenset({"*", "hf", "own/code", "own"}))
MODULE = """
from pathlib import Path
Path({marker!r}).touch()
from transformers import BertModel
class Own(BertModel): pass
"""
NAMED = {
    kind: ["own.Own", "own.Own"] if kind == "AutoTokenizer" else "own.Own"
    for kind in (
        *("AutoConfig", "AutoModel", "AutoModelForSeq2SeqLM", "AutoModelForCausalLM", "AutoTokenizer"),
        *("AutoImageProcessor", "AutoProcessor", "AutoFeatureExtractor"),
    )
}
SAID = {"auto_map": NAMED, "trust_remote_code": True, "custom_pipelines": {"x": {"impl": "own.Own"}}}


@pytest.fixture
def poisoned(family_folder: Callable[[str], Path], tmp_path: Path) -> Callable[..., tuple[str, Path]]:
    """Return a function that makes a folder whose every file names code, and names the code's marker."""

    def make(kind: str, **more: Any) -> tuple[str, Path]:
        folder, marker = tmp_path / kind, tmp_path / f"{kind} ran"
        shutil.copytree(family_folder(kind), folder)
        for file in folder.glob("*.json"):
            said = json.loads(file.read_text())
            if isinstance(said, dict) and file.name not in ("vocab.json", "tokenizer.json"):
                own = more if file.name == "config.json" else {}
                file.write_text(json.dumps({**said, **SAID, **own}))
        for name in ("own.py", "modeling_own.py", "hubconf.py", "__init__.py"):
            (folder / name).write_text(MODULE.format(marker=str(marker)))
        return str(folder), marker

    return make


@pytest.mark.parametrize(
    ("kind", "modality"), [("bert", "text"), ("t5", "text-states"), ("marian", "text-states")]
)
def test_the_librarys_own_class_is_taken_and_it_is_said(
    kind: str, modality: str, poisoned: Callable[..., tuple[str, Path]]
) -> None:
    folder, marker = poisoned(kind)
    model = find_model(f"hf:{folder}", modality, SIZES, None, EVERY)
    assert f"own {kind} is" in model.pretrained.adapted[0]
    assert type(model.network().module).__module__.startswith("transformers.models.")
    assert tokens.encode("a text", model.pretrained).inputs
    assert not marker.exists()


def test_a_type_of_its_own_is_refused(poisoned: Callable[..., tuple[str, Path]]) -> None:
    folder, marker = poisoned("bert", model_type="own_type")
    with pytest.raises(UserError, match="without code from a repository"):
        find_model(f"hf:{folder}", "text", SIZES, None, EVERY).network()
    assert not marker.exists()


def test_no_variable_turns_it_on(
    poisoned: Callable[..., tuple[str, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HUB_TRUST_REMOTE_CODE", "TRUST_REMOTE_CODE", "HF_TRUST_REMOTE_CODE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr("builtins.input", lambda *_: "y")  # what Transformers asks where nobody has said
    folder, marker = poisoned("bert", model_type="own_type")
    with pytest.raises(UserError, match="without code from a repository"):
        find_model(f"hf:{folder}", "text", SIZES, None, EVERY).network()
    assert not marker.exists()


def test_the_code_would_mark_itself(poisoned: Callable[..., tuple[str, Path]]) -> None:
    """Without this the tests above would prove little."""
    folder, marker = poisoned("bert")
    import transformers

    with contextlib.suppress(Exception):  # what comes of it does not matter
        transformers.AutoConfig.from_pretrained(folder, trust_remote_code=True)
    assert marker.exists()
