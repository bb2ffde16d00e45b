"""Exporting a trunk: nothing of it is held afterwards."""

import gc
import io
import weakref

import numpy as np
import torch
from torch import nn

from headstart.model.graph.export import export


def test_weights_of_what_was_exported_are_freed() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)).eval()
    weights = [weakref.ref(one) for one in module.parameters()]
    file = io.BytesIO()
    export(module, {"x": np.ones((2, 4), np.float32)}, {"x": {0: "n"}, "features": {0: "n"}}, file)
    assert file.tell() > 0
    del module
    gc.collect()
    assert not [one for one in weights if isinstance(one(), torch.Tensor)]
