"""Small random models as the graphs that their frameworks export, and what their own runtimes compute."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from headstart.contracts import Array
from headstart.core.frameworks import prepare_torch
from headstart.model.graph.export import export

torch = prepare_torch()
from torch import Tensor, nn  # noqa: E402

SAVED_MODEL = Path(__file__).parent / "saved_model"
FREE = {0: "n", 2: "h", 3: "w"}


class Residual(nn.Module):
    """Two convolutions beside a way past them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1), nn.ReLU(), nn.Conv2d(width, width, 3, 1, 1)
        )

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return torch.relu(x_NCHW + self.inner(x_NCHW))


def classifier(channels: int = 3, head: nn.Module | None = None) -> nn.Module:
    """Return a residual network with four blocks below its mean and its classes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        down = nn.Sequential(nn.Conv2d(8, 12, 3, 2, 1), nn.ReLU())
        stem = nn.Sequential(nn.Conv2d(channels, 8, 3, 2, 1), nn.ReLU())
        top = head or nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 5), nn.Softmax(1))
        return nn.Sequential(stem, Residual(8), down, Residual(12), top).eval()


def write_graph(
    module: nn.Module, file: Path, sample: Mapping[str, Array], axes: Mapping[str, Mapping[int, str]]
) -> Path:
    """Export a module as torch's users do."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as open_file:
        export(module, sample, axes, open_file)
    return file


def picture_graph(file: Path) -> Path:
    """Write a graph for pictures of any size, in batches of any size."""
    sample = {"pixels": np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype(np.float32)}
    return write_graph(classifier(), file, sample, {"pixels": FREE, "features": {0: "n"}})


class _States(nn.Module):
    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids_NT: Tensor, attention_mask_NT: Tensor, token_type_ids_NT: Tensor) -> Tensor:
        given = {"attention_mask": attention_mask_NT, "token_type_ids": token_type_ids_NT}
        states: Tensor = self.encoder(input_ids=input_ids_NT, **given).last_hidden_state
        return states


def text_graph(bert: Path, folder: Path) -> Path:
    """Write a BERT folder's model as Sentence-Transformers keeps graphs: `onnx/model.onnx` in its folder."""
    import transformers

    folder.mkdir(parents=True)
    for file in bert.glob("*.json"):
        (folder / file.name).write_bytes(file.read_bytes())
    encoder = transformers.AutoModel.from_pretrained(bert, attn_implementation="eager").eval()
    ids_NT = np.ones((2, 8), dtype=np.int64)
    sample = {"input_ids": ids_NT, "attention_mask": ids_NT, "token_type_ids": 0 * ids_NT}
    axes = {name: {0: "n", 1: "t"} for name in (*sample, "features")}
    write_graph(_States(encoder), folder / "onnx" / "model.onnx", sample, axes)
    return folder


def by_onnxruntime(file: Path, fed: Mapping[str, Array], ends: Sequence[str]) -> list[Array]:
    """Return what ONNX Runtime computes with a file, at the outputs of the last nodes of some kinds."""
    model = onnx.load(str(file))
    names = [[one.output[0] for one in model.graph.node if one.op_type == end][-1] for end in ends]
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: list[Array] = session.run(names, dict(fed))
    return found
