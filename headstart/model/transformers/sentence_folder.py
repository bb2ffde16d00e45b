"""A Sentence-Transformers folder: how its modules make one vector of a text, described without a framework.

``modules.json`` lists them in order: a Transformer, a Pooling, and perhaps Dense layers and a Normalize.
https://sbert.net/docs/package_reference/sentence_transformer/models.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headstart.core.errors import UserError
from headstart.core.files import read_json, read_json_list
from headstart.model.weights import as_safetensors, weights_in

VECTOR = "vector"
"""The block above all layers that gives a text's own vector."""
SENTENCE = "sentence_vector"
"""Under which a model's configuration says how its sentence vector is made."""
SAVED = "a folder that Sentence-Transformers saved"
_SIMPLE = {"cls": "first", "mean": "mean", "lasttoken": "last"}
_KEYS = {
    **{"cls": "cls_token", "max": "max_tokens", "mean": "mean_tokens"},
    **{"mean_sqrt_len_tokens": "mean_sqrt_len_tokens", "weightedmean": "weightedmean_tokens"},
    "lasttoken": "lasttoken",
}
"""The ways of pooling, in the order in which several are put side by side, and how older files name them."""
ACTIVATIONS = ("Identity", "Tanh", "ReLU", "GELU", "SiLU", "Sigmoid")


@dataclass(frozen=True, kw_only=True, slots=True)
class SentenceFolder:
    """How a text becomes one vector: every block pooled ``pooling``, and where that is not all, ``vector``.

    ``vector`` is JSON: the ways of pooling the last block and the dense layers above, whose weights are in
    ``files`` by the name they are saved under. ``prefix`` is what is written before every text.
    """

    pooling: str = ""
    vector: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    prefix: str = ""


def transformer_of(folder: Path) -> Path:
    """Return where the model itself lies: the folder, or in older ones the first module's own."""
    modules = _modules(folder)
    inner = folder / str(modules[0].get("path", "")) if modules else folder
    inside = inner.is_dir() and inner.resolve().is_relative_to(folder.resolve())
    return inner if inside and not (folder / "config.json").is_file() else folder


def read(base: str, folder: Path) -> SentenceFolder:
    """Read what a folder says of its sentence vectors; nothing where it is not of Sentence-Transformers.

    Raises UserError for modules that are not known, with their name.
    """
    modules = _modules(folder) or [{"type": "Transformer"}, {"type": "Pooling", "path": "1_Pooling"}]
    modes: list[str] = []
    dense: list[dict[str, Any]] = []
    files: dict[str, Path] = {}
    for one in modules:
        kind, path = str(one.get("type")).rpartition(".")[2], folder / str(one.get("path", ""))
        if kind == "Pooling" and (path / "config.json").is_file():
            modes = _modes(base, read_json(path / "config.json", SAVED))
        elif kind == "Dense":
            files[f"dense-{len(dense)}.safetensors"] = _weights(path)
            dense.append(_dense(base, read_json(path / "config.json", SAVED)))
        elif kind not in ("Transformer", "Pooling", "Normalize"):
            raise UserError(
                f"{base} makes its sentence vectors with a module {kind!r}",
                "Transformer, Pooling, Dense and Normalize",
                "choose another --base",
            )
    simple = next((_SIMPLE[mode] for mode in modes if mode in _SIMPLE), "mean" if modes else "")
    whole = not dense and (not modes or (len(modes) == 1 and modes[0] in _SIMPLE))
    vector = {} if whole else {"pooling": modes or ["mean"], "dense": dense}
    return SentenceFolder(pooling=simple, vector=vector, files=files, prefix=_prefix(folder))


def _modules(folder: Path) -> Sequence[Mapping[str, Any]]:
    file = folder / "modules.json"
    found = read_json_list(file, SAVED) if file.is_file() else []
    return [one for one in found if isinstance(one, dict)]


def _modes(base: str, said: Mapping[str, Any]) -> list[str]:
    """Return the ways of pooling, in their order. Raises UserError for one that is not known."""
    named = said.get("pooling_mode") or [
        mode for mode, key in _KEYS.items() if said.get(f"pooling_mode_{key}")
    ]
    modes = [named] if isinstance(named, str) else [str(one) for one in named]
    unknown = [mode for mode in modes if mode not in _KEYS]
    if unknown or said.get("include_prompt") is False:
        what = f"pools by {unknown[0]!r}" if unknown else "leaves its prompt out of its pooling"
        raise UserError(f"{base} {what}", f"one of {', '.join(_KEYS)}", "choose another --base")
    return modes


def _dense(base: str, said: Mapping[str, Any]) -> dict[str, Any]:
    activation = str(said.get("activation_function") or "Tanh").rpartition(".")[2]
    if activation not in ACTIVATIONS:
        raise UserError(
            f"{base} has a dense layer with {activation}",
            f"one of {', '.join(ACTIVATIONS)}",
            "choose another --base",
        )
    sizes = {"in": int(said["in_features"]), "out": int(said["out_features"])}
    return {**sizes, "bias": bool(said.get("bias", True)), "activation": activation}


def _weights(folder: Path) -> Path:
    file = weights_in(folder)
    if not file.is_file():
        raise UserError(f"{folder} has no {file.name}", SAVED, "save the model again")
    return as_safetensors(file)


def _prefix(folder: Path) -> str:
    """Return the prompt that the model is given where nobody asks for another."""
    file = folder / "config_sentence_transformers.json"
    said = read_json(file, SAVED) if file.is_file() else {}
    prompts = said.get("prompts")
    return str((prompts if isinstance(prompts, dict) else {}).get(said.get("default_prompt_name")) or "")
