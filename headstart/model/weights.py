"""Weights files: safetensors as they are; pickles of tensors converted once, in a child process with limits.

Even with ``weights_only`` a pickle may ask for more memory than it is worth, and versions of torch had flaws
(CVE-2025-32434, CVE-2026-24747); a child that dies takes nothing with it.
"""

import math
import re
import resource
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.core import archive
from headstart.core.child import limit_memory, run_child
from headstart.core.errors import UserError
from headstart.core.files import atomic_file, digest_bytes, digest_file, home
from headstart.core.unpickle import DAMAGE
from headstart.model.shards import INDEX

if TYPE_CHECKING:
    from torch import Tensor

_NAMES = ("model.safetensors", INDEX, "pytorch_model.bin")
_INSIDE = ("state_dict_ema", "model_ema", "state_dict", "model")  # where training scripts keep weights
_WRAPPERS = re.compile(r"^(module\.|_orig_mod\.)+")
_TORCH = re.compile(
    r"[^/]+/(data\.pkl|data/\d+|version|byteorder|\.format_version|\.storage_alignment|\.data/serialization_id)"
)
"""What ``torch.save`` puts into its archive; TorchScript, which is a program, holds more."""
_PICKLE = b"\x80\x02"  # the protocol of torch's files, and the one that ``weights_only`` reads
_SECONDS, _CPU_SECONDS, _BYTES_A_SECOND = 600, 30, 4 << 20
_TIMES_SIZE = 8
_TIMES_WRITTEN = 4
_SPARE_BYTES, _SPARE_WRITTEN = 1 << 29, 1 << 20


def weights_in(folder: Path) -> Path:
    """Return the weights of a folder, safetensors first, one file or the index of several.

    Where there is none, the path where it would be.
    """
    return next((folder / name for name in _NAMES if (folder / name).is_file()), folder / _NAMES[0])


def as_safetensors(path: Path) -> Path:
    """Return weights as a safetensors file: the file itself, or what a child made of a pickle, kept by hash.

    Raises UserError where the file holds anything but tensors in plain containers, or is damaged.
    """
    if path.suffix == ".safetensors" or path.name == INDEX:
        return path
    target = home() / "weights" / f"{digest_bytes(b'unpickled 1', digest_file(path).encode())}.safetensors"
    if target.is_file():
        return target
    refuse_form(path)
    code = "import sys; from headstart.model.weights import _convert; _convert(sys.argv[1], sys.argv[2])"
    _, said = run_child(code, str(path), str(target), seconds=_SECONDS)
    if said:
        raise _refusal(path, said)
    return target


def refuse_form(path: Path) -> None:
    """Raise UserError for a file that ``torch.save`` has not written, by its form: nothing is loaded."""
    with path.open("rb") as file:
        first = file.read(4)
    if first == archive.MAGIC:
        names = archive.check(path, _TORCH)
        if len({name.partition("/")[0] for name in names}) > 1 or not any("data.pkl" in one for one in names):
            raise _refusal(path, "an archive without one data.pkl")
    elif not first.startswith(_PICKLE):
        raise _refusal(path, f"it begins with {first.hex(' ') or 'nothing'}, as no file of torch.save does")


def _refusal(path: Path, reason: str) -> UserError:
    return UserError(
        f"{path} cannot be read as weights ({reason})",
        "a safetensors file, or a pickle of tensors alone",
        "save the weights as safetensors with the library that wrote them",
    )


def _convert(source: str, target: str) -> None:
    """Write a pickle's tensors as safetensors; run in a child, whose last line tells what is wrong."""
    import torch

    torch.set_num_threads(1)  # the stacks of more would count as memory
    _limit(Path(source).stat().st_size)
    from safetensors.torch import save

    try:
        named = _read(Path(source))
    except (*DAMAGE, RuntimeError, OSError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        said = (
            line.rpartition("error: ")[2] for line in lines if re.search("[Uu]nsupported|Unpickler", line)
        )
        raise SystemExit(next(said, lines[-1]).strip()) from None
    # A copy of each: tensors that share memory have no place in safetensors.
    content = save({name: one.detach().clone().contiguous() for name, one in named.items()})
    with atomic_file(Path(target)) as file:
        file.write(content)


def _read(path: Path) -> "dict[str, Tensor]":
    """Return the weights in a file by name. Raises ValueError for what is more than it is worth."""
    import argparse

    import torch

    # timm's training checkpoints hold their script's arguments: a Namespace, which only holds values.
    with torch.serialization.safe_globals([argparse.Namespace]):
        content = torch.load(path, map_location="cpu", weights_only=True)
    named = _tensors(content)
    if not named:
        raise ValueError("it holds no tensors by name")
    _check_worth(named, path.stat().st_size)
    return named


def _check_worth(named: "Mapping[str, Tensor]", size: int) -> None:
    """Raise ValueError where tensors are no plain ones, or larger than their file of ``size`` bytes."""
    import torch

    plain = [one.layout == torch.strided and one.device.type == "cpu" for one in named.values()]
    if not all(plain) or any(one.is_quantized for one in named.values()):
        raise ValueError("it holds tensors that are sparse, quantized or without content")
    memory = {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in named.values()}
    if sum(memory.values()) > size:  # a view beyond its memory makes torch enlarge that
        raise ValueError(f"its tensors tell of {sum(memory.values()):,} bytes, the file has {size:,}")
    written = sum(one.numel() * one.element_size() for one in named.values())
    if written > _TIMES_WRITTEN * size + _SPARE_WRITTEN:
        raise ValueError(f"its tensors take {written:,} bytes, the file has {size:,}")


def _tensors(content: Any) -> "dict[str, Tensor]":
    """Return the weights of a checkpoint, wherever training scripts keep them, averaged ones first."""
    if not isinstance(content, Mapping):
        return {}
    inside = next((content[key] for key in _INSIDE if isinstance(content.get(key), Mapping)), content)
    from torch import Tensor

    named = [(name, one) for name, one in inside.items() if isinstance(name, str) and isinstance(one, Tensor)]
    return {_WRAPPERS.sub("", name): one for name, one in named}


def _limit(size: int) -> None:
    """Let this process, which reads a file of ``size`` bytes, grow, compute and write so much and no more."""
    spent = math.ceil(time.process_time())
    seconds, written = (
        spent + _CPU_SECONDS + size // _BYTES_A_SECOND,
        2 * _TIMES_WRITTEN * size + 2 * _SPARE_WRITTEN,
    )
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (written, written))
    limit_memory(_SPARE_BYTES + _TIMES_SIZE * size)
