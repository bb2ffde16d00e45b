"""What a folder may turn out to hold instead of a model that can be fitted: refused, with the reason."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.core.errors import UserError
from headstart.core.files import read_json
from headstart.model.transformers import pictures as transformers_pictures
from headstart.model.transformers.folder import SAVED

_ADAPTER = "adapter_config.json"
_OTHER_WEIGHTS = (
    "*.h5",
    "*.msgpack",
    "*.gguf",
    "*.onnx",
    "*.bin.index.json",
    "*.ckpt",
    "*.ckpt.index",
    "*.pt*",
)


def refuse_adapter(base: str, folder: Path) -> None:
    """Raise UserError where a folder holds no model but what was trained beside one."""
    if (folder / _ADAPTER).is_file() and not (folder / "config.json").is_file():
        said = read_json(folder / _ADAPTER, "an adapter that PEFT saved")
        raise UserError(
            f"{base} is an adapter ({said.get('peft_type')}) of {said.get('base_model_name_or_path')}",
            "a whole model",
            "merge them with PEFT's merge_and_unload and save_pretrained the result",
        )


def refuse_without_weights(folder: Path, expected: Path) -> None:
    """Raise UserError where a folder's weights are not there, or in another framework's format."""
    if expected.is_file():
        return
    other = sorted(file.name for pattern in _OTHER_WEIGHTS for file in folder.glob(pattern))
    only = f", only {other[0]}" if other else ""
    raise UserError(
        f"{folder} has no {expected.name}{only}",
        "a model as Transformers saves it",
        "load it with Transformers and save_pretrained it there",
    )


def refuse_other_kinds(base: str, folder: Path, config: Mapping[str, Any]) -> None:
    """Raise UserError for a model that cannot be cut into blocks, or whose weights are no plain numbers."""
    kind, named = config.get("model_type"), [str(one) for one in config.get("architectures") or ()]
    is_timm = "pretrained_cfg" in config
    if kind is None and not is_timm:
        raise UserError(
            f"{folder / 'config.json'} has no model_type", SAVED, "save the model with Transformers"
        )
    reads_texts = (folder / "tokenizer.json").is_file() and "vision_config" not in config
    pictures = (folder / "preprocessor_config.json").is_file() and not reads_texts
    if pictures and kind not in transformers_pictures.KINDS and not is_timm:
        raise UserError(
            f"{base} is a model of type {kind!r}{f' ({named[0]})' if named else ''}",
            "a text model, or a picture model of a kind that headstart sources lists",
            "choose one",
        )
    how = config.get("quantization_config")
    if how is not None:
        method = (
            how.get("quant_method", "an unknown method") if isinstance(how, dict) else "an unknown method"
        )
        raise UserError(
            f"{base} holds weights quantized by {method}",
            "weights in float32, float16 or bfloat16",
            "choose the model that it was made from",
        )
