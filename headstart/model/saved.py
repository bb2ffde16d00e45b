"""A model on disk: ``headstart.json``, ``model.safetensors`` and ``head.safetensors``, hashed.

Beside them lie the files with which the source's own library loads the trunk from the same folder.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from headstart.contracts import (
    Allowed,
    Array,
    Column,
    Head,
    Kept,
    Learner,
    Learnt,
    Modality,
    Pretrained,
    Task,
)
from headstart.core import plugins
from headstart.core.errors import MachineError, UserError
from headstart.core.files import digest_file, write_bytes, write_json
from headstart.model.trunk import NOTHING, FrozenModel, source_of

CONFIG = "headstart.json"
_FORMAT = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """Everything prediction needs: the trunk, the head, the classes, and what the baselines learnt.

    ``kind`` is the kind of truth that the task was learnt for (``Truth.kind``); ``beside`` what was learnt
    about how far to trust the head.
    """

    task: Task
    kind: str
    learner: str
    classes: tuple[str, ...]
    frozen: FrozenModel
    head: Head
    baselines: Mapping[str, Learnt]
    beside: Mapping[str, Learnt] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether the head reads each example as one unit."""
        learner: Learner = plugins.load("learner", self.learner)
        return learner.whole


def save_model(folder: Path, model: Model) -> None:
    """Write a model into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"head.{part}": array for part, array in model.head.tensors().items()}
    for name, learnt in (*model.baselines.items(), *model.beside.items()):
        tensors |= {f"{name}.{part}": np.ascontiguousarray(array) for part, array in learnt.arrays.items()}
    write_bytes(folder / "head.safetensors", save(tensors))
    write_bytes(folder / "model.safetensors", save(dict(model.frozen.state)))
    pretrained = model.frozen.pretrained
    for name, path in pretrained.assets.items():
        write_bytes(folder / name, path.read_bytes())
    for name, content in {**model.frozen.source.own_files(pretrained), **model.head.files()}.items():
        write_json(folder / name, content)
    files = ("head.safetensors", "model.safetensors", *pretrained.assets)
    described = {
        "format": _FORMAT,
        "task": model.task.name,
        "kind": model.kind,
        "classes": list(model.classes),
        "pretrained": _described(pretrained),
        "random_seed": model.frozen.random_seed,
        "head": {
            "learner": model.learner,
            "columns": [asdict(column) for column in model.head.columns],
            "facts": model.head.facts(),
        },
        "baselines": {name: learnt.facts for name, learnt in model.baselines.items()},
        "beside": {name: learnt.facts for name, learnt in model.beside.items()},
        "sha256": {name: digest_file(folder / name) for name in files},
    }
    write_json(folder / CONFIG, described)


def _described(pretrained: Pretrained) -> dict[str, Any]:
    """Return a pretrained model as JSON, its files under the names they have in the model's folder."""
    return {
        **{field.name: getattr(pretrained, field.name) for field in fields(pretrained)},
        "preprocess": asdict(pretrained.preprocess),
        "weights": "model.safetensors",
        "assets": {name: name for name in pretrained.assets},
    }


def load_model(run: Path, allowed: Allowed = NOTHING) -> Model:
    """Read a run's model, whose source may do what is allowed.

    Raises UserError where there is none, MachineError where it is damaged.
    """
    described, frozen = _read(run, allowed)
    try:
        tensors = load_file(run / "model" / "head.safetensors")
    except (SafetensorError, OSError) as error:
        raise MachineError(f"{run / 'model'} is damaged: {error}.") from error
    baselines, beside = (
        {
            name: Learnt(facts=facts, arrays=_named(tensors, name))
            for name, facts in described.get(part, {}).items()
        }
        for part in ("baselines", "beside")
    )
    named: Task = plugins.load("task", described["task"])
    return Model(
        task=named.of_kind(described["kind"]),
        kind=described["kind"],
        learner=described["head"]["learner"],
        classes=tuple(described["classes"]),
        frozen=frozen,
        head=_head(described["head"], _named(tensors, "head"), frozen),
        baselines=baselines,
        beside=beside,
    )


def load_trunk(run: Path, allowed: Allowed) -> FrozenModel:
    """Read what lies below a run's head. Raises as ``load_model`` does."""
    return _read(run, allowed)[1]


def _read(run: Path, allowed: Allowed) -> tuple[dict[str, Any], FrozenModel]:
    """Return what is described of a run's model, each file of which is as it was written, and its trunk."""
    folder = run / "model"
    described = _read_config(run, folder)
    try:
        for name, digest in described["sha256"].items():
            if digest_file(folder / name) != digest:
                raise MachineError(f"{folder / name} is damaged: its SHA-256 is not the one {CONFIG} has.")
        return described, _frozen(folder, described, allowed)
    except (OSError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise MachineError(f"{folder} is damaged: {error}.") from error


def _head(described: Mapping[str, Any], tensors: Mapping[str, Array], frozen: FrozenModel) -> Head:
    learner: Learner = plugins.load("learner", described["learner"])
    columns = [Column(**column) for column in described["columns"]]
    return learner.restore(columns, Kept(tensors=tensors, facts=described["facts"], frozen=frozen))


def _read_config(run: Path, folder: Path) -> dict[str, Any]:
    try:
        described: dict[str, Any] = json.loads((folder / CONFIG).read_text())
        written_in = described["format"]
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(
            f"{run} holds no model", "a run folder that headstart fit has written", "check the path"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MachineError(f"{folder / CONFIG} is damaged: {error}.") from error
    if written_in != _FORMAT:
        raise UserError(
            f"{run} was written in format {written_in}",
            f"format {_FORMAT}",
            "use the version in its run.json",
        )
    return described


def _frozen(folder: Path, described: Mapping[str, Any], allowed: Allowed) -> FrozenModel:
    facts = dict(described["pretrained"])
    modality: Modality = plugins.load("modality", facts["preprocess"]["modality"])
    pretrained = Pretrained(
        **{
            **facts,
            "weights": folder / facts["weights"],
            "preprocess": modality.restore(facts["preprocess"]),
            "assets": {name: folder / name for name in facts["assets"]},
            "adapted": tuple(facts.get("adapted", ())),
            "lineage": tuple(facts.get("lineage", ())),
        }
    )
    return FrozenModel(
        source=source_of(pretrained.base.partition(":")[0], allowed),
        pretrained=pretrained,
        random_seed=described["random_seed"],
        saved=folder / "model.safetensors",
    )


def _named(tensors: Mapping[str, Array], name: str) -> dict[str, Array]:
    prefix = f"{name}."
    return {key.removeprefix(prefix): array for key, array in tensors.items() if key.startswith(prefix)}
