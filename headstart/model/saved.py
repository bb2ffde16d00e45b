"""A model on disk: ``headstart.json``, ``model.safetensors`` and ``head.safetensors``, hashed.

Beside them lie the files with which the source's own library loads the trunk from the same folder.
"""

import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from headstart.contracts import (
    Allowed,
    Array,
    Column,
    Head,
    Kept,
    Learner,
    Learnt,
    Modality,
    Outputs,
    Pretrained,
    Task,
)
from headstart.core import plugins, tensor_file
from headstart.core.errors import MachineError, UserError
from headstart.core.files import digest_file, digest_json, read_bounded, write_bytes, write_json
from headstart.core.foreign import reason_of
from headstart.model import vouched
from headstart.model.trunk import NOTHING, FrozenModel, source_of

CONFIG = "headstart.json"
_FORMAT = 2
_HEAD = "head.safetensors"
_FILES = (_HEAD, "model.safetensors")
_MOST_FILES, _LARGEST_ASSET = 1_000, 256 << 20


_KEPT = [field.name for field in fields(Pretrained) if field.name != "head_of"]


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
    digests = {name: digest_file(folder / name) for name in (*_FILES, *pretrained.assets)}
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
        "sha256": digests,
    }
    write_json(folder / CONFIG, described)
    vouched.note(model.frozen, _of_trunk(digests))


def _described(pretrained: Pretrained) -> dict[str, Any]:
    """Return a pretrained model as JSON, its files under the names they have in the model's folder."""
    return {
        **{name: getattr(pretrained, name) for name in _KEPT},
        "preprocess": asdict(pretrained.preprocess),
        "weights": "model.safetensors",
        "assets": {name: name for name in pretrained.assets},
    }


def load_model(run: Path, allowed: Allowed = NOTHING) -> Model:
    """Read a run's model, whose source may do what is allowed.

    The folder may be somebody else's: nothing in it can name a file outside it, or code. Raises UserError
    where it holds no model, MachineError where it is damaged.
    """
    described, frozen = _read(run, allowed)
    with telling(run):
        return _restored(run, described, frozen)


def learner_of(run: Path) -> str:
    """Return the name of the kind of head that a run has. Raises as ``load_model`` does."""
    with telling(run):
        return str(_read_config(run, run / "model")["head"]["learner"])


def load_trunk(run: Path, allowed: Allowed) -> tuple[FrozenModel, str]:
    """Read what lies below a run's head, with a digest of its files. Raises as ``load_model`` does."""
    described, frozen = _read(run, allowed)
    return frozen, digest_json(_of_trunk(described["sha256"]))


def _of_trunk(digests: Mapping[str, str]) -> dict[str, str]:
    return {name: digest for name, digest in digests.items() if name != _HEAD}


def _read(run: Path, allowed: Allowed) -> tuple[dict[str, Any], FrozenModel]:
    """Return what is described of a run's model, each file of which is as it was written, and its trunk."""
    folder = run / "model"
    described = _read_config(run, folder)
    _refuse_links(folder)
    with telling(run):
        digests, names = described["sha256"], [*described["pretrained"]["assets"], *_FILES]
        _refuse_names(folder, [*digests, *names])
        if digests.keys() != set(names):
            raise ValueError("digests of other files than its own")
        for name, digest in digests.items():
            if digest_file(folder / name) != digest:
                raise MachineError(f"{folder / name} is damaged: its SHA-256 is not the one {CONFIG} has.")
        return described, vouched.known(_frozen(folder, described, allowed), _of_trunk(digests))


@contextmanager
def telling(run: Path) -> Iterator[None]:
    """Raise UserError for whatever else a description leads to that is none of headstart's."""
    try:
        yield
    except OSError as error:
        raise MachineError(f"{run / 'model'} is damaged: {error}.") from error
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise UserError(
            f"{run / 'model' / CONFIG} describes no model of headstart's ({reason_of(error)})",
            "a run folder that headstart fit has written",
            "get the run again from whoever made it",
        ) from error


def _restored(run: Path, described: Mapping[str, Any], frozen: FrozenModel) -> Model:
    tensors = tensor_file.load_arrays(run / "model" / "head.safetensors")
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
        classes=_classes(described["classes"]),
        frozen=frozen,
        head=_head(described["head"], _named(tensors, "head"), frozen),
        baselines=baselines,
        beside=beside,
    )


def _classes(names: Any) -> tuple[str, ...]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("classes that are no names")
    return tuple(names)


def check_classes(model: Model, outputs: Outputs) -> None:
    """Raise ValueError where a head tells apart more classes or fewer than its run names."""
    chances_nK = model.task.chances(outputs)
    if chances_nK is not None and chances_nK.shape[1] != len(model.classes):
        raise ValueError(f"{len(model.classes)} classes, and a head of {chances_nK.shape[1]}")


def _refuse_links(folder: Path) -> None:
    """Raise UserError where a model's folder holds anything but files and folders, or very many of them."""
    count, wrong = 0, ""
    for root, folders, files in os.walk(folder):
        count += len(folders) + len(files)
        for name in (*folders, *files):
            mode = os.lstat(os.path.join(root, name)).st_mode
            if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
                wrong = f"{name!r}, a link or no file"
        if count > _MOST_FILES:
            wrong = f"more than {_MOST_FILES} files"
        if wrong:
            raise UserError(
                f"{folder} holds {wrong}",
                "a model's own files",
                "get the run again from whoever made it, or copy it without links",
            )


def _refuse_names(folder: Path, names: Iterable[Any]) -> None:
    """Raise UserError for a name that is not that of a file in the folder itself."""
    for name in names:
        if not isinstance(name, str) or Path(name).name != name or name in ("", ".", "..") or "\0" in name:
            raise UserError(
                f"{folder / CONFIG} names {name!r:.80}",
                "files of its own folder",
                "get the run again from whoever made it",
            )
        if not (folder / name).is_file():
            raise MachineError(f"{folder / name} is missing.")
        if name not in _FILES and (folder / name).stat().st_size > _LARGEST_ASSET:
            raise UserError(
                f"{folder / name} is larger than {_LARGEST_ASSET:,} bytes",
                "tokenizers and the like",
                "get the run again from whoever made it",
            )


def _head(described: Mapping[str, Any], tensors: Mapping[str, Array], frozen: FrozenModel) -> Head:
    learner: Learner = plugins.load("learner", described["learner"])
    columns = [Column(**column) for column in described["columns"]]
    return learner.restore(columns, Kept(tensors=tensors, facts=described["facts"], frozen=frozen))


def _read_config(run: Path, folder: Path) -> dict[str, Any]:
    try:
        described: dict[str, Any] = json.loads(read_bounded(folder / CONFIG).decode())
        written_in = described["format"]
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(
            f"{run} holds no model", "a run folder that headstart fit has written", "check the path"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
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
            "weights": folder / "model.safetensors",
            "preprocess": modality.restore(facts["preprocess"]),
            "assets": {name: folder / name for name in facts["assets"]},
            "adapted": tuple(facts.get("adapted", ())),
            "lineage": tuple(facts.get("lineage", ())),
            "head_of": None,
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
