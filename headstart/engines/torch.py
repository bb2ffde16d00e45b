"""The reference engine: the trunk in torch itself, on CUDA where there is one."""

import copy
import importlib.metadata
from typing import final

import numpy as np

from headstart.contracts import Compiled, Engine, Floats, Inputs, Trunk
from headstart.core.frameworks import prepare_torch


@final
class TorchEngine(Engine):
    """Runs a trunk in torch, channels last, without gradients."""

    name = "torch"

    def version(self) -> str:
        """Return torch's version."""
        return importlib.metadata.version("torch")

    def compile(self, trunk: Trunk) -> Compiled:
        """Move the trunk to its device and memory format."""
        torch = prepare_torch()
        device = "cuda" if torch.cuda.is_available() else "cpu"
        module = trunk.module()
        if device == "cuda":  # a copy: the graph is traced from the one on the CPU
            module = copy.deepcopy(module).to(device)
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it

        def run(batch: Inputs) -> Floats:
            tensors = [
                torch.from_numpy(np.ascontiguousarray(batch[name])).to(device) for name in trunk.inputs
            ]
            # TF32 would round the reference itself.
            exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
            rounded = torch.autocast(device, torch.bfloat16, enabled=trunk.precision == "bfloat16")
            with torch.inference_mode(), exact, rounded:
                features_ND = module(*tensors)
            return np.asarray(features_ND.float().cpu().numpy(), dtype=np.float32)

        return run
