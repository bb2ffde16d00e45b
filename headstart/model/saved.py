"""A model on disk: ``config.json``, ``model.safetensors`` and ``head.safetensors``, hashed.

``config.json`` is also timm's own, so timm loads the trunk of a timm architecture from the folder.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from headstart.contracts import Array, Preprocess, Pretrained
from headstart.core import plugins
from headstart.core.errors import MachineError, UserError
from headstart.core.files import digest_file, write_bytes, write_json
from headstart.model.head import Head
from headstart.model.trunk import FrozenModel

_FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """Everything prediction needs: the trunk, the head, the classes, and the baselines to compare with."""

    task: str
    classes: tuple[str, ...]
    frozen: FrozenModel
    head: Head
    baseline_heads: Mapping[str, Head]
    priors_K: Array


def save_model(folder: Path, model: Model) -> None:
    """Write a model into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    heads = {"head": model.head, **model.baseline_heads}
    tensors: dict[str, Array] = {"priors": np.asarray(model.priors_K, dtype=np.float64)}
    for name, head in heads.items():
        tensors |= head.tensors(name)
    write_bytes(folder / "head.safetensors", save(tensors))
    state = {name: np.ascontiguousarray(array) for name, array in model.frozen.state.items()}
    write_bytes(folder / "model.safetensors", save(state))
    pretrained = model.frozen.pretrained
    write_json(
        folder / "config.json",
        {
            **_timm_config(pretrained.architecture, pretrained.preprocess),
            "headstart": {
                "format": _FORMAT,
                "task": model.task,
                "classes": list(model.classes),
                "pretrained": {**asdict(pretrained), "weights": "model.safetensors"},
                "random_seed": model.frozen.random_seed,
                "heads": {name: head.describe() for name, head in heads.items()},
                "sha256": {
                    name: digest_file(folder / name) for name in ("head.safetensors", "model.safetensors")
                },
            },
        },
    )


def load_model(run: Path) -> Model:
    """Read a run's model. Raises UserError where there is none, MachineError where it is damaged."""
    folder = run / "model"
    try:
        config = json.loads((folder / "config.json").read_text())["headstart"]
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(
            f"{run} holds no model", "a run folder that headstart fit has written", "check the path"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise MachineError(f"{folder / 'config.json'} is damaged: {error}.") from error
    if config.get("format") != _FORMAT:
        raise UserError(
            f"{run} was written in format {config.get('format')}",
            f"format {_FORMAT}",
            "use the headstart version in its run.json",
        )
    for name, digest in config["sha256"].items():
        if digest_file(folder / name) != digest:
            raise MachineError(f"{folder / name} is damaged: its SHA-256 is not the one config.json has.")
    try:
        tensors = load_file(folder / "head.safetensors")
    except SafetensorError as error:
        raise MachineError(f"{folder / 'head.safetensors'} is damaged: {error}.") from error
    heads = {name: Head.restore(name, tensors, columns) for name, columns in config["heads"].items()}
    return Model(
        task=config["task"],
        classes=tuple(config["classes"]),
        frozen=_frozen(folder, config),
        head=heads.pop("head"),
        baseline_heads=heads,
        priors_K=tensors["priors"],
    )


def _frozen(folder: Path, config: Mapping[str, Any]) -> FrozenModel:
    described = dict(config["pretrained"])
    numbers = described.pop("preprocess")
    preprocess = Preprocess(**{**numbers, "mean": tuple(numbers["mean"]), "std": tuple(numbers["std"])})
    described["weights"] = folder / described["weights"]
    return FrozenModel(
        source=plugins.load("source", described["base"].partition(":")[0]),
        pretrained=Pretrained(**described, preprocess=preprocess),
        random_seed=config["random_seed"],
        saved=folder / "model.safetensors",
    )


def _timm_config(architecture: str, preprocess: Preprocess) -> dict[str, Any]:
    library, _, name = architecture.partition("/")
    return {
        "architecture": name,
        "library": library,
        "pretrained_cfg": {
            "input_size": [3, preprocess.size, preprocess.size],
            "interpolation": preprocess.interpolation,
            "crop_pct": preprocess.crop,
            "mean": list(preprocess.mean),
            "std": list(preprocess.std),
        },
    }


def prior_probabilities(targets_N: Array, num_classes: int) -> Array:
    """Return how common each class is in the training data, float64 [K]."""
    return np.bincount(targets_N, minlength=num_classes) / max(len(targets_N), 1)


def class_ids(labels: Sequence[str], classes: Sequence[str]) -> Array:
    """Return each label's place among the classes, int64 [N]; classes agree by name, never by position."""
    places = {name: place for place, name in enumerate(classes)}
    return np.array([places[label] for label in labels], dtype=np.int64)
