"""Weights files: safetensors as they are; pickles of tensors converted once, in a child process with limits.

Even with ``weights_only`` a pickle may ask for more memory than it is worth, and versions of torch had flaws;
a child that dies takes nothing with it.
"""

import re
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.core.errors import UserError
from headstart.core.files import atomic_file, digest_bytes, digest_file, home
from headstart.model.shards import INDEX

_NAMES = ("model.safetensors", INDEX, "pytorch_model.bin")
_INSIDE = ("state_dict_ema", "model_ema", "state_dict", "model")  # where training scripts keep weights
_WRAPPERS = re.compile(r"^(module\.|_orig_mod\.)+")
_SECONDS = 600
_TIMES_SIZE = 8
_SPARE_BYTES = 2 << 30


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
    code = "import sys; from headstart.model.weights import _convert; _convert(sys.argv[1], sys.argv[2])"
    words = [sys.executable, "-W", "ignore", "-c", code, str(path), str(target)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=_SECONDS)
        said = done.stderr.strip().splitlines()[-1:] or ["it died"] if done.returncode else []
    except subprocess.TimeoutExpired:
        said = [f"it took longer than {_SECONDS} s"]
    if said:
        raise UserError(
            f"{path} cannot be read as weights ({said[0][:200]})",
            "a safetensors file, or a pickle of tensors alone",
            "save the weights as safetensors with the library that wrote them",
        )
    return target


def _convert(source: str, target: str) -> None:
    """Write a pickle's tensors as safetensors; run in a child process."""
    import argparse

    import torch

    _limit_memory(_SPARE_BYTES + _TIMES_SIZE * Path(source).stat().st_size)
    from safetensors.torch import save

    # timm's training checkpoints hold their script's arguments: a Namespace, which only holds values.
    with torch.serialization.safe_globals([argparse.Namespace]):
        content = torch.load(source, map_location="cpu", weights_only=True)
    # A copy of each: tensors that share memory have no place in safetensors.
    named = {name: tensor.detach().clone().contiguous() for name, tensor in _tensors(content).items()}
    if not named:
        raise SystemExit("it holds no tensors by name")
    with atomic_file(Path(target)) as file:
        file.write(save(named))


def _tensors(content: Any) -> dict[str, Any]:
    """Return the weights of a checkpoint, wherever training scripts keep them, averaged ones first."""
    if not isinstance(content, Mapping):
        return {}
    inside = next((content[key] for key in _INSIDE if isinstance(content.get(key), Mapping)), content)
    from torch import is_tensor

    return {_WRAPPERS.sub("", name): value for name, value in inside.items() if is_tensor(value)}


def _limit_memory(more_bytes: int) -> None:
    """Let this process grow by so much and no more, where the system tells how large it is."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return
    used = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData"))
    resource.setrlimit(resource.RLIMIT_DATA, (used + more_bytes, used + more_bytes))
