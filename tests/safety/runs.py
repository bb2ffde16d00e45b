"""Runs that somebody sent: each file of theirs made to lead elsewhere, to name code, or to be none."""

import contextlib
import copy
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headstart import cli
from headstart.core.errors import UserError
from headstart.core.files import digest_file
from headstart.core.frameworks import prepare_torch
from tests.safety.attacks import Attack
from tests.safety.poisons import GOOD, zipped

_PICKLE = b"\x80\x02cos\nsystem\n(X\x01\x00\x00\x00atR."
_HOLE = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}'
RUN, PICTURE = "run", "picture.png"
Change = Callable[[Path, dict[str, Any]], Any]


def _set(*path: str, to: Any) -> Change:
    def change(model: Path, described: dict[str, Any]) -> None:
        inner: Any = described
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = to

    return change


def _written(name: str, content: bytes, sign: bool = True) -> Change:
    def change(model: Path, described: dict[str, Any]) -> None:
        (model / name).write_bytes(content)
        if sign:
            described["sha256"][name] = digest_file(model / name)

    return change


def _linked(name: str, target: str) -> Change:
    def change(model: Path, described: dict[str, Any]) -> None:
        (model / name).unlink(missing_ok=True)
        (model / name).symlink_to(target)
        described["sha256"].pop(name, None)

    return change


def _timm(**config: Any) -> Change:
    def change(model: Path, described: dict[str, Any]) -> None:
        (model / "evil.pth").write_bytes(b"\x80\x02cos\nsystem\n(X\x08\x00\x00\x00touch ratR.")
        known = {"architecture": "resnet18", "model_args": {}, "pretrained_cfg": {"input_size": [3, 64, 64]}}
        described["pretrained"] |= {"base": "timm:x", "architecture": "timm/x", "config": known | config}

    return change


def _transformers(**config: Any) -> Change:
    def change(model: Path, described: dict[str, Any]) -> None:
        (model / "modeling.py").write_text("open('ran', 'w').close()\n")
        described["pretrained"] |= {
            "base": "hf:x",
            "architecture": "transformers/x",
            "config": {"model_type": "vit", "architectures": ["ViTModel"], **config},
        }

    return change


def _columns(start: int, stop: int) -> Change:
    """Let every column that the head reads begin and end elsewhere, by so much."""

    def change(model: Path, described: dict[str, Any]) -> None:
        for column in described["head"]["columns"]:
            column["start"] += start
            column["stop"] += stop

    return change


def _pipe(model: Path, described: dict[str, Any]) -> None:
    os.mkfifo(model / "vocab.json")


def _many(model: Path, described: dict[str, Any]) -> None:
    for place in range(1_100):
        (model / f"{place}.json").touch()


def _no_model(model: Path, described: dict[str, Any]) -> None:
    described.clear()
    described["format"] = 2


CHANGES: dict[str, Change] = {
    "a digest of a file outside": _set("sha256", "../../../../etc/passwd", to="0" * 64),
    "a digest of an absolute path": _set("sha256", "/etc/passwd", to="0" * 64),
    "a digest of a device": _set("sha256", "/dev/zero", to="0" * 64),
    "a digest of nothing": _set("sha256", "", to="0" * 64),
    "digests that are a number": _set("sha256", to=5),
    "a file of the model outside": _set("pretrained", "assets", to={"../../secret.json": "x"}),
    "a file of the model by an absolute path": _set("pretrained", "assets", to={"/etc/passwd": "x"}),
    "a file of the model in a folder": _set("pretrained", "assets", to={"a/b.json": "x"}),
    "a file of the model with a zero byte": _set("pretrained", "assets", to={"a\0b": "x"}),
    "files of the model that are a number": _set("pretrained", "assets", to=5),
    "a link to a password file": _linked("tokenizer.json", "/etc/passwd"),
    "a link to a device": _linked("vocab.txt", "/dev/zero"),
    "weights that are a link": _linked("model.safetensors", "/dev/zero"),
    "a head that is a link": _linked("head.safetensors", "../../secret.json"),
    "a folder that is a link": _linked("adapters", "/etc"),
    "a pipe": _pipe,
    "a thousand files": _many,
    "a head that is a pickle": _written("head.safetensors", _PICKLE),
    "a head that is an archive of torch": _written("head.safetensors", zipped(GOOD)),
    "weights that are a pickle": _written("model.safetensors", _PICKLE),
    "weights with a header of 2 to the 63": _written("model.safetensors", b"\0" * 7 + b"\x80" + bytes(64)),
    "weights with a hole": _written("model.safetensors", len(_HOLE).to_bytes(8, "little") + _HOLE + bytes(8)),
    "a source that is a module": _set("pretrained", "base", to="os:system"),
    "a source that is a path": _set("pretrained", "base", to="../../evil:x"),
    "a source of somebody's code": _set("pretrained", "base", to="hub:evil/repo:model"),
    "a base that is a list": _set("pretrained", "base", to=["timm"]),
    "a task that is a module": _set("task", to="os"),
    "a task that is a path": _set("task", to="../../evil"),
    "a task that is a list": _set("task", to=["text"]),
    "a head of another kind": _set("head", "learner", to="writer"),
    "a head that is a module": _set("head", "learner", to="os.system"),
    "columns with other fields": _set("head", "columns", to=[{"__class__": "x"}]),
    "a way of preparing that is a module": _set("pretrained", "preprocess", "modality", to="os"),
    "a picture of 10 million px": _set("pretrained", "preprocess", "size", to=10_000_000),
    "a picture of no size": _set("pretrained", "preprocess", "size", to=-5),
    "a picture's size in words": _set("pretrained", "preprocess", "size", to="__import__('os')"),
    "an architecture that is a module": _set("pretrained", "architecture", to="os/system"),
    "an architecture of the hub": _set("pretrained", "architecture", to="timm/hf-hub:evil/repo"),
    "a field that nobody knows": _set("pretrained", "__reduce__", to="x"),
    "classes that are a number": _set("classes", to=5),
    "classes that are no names": _set("classes", to=[{"a": 1}]),
    "columns beyond the features": _columns(10**6, 10**6),
    "columns before the features": _columns(-(10**6), -(10**6)),
    "columns that are too narrow": _columns(0, -1),
    "columns that are too wide": _columns(0, 1),
    "a class too few": _set("classes", to=["one"]),
    "classes too many": _set("classes", to=["one", "two", "three", "four", "five", "six", "seven", "eight"]),
    "no model": _no_model,
    "timm, from the hub": _timm(architecture="hf-hub:evil/repo"),
    "timm, from a folder": _timm(architecture="local-dir:/tmp"),
    "timm, with a checkpoint": _timm(model_args={"checkpoint_path": "evil.pth"}),
    "timm, with weights of its own": _timm(model_args={"pretrained": True}),
    "timm, with an overlay": _timm(model_args={"pretrained_cfg_overlay": {"file": "evil.pth"}}),
    "timm, with arguments that are a list": _timm(model_args=[1]),
    "timm, without an architecture": _timm(architecture=None),
    "Transformers, with code": _transformers(auto_map={"AutoModel": "modeling.Evil"}, trust_remote_code=True),
    "Transformers, a type with code": _transformers(model_type="evil", auto_map={"AutoConfig": "modeling.E"}),
    "Transformers, with a kernel": _transformers(_attn_implementation="evil/kernel"),
    "Transformers, with a kernel inside": _transformers(
        backbone_config={"attn_implementation": "evil/kernel"}
    ),
    "Transformers, with another's weights": _transformers(
        model_type="upernet",
        architectures=["UperNetForSemanticSegmentation"],
        backbone="evil/repo",
        use_pretrained_backbone=True,
    ),
    "Transformers, without a type": _transformers(model_type=None),
}


def _other(name: str, content: bytes | None) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        if content is None:
            (run / name).unlink()
            os.mkfifo(run / name)
        else:
            (run / name).write_bytes(content)

    return change


BROKEN: dict[str, Callable[[Path], None]] = {
    "a description 100,000 deep": _other("model/headstart.json", b'{"format":' + b"[" * 100_000),
    "a description of 65 MB": _other("model/headstart.json", b'{"format": 2}' + b" " * (65 << 20)),
    "a description that is a pipe": _other("model/headstart.json", None),
    "a description with a number of a megabyte": _other(
        "model/headstart.json", b'{"format":' + b"9" * 10**6 + b"}"
    ),
}


def attacks(folder: Path) -> dict[str, Attack]:
    """Return what predicts with each; ``folder`` holds the honest run and a picture."""
    described = json.loads((folder / RUN / "model" / "headstart.json").read_text())
    found = {name: _predicting(folder, _changed(change, described)) for name, change in CHANGES.items()}
    return found | {name: _predicting(folder, change) for name, change in BROKEN.items()}


def _changed(change: Change, described: dict[str, Any]) -> Callable[[Path], None]:
    def poison(run: Path) -> None:
        said = copy.deepcopy(described)
        change(run / "model", said)
        (run / "model" / "headstart.json").write_text(json.dumps(said))

    return poison


def _predicting(folder: Path, poison: Callable[[Path], None]) -> Attack:
    def predict() -> None:
        run = shutil.copytree(folder / RUN, folder / f"sent-{os.getpid()}")
        poison(run)
        os.chdir(run / "model")
        code, told = predicted(run, folder / PICTURE)
        sentence = told.rstrip("\n").splitlines()[-1] if told.strip() else ""
        if code not in (1, 2) or not sentence.startswith("headstart: ") or "Traceback" in told:
            raise RuntimeError(f"exit code {code}: {told[-300:]}")
        raise UserError(f"exit code {code}", sentence, "")

    return predict


def predicted(run: Path, picture: Path) -> tuple[int, str]:
    """Return the exit code of ``headstart predict``, and what it printed to standard error."""
    told = io.StringIO()
    with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()):
        code = cli.main(["predict", str(run), str(picture), "--engine", "torch", "--json"])
    return code, told.getvalue()


def warm(folder: Path) -> None:
    """Predict with the honest run."""
    prepare_torch().set_num_threads(1)
    import timm  # noqa: F401
    from transformers import AutoConfig, AutoModel, UperNetForSemanticSegmentation, ViTModel  # noqa: F401

    if predicted(folder / RUN, folder / PICTURE)[0]:
        raise SystemExit("the honest run does not predict")
